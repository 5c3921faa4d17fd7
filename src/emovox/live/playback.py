"""A recording played in place of a microphone."""

import threading
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from ..audio import Samples
from ..decoding import read_blocks
from ..errors import AudioError
from .source import BLOCK_S, LiveBlock, LiveSource


class Playback(LiveSource):
    """A recording, handed over as a microphone does: in small blocks, at its own speed.

    Parameters
    ----------
    path : Path
        A recording of any length; several channels are averaged.
    speed : float >= 0
        How many times faster than it was spoken. Sound that comes too fast is dropped, as from a
        sound card; 0 is as fast as it can be recognised, and drops nothing.

    Raises
    ------
    AudioError
        If the file is not a readable recording.
    """

    def __init__(self, path: Path, speed: float = 1.0) -> None:
        super().__init__()
        self.name = str(path)
        self._speed = speed
        self._error: AudioError | None = None
        self._seconds = read_blocks(path)
        self._first = next(self._seconds)  # an unreadable file is an error here, not later
        self._rate = round(self._first.rate)

    def blocks(self, stopped: threading.Event) -> Iterator[LiveBlock]:
        """Yield the recording until its end, or until `stopped` is set.

        Raises
        ------
        AudioError
            If the recording is cut off or damaged, after everything that could be read.
        """
        player = threading.Thread(target=self._play, args=(stopped,), name="player", daemon=True)
        player.start()
        is_playing = True
        while is_playing:
            is_playing = player.is_alive()  # before the queue is emptied, so nothing stays in it
            while block := self.get():
                yield block
        if self._error:
            raise self._error

    def close(self) -> None:
        """Release the file."""
        self._seconds = iter(())  # a player that still reads has its own reference

    def _play(self, stopped: threading.Event) -> None:
        began = time.monotonic()
        n_played = 0
        try:
            for samples in self._pieces():
                n_played += len(samples)
                if self._speed:
                    due = began + n_played / self._rate / self._speed
                    stopped.wait(max(0.0, due - time.monotonic()))
                while not self._speed and self.full and not stopped.wait(0.01):
                    pass
                if stopped.is_set():
                    break
                self.put(samples, self._rate)
        except AudioError as error:
            self._error = error
        self.close()

    def _pieces(self) -> Iterator[Samples]:
        n_piece = max(1, round(BLOCK_S * self._first.rate))
        for second in chain([self._first], self._seconds):
            for start in range(0, len(second.samples), n_piece):
                yield second.samples[start : start + n_piece]
            if second.broken:
                raise AudioError(second.broken, "cut off", self.name)
