"""Live sound written to WAV, chunk by chunk: whatever happens, the file can be read."""

import wave
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..errors import EmovoxError

if TYPE_CHECKING:
    from ..microphone import Chunk

MAX_BYTES = 4_000_000_000  # a WAV file counts its bytes in 32 bits


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
        if self._wav:
            self._wav.close()
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
    """Create a file to write live results to, with its folder.

    Raises
    ------
    EmovoxError
        If there is one of this name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return path.open("xb")
    except FileExistsError:
        raise EmovoxError(
            f"{path}: is there already, and what was said live cannot be had again; "
            "choose another name"
        ) from None
