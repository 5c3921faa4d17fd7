"""Where live sound comes from: blocks of samples, and the bounded queue that they wait in.

A source puts blocks into the queue as they come, and the recognition takes them out when it is
ready. A block that finds the queue full is dropped and counted.
"""

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from ..audio import Samples

BLOCK_S = 0.05  # seconds of sound in a block
QUEUE_S = 30.0  # seconds the recognition may be late before sound is dropped
_POLL_S = 0.1  # seconds a reader waits for a block


@dataclass(frozen=True)
class LiveBlock:
    """Mono samples, shape (n_samples,), and their place in the session.

    `start` is in seconds of the session, lost sound included; `gap_s` is how many seconds of sound
    were lost just before this block.
    """

    samples: Samples
    rate: int  # Hz
    start: float
    gap_s: float = 0.0

    @property
    def end(self) -> float:
        """Second of the session at which the block ends."""
        return self.start + len(self.samples) / self.rate


class BlockQueue:
    """The bounded queue between a source and the recognition, with the clock of the session."""

    def __init__(self) -> None:
        self.dropped_s = 0.0  # seconds that found the queue full
        self.gone_s = 0.0  # seconds that the source itself missed
        self._end = 0.0  # of the latest block
        self._gap_s = 0.0  # lost since the latest block in the queue
        self._blocks: queue.Queue[LiveBlock] = queue.Queue(round(QUEUE_S / BLOCK_S))

    def put(self, samples: Samples, rate: int, gone_s: float = 0.0) -> None:
        """Put a copy of samples, of shape (n_samples,), into the queue; this never waits.

        `gone_s` is how many seconds the source missed before these samples.
        """
        self.gone_s += gone_s
        self._gap_s += gone_s
        block = LiveBlock(samples.copy(), rate, self._end + gone_s, self._gap_s)
        self._end = block.end
        try:
            self._blocks.put_nowait(block)
        except queue.Full:
            self.dropped_s += len(samples) / rate
            self._gap_s += len(samples) / rate
        else:
            self._gap_s = 0.0

    def get(self, *, wait: bool = True) -> LiveBlock | None:
        """Return the next block; None if there is none, after a tenth of a second's wait."""
        try:
            return self._blocks.get(block=wait, timeout=_POLL_S)
        except queue.Empty:
            return None

    @property
    def full(self) -> bool:
        """Whether the next block would be dropped."""
        return self._blocks.full()


class LiveSource(BlockQueue, ABC):
    """Base of `Microphone` and `Playback`, which fill the queue themselves."""

    name: str

    def __init__(self) -> None:
        super().__init__()
        self.waiting = ""  # why no sound comes at present; "" while it comes
        self.n_overflows = 0  # losses that the sound card reported

    @abstractmethod
    def blocks(self, stopped: threading.Event) -> Iterator[LiveBlock]:
        """Yield the sound until it ends or `stopped` is set."""

    @abstractmethod
    def close(self) -> None:
        """Release the device or the file."""
