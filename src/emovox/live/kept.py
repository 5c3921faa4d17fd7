"""From blocks of live sound to the segments of a journal, on the clock of the session."""

from typing import TYPE_CHECKING

import numpy as np

from ..audio import resampler
from ..journal.hearing import Ear, Heard
from .session import Now

if TYPE_CHECKING:
    from .source import LiveBlock


class KeptSession:
    """Has an ear hear blocks as they come; after a gap, or at another rate, it begins anew."""

    def __init__(self, ear: Ear) -> None:
        self.ear = ear
        self.now = Now()
        self._rate = 0  # Hz, of the latest block

    def feed(self, block: "LiveBlock") -> list[Heard]:
        """Return what a block completes."""
        heard: list[Heard] = []
        if block.gap_s or block.rate != self._rate:
            heard = self.flush()
            heard += self.ear.skip(max(0.0, block.start - self.ear.seconds))
            self._rate, self._resample = block.rate, resampler(block.rate)
        heard += self.ear.feed(self._resample(block.samples, False))
        silent_s = 0.0 if block.samples.any() else self.now.silent_s + block.end - block.start
        self.now = Now(block.end, self.ear.level_db, self.ear.speaking, self.ear.usual_s, silent_s)
        return heard

    def flush(self) -> list[Heard]:
        """End the current utterance and return what it leaves."""
        if not self._rate:
            return []
        rest, self._rate = self._resample(np.zeros(0, np.float32), True), 0
        return self.ear.feed(rest) + self.ear.flush()
