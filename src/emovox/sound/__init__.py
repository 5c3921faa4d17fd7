"""A recording decoded with libsndfile, some samples at a time; what is missing is told."""

import io
import os
import re
import signal
import threading
from bisect import bisect
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import accumulate
from pathlib import Path
from types import FrameType
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from ..errors import AudioError
from .containers import Layout, Link, layout_of, other_format

Samples = NDArray[np.float32]
AudioSource = str | os.PathLike[str] | bytes | BinaryIO

MAX_CHANNELS = 64
NO_MEMORY = "does not fit into memory; cut the recording into shorter ones"
CONVERT = "convert it first, e.g. with: ffmpeg -i voice.m4a voice.wav"
_MAX_VALUES = 1 << 18  # decoded at a time, of all channels together
_UNKNOWN_LENGTH = 1 << 40  # samples; libsndfile gives more for a FLAC that tells no length
_STREAMED_BYTES = 0x7FFF_F000  # sizes from here on stand for "unknown" in a streamed WAV
_SLACK_BYTES = 256  # careless writers count their headers in
_CUT_OFF = re.compile(r"^ *(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)


def source_name(source: AudioSource) -> str:
    """Return what errors call a source."""
    if isinstance(source, str | os.PathLike):
        return str(Path(os.fsdecode(source)))
    return f"{len(source)} bytes" if isinstance(source, bytes) else "file object"


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Add a recording's name to the errors of the block that carry none."""
    try:
        yield
    except AudioError as error:
        error.file = error.file or file
        raise


@contextmanager
def open_sound(source: AudioSource, name: str) -> "Iterator[Sound]":
    """Open a recording while the block runs; errors within it carry its name.

    Raises
    ------
    AudioError
        If the source is missing, empty or no audio, or cannot be read.
    """
    with naming(name), _open(source) as file, closing(_sound(file)) as sound:
        try:
            yield sound
        except MemoryError:
            raise AudioError(NO_MEMORY) from None


def _sound(file: BinaryIO) -> "Sound":
    try:
        head, layout = file.read(16), layout_of(file)
    except OSError as error:
        raise AudioError(_reason(error)) from None
    if not head:
        raise AudioError("empty (0 bytes)", "empty")
    if other := other_format(head):
        raise AudioError(f"{other} cannot be read; {CONVERT}", "not audio")
    return Sound(file, layout)


class Sound:
    """An open recording, decoded from its beginning to its end; `open_sound` makes one.

    Attributes
    ----------
    samplerate, channels : int
    frames : int or None
        How many samples of each channel its header announces; None where nobody can know.
    broken : str
        Why fewer came than there should be, once they are all read; "" until then.
    """

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        self._file, self._layout = file, layout
        self._waiting = list(layout.links[::-1])
        self._is_over, self.broken = False, ""
        if not self._waiting:
            raise AudioError(layout.broken, "cut off")
        self._begin(self._waiting.pop())
        self.samplerate, self.channels = int(self._part.samplerate), int(self._part.channels)
        if self.channels > MAX_CHANNELS:
            self.close()
            raise AudioError(f"expected at most {MAX_CHANNELS} channels, got {self.channels}")
        is_announced = len(layout.links) == 1 and self._announced < _UNKNOWN_LENGTH
        self.frames = self._announced if is_announced else None

    @property
    def _announced(self) -> int:
        """How many samples a header announces, if it is one to be believed."""
        return int(self._part.frames) if self._layout.length_announced else _UNKNOWN_LENGTH

    def read(self, n_samples: int, channel: int | None = None) -> Samples:
        """Decode some more: one channel, counted from 0, or the mean of all.

        Returns
        -------
        samples : ndarray of float32, shape=(n,)
            As many as asked for; fewer at the end alone, and `broken` tells why it is there.
        """
        pieces = [np.zeros(0, np.float32)]
        while n_samples and not self._is_over:
            piece = self._decode(min(n_samples, max(1, _MAX_VALUES // self.channels)))
            n_samples -= len(piece)
            pieces.append(mean_of(piece) if channel is None else piece[:, channel])
        return np.concatenate(pieces)

    def close(self) -> None:
        """Let libsndfile go; the file stays open."""
        self._part.close()

    def _begin(self, link: Link) -> None:
        """Open one of the recordings that are joined in the file."""
        self._bytes = _Bytes(self._file, link)
        self._n_read = 0
        try:
            with _uninterrupted():
                self._part = _Forwards(self._bytes)
        except soundfile.LibsndfileError as error:
            if self._bytes.error:
                raise AudioError(self._bytes.error) from None
            if self._layout.broken:
                raise AudioError(self._layout.broken, "cut off") from None
            raise AudioError(_unreadable(error), "not audio") from None

    def _decode(self, n_samples: int) -> Samples:
        """Return samples of all channels; at an end go on to what is joined behind, or be over."""
        reason = ""
        try:
            with _uninterrupted():
                samples: Samples = self._part.read(n_samples, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            samples = np.zeros((0, self.channels), np.float32)
            reason = f"the file is cut off or damaged: {_words(error)}"
        self._n_read += len(samples)
        if len(samples) < n_samples:
            self._end(self._bytes.error or reason or self._missing())
        return samples

    def _end(self, reason: str) -> None:
        """Go on to the next recording in the file, if there is one and this one was whole."""
        if self._waiting and not reason:
            reason = self._open_next()
            self._is_over = bool(reason)
        else:
            self._is_over = True
        if self._is_over:
            self.broken = reason or self._layout.broken

    def _open_next(self) -> str:
        """Open the next recording; say why it cannot be joined, "" where it can."""
        self.close()
        try:
            self._begin(self._waiting.pop())
        except AudioError as error:
            return str(error)
        return self._difference()

    def _difference(self) -> str:
        kind = (self._part.samplerate, self._part.channels)
        if kind == (self.samplerate, self.channels):
            return ""
        return (
            f"the file is of several recordings, at {self.samplerate} Hz in {self.channels} "
            f"channels and then at {kind[0]} Hz in {kind[1]}; convert it first, e.g. with: "
            "ffmpeg -i joined.ogg joined.wav"
        )

    def _missing(self) -> str:
        """Say that less came than the header announces; "" where all came."""
        if self._n_read < self._announced < _UNKNOWN_LENGTH:
            return (
                f"the file is cut off or damaged: its header announces {self._announced} samples, "
                f"only {self._n_read} could be read"
            )
        for announced, found in _CUT_OFF.findall(self._part.extra_info):  # libsndfile only logs it
            if int(found) + _SLACK_BYTES < int(announced) < _STREAMED_BYTES:
                return (
                    f"the file is cut off: its header announces {announced} bytes of samples, it "
                    f"holds {found}"
                )
        return ""


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back while libsndfile reads, and let it act afterwards.

    libsndfile calls back into Python, where an interruption would be printed and lost, and the
    recording would count as cut off. Only the main thread is ever interrupted.
    """
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: held.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if held:
            handler(*held[0])


class _Forwards(soundfile.SoundFile):  # type: ignore[misc] # soundfile has no types
    """A file that is read on and on. soundfile would seek to where it is after each read.

    That makes libmpg123 begin in the middle of what it had in hand, and complain on stderr.
    """

    def seekable(self) -> bool:
        return False


class _Bytes:
    """A file for libsndfile: one recording's bytes, without a name, and without exceptions.

    Damaged files make libsndfile seek to impossible places, and an exception in there would be
    printed, not raised. Staying where one is and reading nothing are what it understands; `error`
    says why reading failed.
    """

    def __init__(self, file: BinaryIO, link: Link) -> None:
        self._file, self._before = file, link.before
        self._ranges = link.ranges
        lengths = [len(link.before), *(end - start for start, end in link.ranges)]
        self._ends = list(accumulate(lengths))
        self._at = 0
        self.error = ""

    def seek(self, offset: int, whence: int) -> int:
        at = (0, self._at, self._ends[-1])[whence] + offset
        self._at = at if at >= 0 else self._at
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, n_bytes: int) -> bytes:
        pieces = []
        while n_bytes > 0 and (piece := self._piece(n_bytes)):
            pieces.append(piece)
            self._at += len(piece)
            n_bytes -= len(piece)
        return b"".join(pieces)

    def _piece(self, n_bytes: int) -> bytes:
        """Return bytes from here on, as far as they lie together."""
        index = bisect(self._ends, self._at)
        if index == len(self._ends):
            return b""
        n_left = self._ends[index] - self._at
        if index == 0:
            return self._before[self._at :][:n_bytes]
        try:
            self._file.seek(self._ranges[index - 1][1] - n_left)
            return self._file.read(min(n_bytes, n_left))
        except (OSError, ValueError) as error:
            self.error = _reason(error)
            return b""


def _open(source: AudioSource) -> BinaryIO:
    """Open any source as a seekable file."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        if isinstance(source, str | os.PathLike):
            path = Path(os.fsdecode(source))
            if path.exists() and not path.is_file():  # opening a pipe would wait for ever
                what = "a folder" if path.is_dir() else "a pipe or device"
                raise AudioError(f"expected an audio file, got {what}", "not a file")
            return path.open("rb")
        content = source.read()
    except FileNotFoundError:
        raise AudioError("no such file", "missing") from None
    except PermissionError:
        raise AudioError("no permission to read it", "no permission") from None
    except (OSError, ValueError) as error:  # ValueError: a closed file, a name with a null byte
        raise AudioError(_reason(error)) from None
    except (AttributeError, TypeError, NotImplementedError):
        kind = type(source).__name__
        raise AudioError(f"expected a path, bytes or a binary file object, got {kind}") from None
    if not isinstance(content, bytes):
        raise AudioError("expected a file opened in binary mode, got a text file")
    return io.BytesIO(content)


def _reason(error: Exception) -> str:
    return f"cannot be read: {getattr(error, 'strerror', None) or error}"


def mean_of(samples: Samples) -> Samples:
    """Average channels, shape (n_samples, n_channels); overflows become infinite, or NaN."""
    if samples.shape[1] == 1:
        return samples[:, 0]
    with np.errstate(over="ignore", invalid="ignore"):
        mono: Samples = samples.mean(axis=1, dtype=np.float32)
    return mono


def _unreadable(error: soundfile.LibsndfileError) -> str:
    return f"not a readable audio file (expected WAV, FLAC, Ogg, MP3 or AIFF): {_words(error)}"


def _words(error: soundfile.LibsndfileError) -> str:
    """Return libsndfile's own words, fit for ours."""
    return str(error.error_string).removeprefix("Error :").strip().rstrip(".")
