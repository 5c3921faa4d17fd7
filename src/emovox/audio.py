"""Audio in: decode, check and resample any recording to mono float32 at 16 kHz."""

import io
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import ArrayLike, NDArray

from .errors import AudioError, SilenceError

RATE = 16_000  # Hz; what every model hears
MIN_RATE, MAX_RATE = 1_000, 768_000  # Hz; outside of these a header is not to be believed
NOISE_FLOOR = 1e-3  # amplitude, -60 dB of full scale: what lies below is silence
MAX_SECONDS = 3_600.0  # default limit of a recording's length
AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf"}
)

Samples = NDArray[np.float32]
AudioSource = str | os.PathLike[str] | bytes | BinaryIO


def load_audio(source: AudioSource, *, max_seconds: float = MAX_SECONDS) -> Samples:
    """Decode a recording to mono float32 at 16 kHz.

    Parameters
    ----------
    source : path, bytes or binary file object
        Anything libsndfile reads: WAV, FLAC, Ogg (Vorbis, Opus), MP3, AIFF, whatever the file's
        name says; any rate from 1 kHz to 768 kHz, any number of channels (they are averaged).
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
    name = _name(source)
    samples, rate = _decode(source, name, max_seconds)
    return _with_name(name, samples, rate, max_seconds)


def check_audio(
    samples: ArrayLike, rate: float = RATE, *, max_seconds: float = MAX_SECONDS
) -> Samples:
    """Check samples that are already decoded, mix them to mono and resample them to 16 kHz.

    Parameters
    ----------
    samples : array-like, shape=(n_samples,) or (n_samples, n_channels)
        Floats in [-1, 1], or integers in the full range of their type (16-bit: ±32768).
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
        If the samples are of a wrong type or shape, empty, not finite or too many, or the rate
        is out of range.
    """
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number):
        raise AudioError(f"expected a sample rate in Hz, got {type(rate).__name__}")
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(f"expected a sample rate of {MIN_RATE} to {MAX_RATE} Hz, got {rate}")
    mono = _mono(_as_float(samples))
    if mono.size == 0:
        raise AudioError("expected audio, got zero samples")
    if mono.size > max_seconds * rate:
        raise _too_long(mono.size / rate, max_seconds)
    if not np.isfinite(mono).all():
        n_bad = int(np.count_nonzero(~np.isfinite(mono)))
        raise AudioError(f"expected finite samples, got {n_bad} that are NaN or infinite")
    if rate == RATE:
        return mono
    resampled: Samples = soxr.resample(mono, rate, RATE)
    if resampled.size == 0:
        raise AudioError(f"expected audio, got only {mono.size} samples at {rate} Hz")
    return np.ascontiguousarray(resampled, dtype=np.float32)


def check_audible(audio: Samples) -> None:
    """Refuse a recording that never rises above the noise floor (-60 dB of full scale).

    Raises
    ------
    SilenceError
        If no sample reaches `NOISE_FLOOR`.
    """
    peak = float(np.abs(audio).max())
    if peak < NOISE_FLOOR:
        level = f"{20 * np.log10(peak):.0f} dB" if peak > 0 else "digital silence"
        raise SilenceError(
            f"no sound above the noise floor (loudest sample: {level}, floor: "
            f"{20 * np.log10(NOISE_FLOOR):.0f} dB of full scale); is the microphone muted?"
        )


def audio_files(root: Path) -> list[Path]:
    """List the audio files below a folder by their suffix, sorted; hidden ones are left out."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES
        and not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(root).parts)
        and path.is_file()
    )


def _name(source: AudioSource) -> str:
    if isinstance(source, str | os.PathLike):
        return str(Path(source))
    return f"{len(source)} bytes" if isinstance(source, bytes) else "file object"


def _decode(source: AudioSource, name: str, max_seconds: float) -> tuple[Samples, int]:
    """Read all samples, shape (n_samples, n_channels); the limit holds while decoding."""
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if path.is_dir():
            raise AudioError(f"{name}: expected an audio file, got a folder")
        if not path.exists():
            raise AudioError(f"{name}: no such file")
        opened: str | BinaryIO = str(path)
    else:
        opened = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with soundfile.SoundFile(opened) as file:
            rate = int(file.samplerate)
            # A header may claim any number of frames: trust only what is decoded, up to the limit.
            limit = int(max_seconds * rate)
            if file.format != "MP3" and file.frames > limit:
                raise _too_long(file.frames / rate, max_seconds, name)
            samples = file.read(frames=limit + 1, dtype="float32", always_2d=True)
            _check_complete(file, len(samples), limit, name)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{name}: {_why_unreadable(source, error)}") from None
    except PermissionError:
        raise AudioError(f"{name}: no permission to read it") from None
    return samples, rate


def _check_complete(file: soundfile.SoundFile, n_read: int, limit: int, name: str) -> None:
    """Refuse a recording cut off in the middle; MP3 headers only estimate their length."""
    if file.format != "MP3" and n_read < min(file.frames, limit + 1):
        raise AudioError(
            f"{name}: the file is cut off or damaged: its header announces {file.frames} samples, "
            f"only {n_read} could be read"
        )


def _why_unreadable(source: AudioSource, error: soundfile.LibsndfileError) -> str:
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if not os.access(path, os.R_OK):
            return "no permission to read it"
        if path.stat().st_size == 0:
            return "the file is empty (0 bytes)"
    reason = str(error.error_string).strip().rstrip(".")
    return f"not a readable audio file (expected WAV, FLAC, Ogg, MP3 or AIFF): {reason}"


def _with_name(name: str, samples: Samples, rate: int, max_seconds: float) -> Samples:
    try:
        return check_audio(samples, rate, max_seconds=max_seconds)
    except AudioError as error:
        raise AudioError(f"{name}: {error}") from None


def _too_long(seconds: float, max_seconds: float, name: str = "") -> AudioError:
    return AudioError(
        f"{name + ': ' if name else ''}expected at most {max_seconds:g} s of audio, got "
        f"{seconds:.1f} s; raise the limit (max_seconds, --max-seconds) or cut the recording"
    )


def _as_float(samples: ArrayLike) -> Samples:
    try:
        array = np.asarray(samples)
    except ValueError as error:
        raise AudioError(f"expected an array of samples, got: {error}") from None
    if array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    if array.dtype.kind == "i" and array.dtype.itemsize <= 4:
        full_scale = float(np.iinfo(array.dtype).max) + 1.0
        return (array / full_scale).astype(np.float32)
    raise AudioError(f"expected float or signed integer samples, got type {array.dtype}")


def _mono(samples: Samples) -> Samples:
    if samples.ndim == 1:
        return np.ascontiguousarray(samples)
    if samples.ndim == 2 and 0 < samples.shape[1] <= 64:
        return np.ascontiguousarray(samples.mean(axis=1, dtype=np.float32))
    raise AudioError(
        "expected samples of shape (n_samples,) or (n_samples, n_channels) with at most 64 "
        f"channels, got {samples.shape}"
    )
