"""Audio in: decode, check and resample any recording to mono float32 at 16 kHz."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
MAX_AMPLITUDE = 32.0  # +30 dB of full scale: what lies above is not scaled to [-1, 1]
MAX_SECONDS = 3_600.0  # default limit of a recording's length
AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf"}
)

Samples = NDArray[np.float32]
AudioSource = str | os.PathLike[str] | bytes | BinaryIO

_UNKNOWN_LENGTH = 1 << 40  # samples; libsndfile gives more for a FLAC that tells no length
_STREAMED_BYTES = 0x7FFF_F000  # sizes from here on stand for "unknown" in a streamed WAV
_SLACK_BYTES = 256  # careless writers count their headers in
_CUT_OFF = re.compile(r"^ *(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)


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
    _check_limit(max_seconds)
    name = source_name(source)
    samples, rate = _decode(source, name, max_seconds)
    return _with_name(name, samples, rate, max_seconds)


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
    _check_limit(max_seconds)
    mono = _mono(_as_float(samples))
    if mono.size == 0:
        raise AudioError("expected audio, got zero samples")
    if mono.size > max_seconds * rate:
        raise too_long(mono.size / rate, max_seconds)
    _check_range(mono)
    if rate == RATE:
        return mono
    resampled: Samples = soxr.resample(mono, float(rate), RATE)
    if resampled.size == 0:
        raise AudioError(f"expected audio, got only {mono.size} samples at {rate} Hz")
    return np.ascontiguousarray(resampled, dtype=np.float32)


def check_rate(rate: float) -> None:
    """Refuse a sample rate that is no number, or not 1,000 to 768,000 Hz.

    Raises
    ------
    AudioError
        If it is so.
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
            "a stream is of one channel"
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
    """Refuse a recording that never rises above the noise floor (-60 dB of full scale).

    Raises
    ------
    SilenceError
        If no sample reaches `NOISE_FLOOR`.
    """
    peak = float(np.abs(audio).max(initial=0.0))
    if peak < NOISE_FLOOR:
        level = f"{20 * np.log10(peak):.0f} dB" if peak > 0 else "digital silence"
        raise SilenceError(
            f"no sound above the noise floor (loudest sample: {level}, floor: "
            f"{20 * np.log10(NOISE_FLOOR):.0f} dB of full scale); is the microphone muted?"
        )


def without_silence(audio: Samples) -> Samples:
    """Cut what lies before the first and after the last sample of the noise floor or more.

    A recording without sound becomes empty. Model graphs cut the same.
    """
    sounds = np.flatnonzero(np.abs(audio) >= NOISE_FLOOR)
    return audio[sounds[0] : sounds[-1] + 1] if sounds.size else audio[:0]


def audio_files(root: Path) -> list[Path]:
    """List the audio files below a folder by their suffix, sorted; hidden ones are left out."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES
        and not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(root).parts)
        and path.is_file()
    )


def source_name(source: AudioSource) -> str:
    """Return what errors call a source."""
    if isinstance(source, str | os.PathLike):
        return str(Path(source))
    return f"{len(source)} bytes" if isinstance(source, bytes) else "file object"


def _open(source: AudioSource, name: str) -> BinaryIO:
    """Open any source as a seekable file."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        if isinstance(source, str | os.PathLike):
            path = Path(source)
            if path.exists() and not path.is_file():  # opening a pipe would wait for ever
                what = "a folder" if path.is_dir() else "a pipe or device"
                raise AudioError(f"{name}: expected an audio file, got {what}")
            return path.open("rb")
        content = source.read()
    except FileNotFoundError:
        raise AudioError(f"{name}: no such file") from None
    except PermissionError:
        raise AudioError(f"{name}: no permission to read it") from None
    except (OSError, ValueError) as error:  # ValueError: a closed file, a name with a null byte
        reason = getattr(error, "strerror", None) or error
        raise AudioError(f"{name}: cannot be read: {reason}") from None
    except AttributeError:
        kind = type(source).__name__
        raise AudioError(f"expected a path, bytes or a binary file object, got {kind}") from None
    if not isinstance(content, bytes):
        raise AudioError(f"{name}: expected a file opened in binary mode, got one of text")
    return io.BytesIO(content)


class _Nameless:
    """A file for libsndfile: without a name to guess by, and without exceptions.

    Damaged files make it seek to impossible places; an exception in there would be printed, not
    raised. Staying where one is and reading nothing are what it understands.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def seek(self, offset: int, whence: int) -> int:
        with suppress(OSError, ValueError):
            self._file.seek(offset, whence)
        return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()

    def read(self, n_bytes: int) -> bytes:
        with suppress(OSError, ValueError):
            return self._file.read(n_bytes)
        return b""


@contextmanager
def open_sound(source: AudioSource, name: str) -> Iterator[soundfile.SoundFile]:
    """Open a recording with libsndfile while the block runs; `name` is for the error's text.

    Raises
    ------
    AudioError
        If the source is missing, empty or no audio.
    """
    with _open(source, name) as opened:
        if not opened.read(1):
            raise AudioError(f"{name}: empty (0 bytes)")
        opened.seek(0)
        try:
            file = soundfile.SoundFile(_Nameless(opened))
        except soundfile.LibsndfileError as error:
            raise _unreadable(name, reason_of(error)) from None
        with file:
            yield file


def _decode(source: AudioSource, name: str, max_seconds: float) -> tuple[Samples, int]:
    """Read all samples, shape (n_samples, n_channels); the limit holds while decoding."""
    with open_sound(source, name) as file:
        return _read(file, name, max_seconds), int(file.samplerate)


def _read(file: soundfile.SoundFile, name: str, max_seconds: float) -> Samples:
    # A header may claim any number of samples: trust only what is decoded, up to the limit.
    limit = int(min(max_seconds * file.samplerate, _UNKNOWN_LENGTH))
    told = told_frames(file, name) is not None
    if told and file.frames > limit:
        raise too_long(file.frames / file.samplerate, max_seconds, name)
    try:
        samples: Samples = file.read(frames=limit + 1, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{name}: the file is cut off or damaged: {reason_of(error)}") from None
    except MemoryError:
        raise AudioError(
            f"{name}: {file.frames} samples in {file.channels} channels do not fit into memory"
        ) from None
    if told and len(samples) < min(file.frames, limit + 1):
        raise AudioError(
            f"{name}: the file is cut off or damaged: its header announces {file.frames} samples, "
            f"only {len(samples)} could be read"
        )
    if lacking := missing_part(file, name):
        raise AudioError(lacking)
    return samples


def missing_part(file: soundfile.SoundFile, name: str) -> str:
    """Say that a WAV, AIFF or AU file holds less than its header announces; "" where it does not.

    libsndfile only logs that.
    """
    for announced, found in _CUT_OFF.findall(file.extra_info):
        if int(found) + _SLACK_BYTES < int(announced) < _STREAMED_BYTES:
            return (
                f"{name}: the file is cut off: its header announces {announced} bytes of samples, "
                f"it holds {found}"
            )
    return ""


def told_frames(file: soundfile.SoundFile, name: str) -> int | None:
    """Return the samples that a header announces; None for MP3, whose headers only estimate.

    Raises
    ------
    AudioError
        If it should tell and does not: libsndfile does not read such a file to its end.
    """
    if file.format == "MP3":
        return None
    if file.frames >= _UNKNOWN_LENGTH:
        raise AudioError(
            f"{name}: its header does not tell its length, as in FLAC written to a pipe; "
            "convert it to WAV, or encode it into a file"
        )
    return int(file.frames)


def _unreadable(name: str, reason: str) -> AudioError:
    return AudioError(
        f"{name}: not a readable audio file (expected WAV, FLAC, Ogg, MP3 or AIFF): {reason}"
    )


def reason_of(error: soundfile.LibsndfileError) -> str:
    """Return libsndfile's own words, fit for ours."""
    return str(error.error_string).removeprefix("Error :").strip().rstrip(".")


def _with_name(name: str, samples: Samples, rate: int, max_seconds: float) -> Samples:
    try:
        return check_audio(samples, rate, max_seconds=max_seconds)
    except AudioError as error:
        raise AudioError(f"{name}: {error}") from None


def _check_limit(max_seconds: float) -> None:
    if not (_is_real(max_seconds) and max_seconds > 0):
        raise AudioError(f"expected a limit of more than 0 seconds, got {max_seconds!r}")


def _is_real(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def too_long(seconds: float, max_seconds: float, name: str = "") -> AudioError:
    """Return the error that a recording is longer than the limit."""
    return AudioError(
        f"{name + ': ' if name else ''}expected at most {max_seconds:g} s of audio, got "
        f"{seconds:.1f} s; raise the limit (max_seconds, --max-seconds) or cut the recording"
    )


def _as_float(samples: ArrayLike) -> Samples:
    try:
        array = np.asarray(samples)
    except (ValueError, TypeError) as error:
        raise AudioError(f"expected an array of samples, got: {error}") from None
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
            return array.astype(np.float32, copy=False)
    if array.dtype.kind == "i" and array.dtype.itemsize <= 4:
        full_scale = float(np.iinfo(array.dtype).max) + 1.0
        return (array / full_scale).astype(np.float32)
    raise AudioError(f"expected samples as floats or as int8, int16 or int32, got {array.dtype}")


def _mono(samples: Samples) -> Samples:
    if samples.ndim == 1:
        return np.ascontiguousarray(samples)
    if samples.ndim == 2 and 0 < samples.shape[1] <= 64:
        with np.errstate(over="ignore", invalid="ignore"):  # not finite: refused by the caller
            return np.ascontiguousarray(samples.mean(axis=1, dtype=np.float32))
    raise AudioError(
        "expected samples of shape (n_samples,) or (n_samples, n_channels) with at most 64 "
        f"channels, got {samples.shape}"
    )


def _check_range(mono: Samples) -> None:
    if not np.isfinite(mono).all():
        n_bad = int(np.count_nonzero(~np.isfinite(mono)))
        raise AudioError(f"expected finite samples, got {n_bad} that are NaN or infinite")
    peak = float(np.abs(mono).max())
    if peak > MAX_AMPLITUDE:
        raise AudioError(
            f"expected samples in [-1, 1], got up to {peak:g}; divide floats that hold 16-bit "
            "values by 32768, or give them as int16"
        )
