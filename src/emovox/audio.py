"""Audio in: decode, check and resample any recording to mono float32 at 16 kHz."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import ArrayLike, NDArray

from .errors import AudioError, SilenceError
from .sound import (
    CONVERT,
    MAX_CHANNELS,
    NO_MEMORY,
    Converted,
    Sound,
    find_ffmpeg,
    mean_of,
    open_sound,
    source_name,
)
from .sound import AudioSource as AudioSource
from .sound import Samples as Samples

RATE = 16_000  # Hz; what every model hears
MIN_RATE, MAX_RATE = 1_000, 768_000  # Hz; outside of these a header is not to be believed
NOISE_FLOOR = 1e-4  # amplitude, -80 dB of full scale: what lies below is silence
MAX_AMPLITUDE = 32.0  # +30 dB of full scale: what lies above is not scaled to [-1, 1]
MAX_SECONDS = 3_600.0  # default limit of a recording's length
AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf"}
)

OTHER_SUFFIXES = frozenset(  # of recordings that ffmpeg has to decode
    {".m4a", ".m4b", ".mp4", ".mov", ".3gp", ".aac", ".amr", ".webm", ".mka", ".mkv", ".wma"}
)


def load_audio(source: AudioSource, *, max_seconds: float = MAX_SECONDS) -> Samples:
    """Decode a recording to mono float32 at 16 kHz.

    Parameters
    ----------
    source : path, bytes or binary file object
        Anything libsndfile reads: WAV, FLAC, Ogg (Vorbis, Opus), MP3, AIFF, whatever the file's
        name says; where ffmpeg is installed, MPEG-4, WebM, AAC, AMR and WMA as well. Any rate from
        1 kHz to 768 kHz, any number of channels (they are averaged).
    max_seconds : float > 0
        A longer recording is refused before it is decoded.

    Returns
    -------
    audio : ndarray of float32, shape=(n_samples,)
        At 16,000 Hz, in [-1, 1] but for overshoots of resampling and of float files.

    Raises
    ------
    AudioError
        If the source is missing, is no audio, is empty, cut off, not finite or too long.
    """
    check_limit(max_seconds)
    with open_sound(source, source_name(source)) as sound:
        return _decoded(sound, max_seconds)


def _decoded(sound: Sound | Converted, max_seconds: float) -> Samples:
    """Decode, check and resample a second at a time; a header's length is not to be trusted."""
    check_rate(rate := sound.samplerate)
    if sound.frames is not None and sound.frames > max_seconds * rate:
        raise too_long(sound.frames / rate, max_seconds)
    resample = resampler(rate)
    resampled = bytearray()  # grows in place, so that little more is needed than what it ends as
    n_read, is_over = 0, False
    while not is_over:
        second = sound.read(rate)
        n_read, is_over = n_read + len(second), len(second) < rate
        if n_read > max_seconds * rate:
            raise too_long(n_read / rate, max_seconds)
        if len(second):
            _check_range(second)
        resampled += resample(second, is_over).tobytes()
    if sound.broken:
        raise AudioError(sound.broken, "cut off")
    if n_read == 0:
        raise AudioError("expected audio, got zero samples", "empty")
    return _not_empty(np.frombuffer(resampled, np.float32), n_read, rate)


def _not_empty(resampled: Samples, n_samples: int, rate: float) -> Samples:
    if resampled.size == 0:
        raise AudioError(f"expected audio, got only {n_samples} samples at {rate} Hz", "empty")
    return np.ascontiguousarray(resampled, dtype=np.float32)


def check_audio(
    samples: ArrayLike, rate: float = RATE, *, max_seconds: float = MAX_SECONDS
) -> Samples:
    """Check samples that are already decoded, mix them to mono and resample them to 16 kHz.

    Parameters
    ----------
    samples : array-like, shape=(n_samples,) or (n_samples, n_channels)
        Floats in [-1, 1] (overshoots up to 32 are taken), or integers in the full range of their
        type (16-bit: ±32768).
    rate : float
        Samples a second (Hz), 1,000 to 768,000.
    max_seconds : float > 0
        Longer audio is refused.

    Returns
    -------
    audio : ndarray of float32, shape=(n_samples,)
        Mono at 16,000 Hz.

    Raises
    ------
    AudioError
        If the samples are of a wrong type or shape, empty, not finite, too many or far outside
        [-1, 1], or the rate is out of range.
    """
    check_rate(rate)
    check_limit(max_seconds)
    try:
        return _checked(samples, rate, max_seconds)
    except MemoryError:
        raise AudioError(NO_MEMORY) from None


def _checked(samples: ArrayLike, rate: float, max_seconds: float) -> Samples:
    mono = _mono(_as_float(samples))
    if mono.size == 0:
        raise AudioError("expected audio, got zero samples", "empty")
    if mono.size > max_seconds * rate:
        raise too_long(mono.size / rate, max_seconds)
    _check_range(mono)
    return _not_empty(resampler(rate)(mono, True), mono.size, rate)


def resampler(rate: float) -> Callable[[Samples, bool], Samples]:
    """Return what resamples blocks to 16 kHz: called with a block, and with whether it is the last.

    Together they give what resampling the whole at once would.
    """
    if rate == RATE:
        return lambda block, last: block
    stream = soxr.ResampleStream(float(rate), RATE, 1, dtype="float32")
    return lambda block, last: stream.resample_chunk(block, last=last)


def check_rate(rate: float) -> None:
    """Refuse a sample rate that is not a number from 1,000 to 768,000 Hz.

    Raises
    ------
    AudioError
        If the rate is not such a number.
    """
    if not _is_real(rate):
        raise AudioError(f"expected a sample rate in Hz, got {type(rate).__name__}")
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(f"expected a sample rate of {MIN_RATE} to {MAX_RATE} Hz, got {rate}")


def check_block(samples: ArrayLike) -> Samples:
    """Check a block of a stream: mono, floats or integers as for `check_audio`; it may be empty.

    Raises
    ------
    AudioError
        If the samples are of a wrong type or shape, not finite or far outside [-1, 1].
    """
    block = _as_float(samples)
    if block.ndim != 1:
        raise AudioError(
            f"expected a block of mono samples of shape (n_samples,), got {block.shape}; "
            "a stream has one channel"
        )
    if block.size:
        _check_range(block)
    return block


def check_clip(clip: Samples) -> None:
    """Refuse what `load_audio` would not return; silence is another matter.

    Raises
    ------
    AudioError
        If it is of another type or shape, empty, not finite, or far outside [-1, 1].
    """
    if not isinstance(clip, np.ndarray) or clip.dtype != np.float32 or clip.ndim != 1:
        got = f"{clip.dtype}, {clip.shape}" if isinstance(clip, np.ndarray) else type(clip).__name__
        raise AudioError(
            "expected clips of mono float32 at 16 kHz, shape (n_samples,), as load_audio returns "
            f"them, got {got}; `predict` takes other samples with their rate"
        )
    if clip.size == 0:
        raise AudioError("expected clips with samples, got an empty one")
    if not np.abs(clip).max() <= MAX_AMPLITUDE:  # NaN is not, either
        raise AudioError(
            "expected clips of finite samples in [-1, 1], got some that are NaN, infinite or "
            f"above {MAX_AMPLITUDE:g}"
        )


def check_audible(audio: Samples) -> None:
    """Refuse a recording that never rises above the noise floor (-80 dB of full scale).

    Raises
    ------
    SilenceError
        If no sample reaches `NOISE_FLOOR`.
    """
    peak = np.abs(audio).max(initial=0.0)
    if peak < NOISE_FLOOR:
        level = f"{20 * np.log10(peak):.0f} dB" if peak > 0 else "digital silence"
        raise SilenceError(
            f"no sound above the noise floor (loudest sample: {level}, floor: "
            f"{20 * np.log10(NOISE_FLOOR):.0f} dB of full scale); is the microphone muted?"
        )


def audio_files(root: Path) -> list[Path]:
    """List the audio files below a folder by their suffix, sorted; hidden ones are left out."""
    return _files(root, AUDIO_SUFFIXES)


def readable_files(root: Path) -> list[Path]:
    """List them with those that ffmpeg decodes, where it is installed."""
    return _files(root, readable_suffixes())


def readable_suffixes() -> frozenset[str]:
    """Return the suffixes of recordings that can be read here."""
    return AUDIO_SUFFIXES | (OTHER_SUFFIXES if find_ffmpeg() else frozenset())


def no_audio(root: Path) -> str:
    """Say that a folder holds no audio files, or only such as have to be converted first."""
    others = _files(root, OTHER_SUFFIXES)
    if not others:
        return f"{root}: no audio files in this folder"
    name = others[0].relative_to(root)
    return f"{root}: no audio files that can be read in this folder; {name}: {CONVERT}"


def _files(root: Path, suffixes: frozenset[str]) -> list[Path]:
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in suffixes
        and not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(root).parts)
        and path.is_file()
    )


def check_limit(max_seconds: float) -> None:
    """Refuse a limit of seconds that is not a number above 0.

    Raises
    ------
    AudioError
        If the limit is not such a number.
    """
    if not (_is_real(max_seconds) and max_seconds > 0):
        raise AudioError(f"expected a limit of more than 0 seconds, got {max_seconds!r}")


def _is_real(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def too_long(seconds: float, max_seconds: float) -> AudioError:
    """Return the error that a recording is longer than the limit."""
    return AudioError(
        f"expected at most {max_seconds:g} s of audio, got {seconds:.1f} s; raise the limit "
        "(max_seconds, --max-seconds) or cut the recording",
        "too long",
    )


def as_array(samples: ArrayLike) -> NDArray[Any]:
    """Return samples as an array.

    Raises
    ------
    AudioError
        If they cannot form an array, such as lists of different lengths.
    """
    try:
        return np.asarray(samples)
    except (ValueError, TypeError) as error:
        raise AudioError(f"expected an array of samples, got: {error}") from None


def _as_float(samples: ArrayLike) -> Samples:
    array = as_array(samples)
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
            return array.astype(np.float32, copy=False)
    if array.dtype.kind == "i" and array.dtype.itemsize <= 4:
        step = np.float32(1 / (float(np.iinfo(array.dtype).max) + 1))  # a power of two: exact
        return array.astype(np.float32) * step
    raise AudioError(f"expected samples as floats or as int8, int16 or int32, got {array.dtype}")


def _mono(samples: Samples) -> Samples:
    if samples.ndim == 1:
        return np.ascontiguousarray(samples)
    if samples.ndim == 2 and 0 < samples.shape[1] <= MAX_CHANNELS:
        return np.ascontiguousarray(mean_of(samples))
    raise AudioError(
        "expected samples of shape (n_samples,) or (n_samples, n_channels) with at most "
        f"{MAX_CHANNELS} channels, got {samples.shape}"
    )


def _check_range(mono: Samples) -> None:
    peak = float(np.abs(mono).max())
    if peak <= MAX_AMPLITUDE:  # which NaN is not
        return
    if n_bad := int(np.count_nonzero(~np.isfinite(mono))):
        raise AudioError(f"expected finite samples, got {n_bad} that are NaN or infinite")
    raise AudioError(
        f"expected samples in [-1, 1], got up to {peak:g}; divide floats that hold 16-bit "
        "values by 32768, or give them as int16"
    )
