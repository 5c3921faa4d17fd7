"""What is kept of a live session, as it grows: whatever happens, the files can be read."""

import os
import wave
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import EmovoxError
from ..files import make_folder, target_of
from ..tracks import clock

if TYPE_CHECKING:
    from .microphone import Chunk

MAX_BYTES = 4_000_000_000  # a WAV file counts its bytes in 32 bits
_BINARY = getattr(os, "O_BINARY", 0)  # which Windows alone has


@dataclass(frozen=True)
class Incomplete:
    """A file that lacks what came after second `since` of the session, and why."""

    file: str
    since: float
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}; it lacks what came after {clock(self.since)}"

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON says of it."""
        return {**asdict(self), "since": round(self.since, 3)}


class Kept:
    """A file of a session, which goes on where a full disk takes no more of it.

    Parameters
    ----------
    name : str
        Of the file.
    write : callable
        Adds to the file, or writes it anew; may raise OSError or EmovoxError.
    close : callable
        Ends the file; may raise OSError.
    again : bool
        Whether each writing is whole, so that a later one makes up for those that failed.
    """

    def __init__(
        self,
        name: str,
        write: Callable[..., object],
        close: Callable[[], object] = lambda: None,
        *,
        again: bool = False,
    ) -> None:
        self.name = name
        self.incomplete: Incomplete | None = None
        self._write, self._close, self._again = write, close, again
        self._since = 0.0

    def write(self, until: float, *what: object) -> None:
        """Write what came up to a second of the session, unless the file has ended already."""
        if self.incomplete is None or self._again:
            self._try(self._write, *what)
        if self.incomplete is None:
            self._since = until

    def close(self) -> None:
        """End the file."""
        self._try(self._close)

    def _try(self, action: Callable[..., object], *what: object) -> None:
        try:
            action(*what)
        except BrokenPipeError:  # somebody does not want more
            raise
        except (OSError, EmovoxError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self.incomplete = self.incomplete or Incomplete(self.name, self._since, reason)
        else:
            self.incomplete = None if self._again else self.incomplete


class Record:
    """A recording in the making: 16-bit mono, at the microphone's own rate.

    The header is brought up to date with every chunk. A gap becomes silence, so that seconds stay
    those of the session. Where the rate changes, or a WAV file is full, NAME-2.wav goes on.

    Parameters
    ----------
    path : Path
        Must not exist: what was said live cannot be recorded again.

    Raises
    ------
    EmovoxError
        If it exists.
    OSError
        As the disk has it.
    """

    def __init__(self, path: Path) -> None:
        self.paths = [path]
        self._file = create(path)
        self._wav: wave.Wave_write | None = None
        self._end = 0.0  # of what is written, in seconds of the session

    def write(self, chunk: "Chunk") -> None:
        """Add a chunk."""
        wav = self._fitting(chunk)
        n_missing = max(0, round((chunk.start - self._end) * chunk.rate))
        while n_missing:  # in parts: a gap may last hours
            n_silent = min(n_missing, chunk.rate)
            wav.writeframes(bytes(2 * n_silent))
            n_missing -= n_silent
        whole = (chunk.samples * 32_768).round().clip(-32_768, 32_767)
        wav.writeframes(whole.astype("<i2").tobytes())
        self._file.flush()
        self._end = chunk.end

    def close(self) -> None:
        """End the recording."""
        try:
            if self._wav:
                self._wav.close()
        finally:
            self._file.close()

    def _fitting(self, chunk: "Chunk") -> wave.Wave_write:
        """Return the file that can take the chunk; begin the next one if this one cannot."""
        if self._wav:
            if self._wav.getframerate() == chunk.rate and self._file.tell() < MAX_BYTES:
                return self._wav
            self.close()
            first = self.paths[0]
            self.paths.append(first.with_stem(f"{first.stem}-{len(self.paths) + 1}"))
            self._file = create(self.paths[-1])
        self._wav = wave.open(self._file, "wb")  # noqa: SIM115 (closed by close)
        self._wav.setparams((1, 2, chunk.rate, 0, "NONE", "not compressed"))
        return self._wav


def create(path: Path) -> BinaryIO:
    """Create a file to write live results to, with its folder, for its owner alone.

    Raises
    ------
    EmovoxError
        If there is one of this name.
    """
    return os.fdopen(_new(path), "wb")


def create_log(path: Path) -> FileIO:
    """Create a file for `append`; otherwise as `create`."""
    return FileIO(_new(path), "w")


def append(log: FileIO, line: bytes) -> None:
    """Add a line whole, or not at all.

    Raises
    ------
    OSError
        As the disk has it.
    """
    before = log.tell()
    try:
        while line:
            line = line[log.write(line) :]
    except OSError:
        with suppress(OSError):
            log.seek(before)
            log.truncate()
        raise


def _new(path: Path) -> int:
    target = target_of(path)
    make_folder(target.parent, private=True)
    try:
        return os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _BINARY, 0o600)
    except FileExistsError:
        raise EmovoxError(
            f"{path}: is there already, and what was said live cannot be had again; "
            "choose another name"
        ) from None
