"""Measurements of recordings: frames of a clip; duration, loudness and pitch of a corpus."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio import NOISE_FLOOR, RATE, Samples, load_audio
from ..corpora.utterance import Utterance
from ..errors import AudioError, CorpusError, optional

N_FFT, HOP = 1_024, 256  # samples; 64 ms and 16 ms
N_MELS = 64  # bands of the mel spectrogram, from 0 Hz to 8 kHz
MAX_FRAMES = 4_000  # of one clip; a longer one gets a larger hop
MAX_CLIPS = 700  # measured of a corpus
MAX_SECONDS = 60.0  # measured of a clip
ACTIVE_DB = 25.0  # frames this far below the loudest are pauses
PITCH_HZ = (65.0, 500.0)
N_BANDS = 26  # of the mean spectrum; the narrowest (200 Hz) spans a voice's harmonics

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Frames:
    """A recording's features by frame, each of shape (n_rows, n_frames).

    `mel` is in dB below the loudest (-80 to 0), 64 bands; `mfcc` holds coefficients 1 to 39 (0,
    which is loudness, is left out); `chroma` 12 pitch classes, 0 to 1; `contrast` 7 bands in dB.
    `hop` is the samples from one frame's middle to the next; frame 0 is centred on sample 0.
    """

    hop: int
    mel: NDArray[np.float32]
    mfcc: NDArray[np.float32]
    chroma: NDArray[np.float32]
    contrast: NDArray[np.float32]


@dataclass(frozen=True)
class Measurements:
    """Measurements of a corpus's recordings.

    Parameters
    ----------
    emotions, speakers : tuple of str
        Sorted; the rows and columns of `counts`.
    counts : ndarray of int64, shape=(n_emotions, n_speakers)
        Utterances, all of them.
    emotion, sex : tuple of str, length n_measured
        Of the measured clips; the sex is "" where the corpus does not tell.
    seconds, loudness_db, pitch_hz : ndarray of float64, shape=(n_measured,)
        Length; RMS of the active frames in dB of full scale; median pitch of these. NaN where a
        clip is silent.
    band_hz : ndarray of float64, shape=(n_bands,)
        Centre frequencies.
    spectra_db : ndarray of float64, shape=(n_measured, n_bands)
        Mean power of the active frames in dB of full scale; NaN where a clip is silent.
    n_unreadable : int
        Clips that should have been measured and could not be read.
    """

    emotions: tuple[str, ...]
    speakers: tuple[str, ...]
    counts: NDArray[np.int64]
    emotion: tuple[str, ...]
    sex: tuple[str, ...]
    seconds: Floats
    loudness_db: Floats
    pitch_hz: Floats
    band_hz: Floats
    spectra_db: Floats
    n_unreadable: int = 0


def measure(
    utterances: Sequence[Utterance], on_progress: Callable[[int, int], None] | None = None
) -> Measurements:
    """Measure length, loudness, pitch and mean spectrum of a corpus's recordings.

    Of more than 700 utterances 700 are measured, taken evenly over speakers and emotions; of each
    its first minute. Frames within 25 dB of a clip's loudest and above the noise floor count as
    active. Pitch is by YIN (de Cheveigné & Kawahara 2002) from 65 to 500 Hz.

    Raises
    ------
    CorpusError
        If there are no utterances, or none can be read.
    """
    chosen = _evenly_chosen(utterances)
    measured, rows, n_unreadable = [], [], 0
    for done, utterance in enumerate(chosen, start=1):
        try:
            rows.append(_measure_clip(load_audio(utterance.file)))
            measured.append(utterance)
        except AudioError:
            n_unreadable += 1
        if on_progress is not None:
            on_progress(done, len(chosen))
    if not measured:
        raise CorpusError(f"expected recordings to measure, none of {len(chosen)} can be read")
    seconds, loudness, pitch, spectra = (np.array(column) for column in zip(*rows, strict=True))
    return Measurements(
        *_count(utterances),
        tuple(utterance.emotion for utterance in measured),
        tuple(utterance.sex for utterance in measured),
        seconds,
        loudness,
        pitch,
        _band_edges()[1:-1],
        spectra,
        n_unreadable,
    )


def _count(
    utterances: Sequence[Utterance],
) -> tuple[tuple[str, ...], tuple[str, ...], NDArray[np.int64]]:
    """Count utterances by emotion (row) and speaker (column)."""
    emotions = tuple(sorted({utterance.emotion for utterance in utterances}))
    speakers = tuple(sorted({utterance.speaker for utterance in utterances}))
    counts = Counter((utterance.emotion, utterance.speaker) for utterance in utterances)
    table = [[counts[emotion, speaker] for speaker in speakers] for emotion in emotions]
    return emotions, speakers, np.array(table, dtype=np.int64)


def frames(audio: Samples) -> Frames:
    """Compute a recording's features with librosa: frames of 64 ms, a step of 16 ms.

    Parameters
    ----------
    audio : ndarray of float32, shape=(n_samples,)
        Mono at 16 kHz. Over 64 s the step grows, so that there are at most 4,000 frames.
    """
    librosa = _librosa()
    hop = max(HOP, -(-len(audio) // MAX_FRAMES))
    padded = np.pad(audio, (0, max(0, N_FFT - len(audio))))
    magnitude = np.abs(librosa.stft(padded, n_fft=N_FFT, hop_length=hop))
    magnitude = magnitude[:, : len(audio) // hop + 1]
    mel = librosa.feature.melspectrogram(S=magnitude**2, sr=RATE, n_mels=N_MELS)
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=40)
    return Frames(
        hop,
        librosa.power_to_db(mel, ref=np.max),
        mfcc[1:],
        librosa.feature.chroma_stft(S=magnitude**2, sr=RATE, n_fft=N_FFT, tuning=0.0),
        librosa.feature.spectral_contrast(S=magnitude, sr=RATE, n_fft=N_FFT),
    )


def mel_row(hertz: float) -> float:
    """Return the row of a frequency in the mel spectrogram of `frames`."""
    librosa = _librosa()
    return float(librosa.hz_to_mel(hertz) / librosa.hz_to_mel(RATE / 2) * (N_MELS + 1) - 1)


def tracks(audio: Samples) -> tuple[Floats, Floats, Floats]:
    """Follow a recording's loudness and pitch: frames of 64 ms, at most 4,000 of them.

    Returns
    -------
    seconds, loudness_db, pitch_hz : ndarray of float64, shape=(n_frames,)
        Middle of each frame; RMS in dB of full scale; pitch by YIN (de Cheveigné & Kawahara 2002),
        NaN where it is at one of the limits, 65 and 500 Hz.
    """
    hop = max(HOP, -(-len(audio) // MAX_FRAMES))
    padded = np.pad(audio, (0, max(0, N_FFT - len(audio))))
    framed = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::hop]
    powers = np.array([float(frame @ frame) / N_FFT for frame in framed])
    pitch = _pitch(padded, hop)
    inside = (pitch > 1.05 * PITCH_HZ[0]) & (pitch < 0.95 * PITCH_HZ[1])
    seconds = (np.arange(len(framed)) * hop + N_FFT / 2) / RATE
    loudness = 10 * np.log10(np.maximum(powers, 1e-12))
    return seconds, loudness, np.where(inside, pitch, np.nan)


def _pitch(audio: NDArray[Any], hop: int) -> Floats:
    """Pitch of each frame, in Hz."""
    low, high = PITCH_HZ
    pitch = _librosa().yin(
        audio, fmin=low, fmax=high, sr=RATE, frame_length=N_FFT, hop_length=hop, center=False
    )
    return np.asarray(pitch, dtype=np.float64)


def _evenly_chosen(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Take up to 700 utterances: one of each speaker and emotion, then a second, and so on."""
    order = np.random.default_rng(0).permutation(len(utterances))
    turns = defaultdict[tuple[str, str], Iterator[int]](count)
    ranked = [(next(turns[utterances[i].speaker, utterances[i].emotion]), i) for i in order]
    first = sorted(ranked, key=lambda one: one[0])[:MAX_CLIPS]
    return [utterances[index] for index in sorted(index for _, index in first)]


def _measure_clip(audio: Samples) -> tuple[float, float, float, Floats]:
    """Length (s), loudness (dB), pitch (Hz) and spectrum (dB, shape (n_bands,)) of a clip."""
    heard = audio[: int(MAX_SECONDS * RATE)].astype(np.float64)
    heard = np.pad(heard, (0, max(0, N_FFT - len(heard))))
    framed = np.lib.stride_tricks.sliding_window_view(heard, N_FFT)[::HOP]
    powers = (framed**2).mean(axis=1)
    seconds = len(audio) / RATE
    active = powers >= max(NOISE_FLOOR**2, powers.max() * 10 ** (-ACTIVE_DB / 10))
    if not active.any():
        return seconds, np.nan, np.nan, np.full(N_BANDS, np.nan)
    loudness = 10 * np.log10(powers[active].mean())
    pitch = float(np.median(_pitch(heard, HOP)[active]))
    return seconds, loudness, pitch, _spectrum_db(framed[active])


def _spectrum_db(framed: Floats) -> Floats:
    """Mean power in each band, dB of full scale (a sine of amplitude 1 has 0 dB in its bin)."""
    window = np.hanning(N_FFT + 1)[:-1]
    power = (np.abs(np.fft.rfft(framed * window)) ** 2).mean(axis=0) * (2 / window.sum()) ** 2
    bins = np.round(_band_edges() / RATE * N_FFT).astype(np.int64).tolist()
    means = np.array([power[low:high].mean() for low, high in zip(bins, bins[2:], strict=False)])
    return np.asarray(10 * np.log10(np.maximum(means, 1e-12)), dtype=np.float64)


def _band_edges() -> Floats:
    """Frequencies (Hz) in equal steps of mel; band i reaches from edge i to i + 2, about i + 1."""
    edges = _librosa().mel_frequencies(N_BANDS + 2, fmin=50, fmax=RATE / 2, htk=True)
    return np.asarray(edges, dtype=np.float64)


def _librosa() -> ModuleType:
    with optional():
        import librosa
    return librosa
