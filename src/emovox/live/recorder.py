"""Files that grow with a live session, and can be read after a crash: a recording and a log."""

import os
import wave
from contextlib import suppress
from functools import partial
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import EmovoxError
from ..files import make_folder, target_of

if TYPE_CHECKING:
    from .source import LiveBlock

MAX_BYTES = 4_000_000_000  # a WAV file counts its bytes in 32 bits


class WavRecorder:
    """A recording that grows: 16-bit mono WAV, at the microphone's own rate.

    The header is updated after every block. A gap becomes silence, so that the recording's seconds
    are those of the session. When the rate changes, or a WAV file is full, NAME-2.wav is begun.

    Raises
    ------
    EmovoxError
        If the file exists: live sound cannot be recorded again.
    OSError
        If the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.paths = [path]
        self._file = BufferedWriter(create(path))
        self._wav: wave.Wave_write | None = None

    def write(self, block: "LiveBlock") -> None:
        """Add a block, after the silence of its gap."""
        wav = self._wav_for(block.rate)
        n_missing = round(block.gap_s * block.rate)
        while n_missing:  # second by second: a gap may last hours
            n_silent = min(n_missing, block.rate)
            wav.writeframes(bytes(2 * n_silent))
            n_missing -= n_silent
        scaled = (block.samples * 32_768).round().clip(-32_768, 32_767)
        wav.writeframes(scaled.astype("<i2").tobytes())
        self._file.flush()

    def close(self) -> None:
        """End the recording."""
        try:
            if self._wav:
                self._wav.close()
        finally:
            self._file.close()

    def _wav_for(self, rate: int) -> wave.Wave_write:
        """Return the present file if it has this rate and room, else begin the next one."""
        if self._wav:
            if self._wav.getframerate() == rate and self._file.tell() < MAX_BYTES:
                return self._wav
            self.close()
            first = self.paths[0]
            self.paths.append(first.with_stem(f"{first.stem}-{len(self.paths) + 1}"))
            self._file = BufferedWriter(create(self.paths[-1]))
        self._wav = wave.open(self._file, "wb")  # noqa: SIM115 (closed by close)
        self._wav.setparams((1, 2, rate, 0, "NONE", "not compressed"))
        return self._wav


def create(path: Path) -> FileIO:
    """Create a file and its folder, readable by their owner alone.

    Raises
    ------
    EmovoxError
        If a file of this name exists.
    """
    target = target_of(path)
    make_folder(target.parent, private=True)
    try:
        return FileIO(target, "x", opener=partial(os.open, mode=0o600))
    except FileExistsError:
        raise EmovoxError(
            f"{path}: already exists, and a live recording cannot be repeated; choose another name"
        ) from None


def append(log: FileIO, line: bytes) -> None:
    """Add a whole line, or nothing.

    Raises
    ------
    OSError
        If the line cannot be written.
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
