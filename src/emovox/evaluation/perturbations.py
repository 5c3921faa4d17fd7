"""Changes to a clip that leave its emotion as it is: noise, filters, lines, codecs, rooms, pauses.

Each is a function of a clip (mono float32 at 16 kHz, shape (n_samples,)), and of a random generator
where something is drawn; the same generator state gives the same result. The clip given stays as
it is. Nothing here knows of models or corpora, so that training can use it as well.
"""

import io
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from ..audio import RATE, Samples

Floats = NDArray[np.floating[Any]]
Response = Callable[[Floats], Floats]

GSM = ("AIFF", "GSM610")  # in WAV, the end of its last block would be noise
_FRAME = RATE // 50  # samples (20 ms) whose power is looked at
_SPEECH_DB = 30.0  # frames less than this below the loudest one hold speech
_QUICK = 4_096  # samples; transforms of its multiples have no large prime factor
_FADE = RATE // 20  # samples (50 ms) over which a noise that is too short fades into itself
_LINE_RATE = 8_000  # Hz, of a phone line
_LINE_HZ = (300.0, 3_400.0)  # its band, as in ITU-T G.712
_HISS_HZ, _HISS_DB = 3_000.0, 40.0  # pink noise above this, so far below the voice
_RATIO, _RELEASE_S = 4.0, 0.1  # of the line's compressor
_SOUND_M_S = 343.0  # speed of sound


def speech_power(clip: Samples) -> float:
    """Return the mean power of the 20 ms frames less than 30 dB below the loudest one.

    Pauses and silence around do not lower it; 0 for an empty clip.
    """
    whole = np.pad(clip.astype(np.float64), (0, -len(clip) % _FRAME)).reshape(-1, _FRAME)
    powers = (whole**2).mean(axis=1)
    loudest = powers.max(initial=0.0)
    return float(powers[powers >= loudest * 10 ** (-_SPEECH_DB / 10)].mean()) if loudest else 0.0


def louder(clip: Samples, gain_db: float) -> Samples:
    """Return a clip with a gain in dB, below 0 for a softer one; nothing is clipped."""
    return np.asarray(clip * np.float32(10 ** (gain_db / 20)), np.float32)


def clipped(clip: Samples, share: float) -> Samples:
    """Cut off the loudest samples of a clip: this share of them (0 to 1) is limited."""
    limit = float(np.quantile(np.abs(clip), 1 - share))
    return np.asarray(np.clip(clip, -limit, limit), np.float32)


def noise(n_samples: int, steepness: float, rng: np.random.Generator) -> Samples:
    """Return noise of mean power 1 that falls with frequency.

    Parameters
    ----------
    n_samples : int
    steepness : float
        Power falls as 1 / frequency ** steepness: 0 is white, 1 pink, 2 brown; below 20 Hz it
        falls no further.
    """
    n_drawn = _quick(n_samples)
    spectrum = np.fft.rfft(rng.standard_normal(n_drawn))
    hertz = np.fft.rfftfreq(n_drawn, 1 / RATE)
    spectrum /= np.maximum(hertz, 20.0) ** (steepness / 2)
    return _of_power_one(np.fft.irfft(spectrum, n_drawn)[:n_samples])


def looped(sound: Samples, n_samples: int, rng: np.random.Generator) -> Samples:
    """Return so many samples of a sound from a random place on, of mean power 1.

    It fades into itself over 50 ms where it is too short. Digital silence stays silence.
    """
    fade = min(_FADE, len(sound) // 2)
    ramp = np.sqrt(np.linspace(0.0, 1.0, fade))
    whole = sound.astype(np.float64)
    seam = whole[:fade] * ramp + whole[len(whole) - fade :] * ramp[::-1]
    circle = np.concatenate([seam, whole[fade : len(whole) - fade]])
    start = int(rng.integers(len(circle)))
    return _of_power_one(np.resize(np.roll(circle, -start), n_samples))


def babble(voices: Iterable[Samples], n_samples: int, rng: np.random.Generator) -> Samples:
    """Return voices that talk at once, equally loud, of mean power 1 together."""
    talk = np.zeros(n_samples, np.float32)
    for voice in voices:
        level = np.sqrt(max(speech_power(voice), 1e-12))
        talk += looped(voice, n_samples, rng) / np.float32(level)
    return looped(talk, n_samples, rng)


def with_noise(clip: Samples, background: Samples, below_db: float) -> Samples:
    """Add a background of mean power 1, so many dB below the speech of the clip."""
    amplitude = np.sqrt(speech_power(clip) / 10 ** (below_db / 10))
    return np.asarray(clip + amplitude * background, np.float32)


def with_tone(clip: Samples, hertz: float, below_db: float) -> Samples:
    """Add a sine, so many dB below the speech of the clip."""
    tone = np.sqrt(2.0) * np.sin(2 * np.pi * hertz * np.arange(len(clip)) / RATE)
    return with_noise(clip, tone.astype(np.float32), below_db)


def high_passed(clip: Samples, hertz: float) -> Samples:
    """Take out what lies below a frequency: Butterworth, second order, without delay."""
    return _filtered(clip, lambda at: 1 / np.sqrt(1 + (hertz / np.maximum(at, 1e-3)) ** 4))


def low_passed(clip: Samples, hertz: float) -> Samples:
    """Take out what lies above a frequency: Butterworth, second order, without delay."""
    return _filtered(clip, lambda at: 1 / np.sqrt(1 + (at / hertz) ** 4))


def tilted(clip: Samples, slope: float) -> Samples:
    """Raise (slope above 0) or lower high frequencies by a filter of one tap; power is kept.

    Parameters
    ----------
    clip : ndarray of float32, shape=(n_samples,)
    slope : float, -1 to 1
        y[n] = x[n] - slope * x[n - 1].
    """
    sound = clip.astype(np.float64)
    sound[1:] -= slope * clip[:-1]
    return _as_powerful(sound, clip)


def coded(
    clip: Samples, kind: str, subtype: str, rate: int = RATE, compression: float | None = None
) -> Samples:
    """Write a clip with a codec of libsndfile, and read it.

    Parameters
    ----------
    clip : ndarray of float32, shape=(n_samples,)
    kind, subtype : str
        libsndfile's names, such as "OGG" and "OPUS".
    rate : int
        Hz, of what is written.
    compression : float, 0 to 1, optional
        Of Opus and MP3: the higher, the fewer bits.
    """
    file = io.BytesIO()
    sound = np.clip(_resampled(clip, RATE, rate), -1.0, 1.0)
    soundfile.write(file, sound, rate, subtype, format=kind, compression_level=compression)
    file.seek(0)
    heard, _ = soundfile.read(file, dtype="float32")
    return _resampled(heard, rate, RATE)


def phoned(clip: Samples, rng: np.random.Generator) -> Samples:
    """Send a clip over a phone line: compressor, 300 to 3,400 Hz, GSM, and a faint hiss behind it.

    The order is that of the telephone test of audEERING's ser-tests.
    """
    narrow = low_passed(high_passed(_compressed(clip), _LINE_HZ[0]), _LINE_HZ[1])
    heard = coded(narrow, *GSM, _LINE_RATE)
    hiss = high_passed(noise(len(heard), 1.0, rng), _HISS_HZ)
    return with_noise(heard, _of_power_one(hiss.astype(np.float64)), _HISS_DB)


def in_room(
    clip: Samples, decay_s: float, volume_m3: float, distance_m: float, rng: np.random.Generator
) -> Samples:
    """Return a clip as a microphone in a room hears it; as long and as powerful as it was.

    The voice itself, and behind it noise that falls by 60 dB in the room's decay time. Both are
    equally strong at the critical distance 0.057 * sqrt(volume / decay) metres (Kuttruff, Room
    Acoustics, section 5.5).

    Parameters
    ----------
    clip : ndarray of float32, shape=(n_samples,)
    decay_s : float
        Reverberation time of the room, in seconds.
    volume_m3, distance_m : float
        Of the room, and from the mouth to the microphone.
    """
    time = np.arange(round(decay_s * RATE)) / RATE
    echo = rng.standard_normal(len(time)) * 10.0 ** (-3.0 * time / decay_s)
    echo[: round(distance_m / _SOUND_M_S * RATE)] = 0.0  # nothing comes back at once
    critical_m = 0.057 * np.sqrt(volume_m3 / decay_s)
    echo *= distance_m / critical_m / np.sqrt((echo**2).sum())
    echo[0] = 1.0
    n_samples = _quick(len(clip) + len(echo))
    spectrum = np.fft.rfft(clip, n_samples) * np.fft.rfft(echo, n_samples)
    heard: Floats = np.fft.irfft(spectrum, n_samples)[: len(clip)]
    return _as_powerful(heard, clip)


def between_pauses(
    clip: Samples, background: Samples, level_dbfs: float, before_s: float, peak: float = 0.3
) -> Samples:
    """Put a clip into a recording of room tone, which goes on below the speech.

    Parameters
    ----------
    clip : ndarray of float32, shape=(n_samples,)
        Its loudest sample becomes `peak`.
    background : ndarray of float32, shape=(n_in_all,)
        Of mean power 1; as long as the result.
    level_dbfs : float
        Of the background: 0 dB is a mean power of 1.
    before_s : float
        Where in it the clip begins.
    """
    sound = background.astype(np.float64) * 10 ** (level_dbfs / 20)
    start = round(before_s * RATE)
    loudest = max(float(np.abs(clip).max(initial=0.0)), 1e-9)
    sound[start : start + len(clip)] += clip * (peak / loudest)
    return sound.astype(np.float32)


def _compressed(clip: Samples) -> Samples:
    """Even out the level: above the mean of the speech, 4 dB more become 1 dB more."""
    power = np.maximum(speech_power(clip), 1e-12)
    frames = np.pad(clip.astype(np.float64), (0, -len(clip) % _FRAME)).reshape(-1, _FRAME)
    loud = np.maximum((frames**2).mean(axis=1) / power, 1.0)
    kept = np.exp(-_FRAME / RATE / _RELEASE_S)
    for index in range(1, len(loud)):
        loud[index] = max(loud[index], kept * loud[index - 1])
    gain = np.maximum(loud, 1.0) ** (0.5 / _RATIO - 0.5)
    middles = (np.arange(len(loud)) + 0.5) * _FRAME
    return np.asarray(clip * np.interp(np.arange(len(clip)), middles, gain), np.float32)


def _filtered(clip: Samples, response: Response) -> Samples:
    """Apply a filter of zero phase by its response to frequencies in Hz."""
    n_samples = _quick(len(clip) + RATE // 10)  # so that its end does not ring into the beginning
    spectrum = np.fft.rfft(clip, n_samples) * response(np.fft.rfftfreq(n_samples, 1 / RATE))
    return np.asarray(np.fft.irfft(spectrum, n_samples)[: len(clip)], np.float32)


def _quick(n_samples: int) -> int:
    """Return a number of samples, at least as many, whose Fourier transform is quick."""
    return -(-n_samples // _QUICK) * _QUICK


def _resampled(sound: Samples, rate: int, to_rate: int) -> Samples:
    return sound if rate == to_rate else np.asarray(soxr.resample(sound, rate, to_rate), np.float32)


def _as_powerful(sound: NDArray[Any], clip: Samples) -> Samples:
    """Give a sound the mean power of a clip."""
    power = float((clip.astype(np.float64) ** 2).mean())
    return np.asarray(_of_power_one(sound) * np.sqrt(power), np.float32)


def _of_power_one(sound: NDArray[Any]) -> Samples:
    power = float((sound**2).mean())
    return np.asarray(sound / np.sqrt(power) if power else sound, np.float32)
