"""From sound to decisions in a thread of its own: neither screen nor disk ever stops it."""

import queue
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..baseline import Baseline
    from ..recognizer import Prediction, Recognizer
    from ..stream import Stream
    from .microphone import Chunk


class Source(Protocol):
    """Where live sound comes from: a Microphone or a Playback."""

    waiting: str
    gone_s: float

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def dropped_s(self) -> float:
        """Seconds of sound dropped."""

    @property
    def n_overflows(self) -> int:
        """Losses that the sound card reported."""

    def chunks(self, stopped: threading.Event) -> "Iterator[Chunk]":
        """Yield the sound."""

    def close(self) -> None:
        """Let it go."""


@dataclass(frozen=True)
class Now:
    """What is known at this moment."""

    seconds: float = 0.0  # of the session
    level_db: float = -120.0  # of full scale
    speaking: bool = False
    heard_s: float = 0.0  # of the speaker, by the baseline
    silent_s: float = 0.0  # since the last sample that was not exactly zero


@dataclass(frozen=True)
class Decision:
    """A prediction, and the baseline of the speaker after it."""

    prediction: "Prediction"
    baseline: "Baseline"


class Session:
    """Chunks to predictions, on the clock of the chunks: over gaps, and over changes of the rate.

    Parameters
    ----------
    recognizer : Recognizer
    baseline : Baseline
        Of the speaker.
    learn : bool
        Whether the baseline learns along.
    """

    def __init__(
        self, recognizer: "Recognizer", baseline: "Baseline", *, learn: bool = True
    ) -> None:
        self._recognizer = recognizer
        self._learn = learn
        self._stream: Stream | None = None
        self._rate = 0
        self._began = 0.0  # seconds of the session at which the stream starts
        self._end = 0.0
        self.baseline = baseline
        self.now = Now()

    def hear(self, chunk: "Chunk") -> "list[Prediction]":
        """Return the decisions that a chunk brings."""
        found: list[Prediction] = []
        if self._stream is None or self._rate != chunk.rate or _is_gap(self._end, chunk):
            found = self.finish()
            self.now = Now()
            self._rate, self._began = chunk.rate, chunk.start
            self._stream = self._recognizer.stream(
                chunk.rate, baseline=self.baseline, learn=self._learn
            )
        found += self._placed(self._stream.feed(chunk.samples))
        self._end = chunk.end
        self.baseline = self._stream.baseline
        silent_s = 0.0 if chunk.samples.any() else self.now.silent_s + chunk.end - chunk.start
        self.now = Now(
            chunk.end,
            self._stream.level_db,
            self._stream.speaking,
            self.baseline.seconds,
            silent_s,
        )
        return found

    def finish(self) -> "list[Prediction]":
        """Return the decisions on what was being said when the sound ended."""
        if self._stream is None:
            return []
        found = self._placed(self._stream.flush())
        self.baseline = self._stream.baseline
        self._stream = None
        return found

    def _placed(self, found: "list[Prediction]") -> "list[Prediction]":
        if not self._began:
            return found
        return [replace(one, start=one.start + self._began, end=one.end + self._began)
                for one in found]  # fmt: skip


def _is_gap(end: float, chunk: "Chunk") -> bool:
    return chunk.start - end > 0.5 / chunk.rate


class Listener:
    """Runs a session in a worker thread, and keeps its decisions until they are taken.

    Parameters
    ----------
    source : Source
    session : Session
    record : callable or None
        Is given each chunk before it is recognised.
    """

    def __init__(
        self,
        source: Source,
        session: Session,
        record: "Callable[[Chunk], None] | None" = None,
    ) -> None:
        self.source = source
        self._session = session
        self._record = record
        self._stopped = threading.Event()
        self._decisions: queue.SimpleQueue[Decision | None] = queue.SimpleQueue()
        self._error: Exception | None = None
        self._has_ended = False
        self._worker = threading.Thread(target=self._run, name="recogniser", daemon=True)

    @property
    def now(self) -> Now:
        """What is known at this moment."""
        return self._session.now

    def start(self) -> None:
        """Begin to listen."""
        self._worker.start()

    def stop(self) -> None:
        """Listen no more; what was heard so far is still decided."""
        self._stopped.set()

    def take(self, timeout_s: float) -> list[Decision] | None:
        """Return the decisions made, waiting so long for the first; None after the last one.

        Raises
        ------
        Exception
            Whatever ended the worker, instead of that None.
        """
        if self._has_ended:
            if self._error:
                raise self._error
            return None
        taken: list[Decision] = []
        with suppress(queue.Empty):
            decision = self._decisions.get(timeout=timeout_s)
            while decision:
                taken.append(decision)
                decision = self._decisions.get_nowait()
            self._has_ended = True
        return taken

    def close(self) -> None:
        """Stop, and wait until the worker has ended."""
        self.stop()
        if self._worker.is_alive():
            self._worker.join()

    def _run(self) -> None:
        for step in (self._hear, self._finish):  # what was heard is decided, whatever went wrong
            try:
                step()
            except Exception as error:  # noqa: BLE001 (raised again by take)
                self._error = self._error or error
        self.source.close()
        self._decisions.put(None)

    def _hear(self) -> None:
        for chunk in self.source.chunks(self._stopped):
            if self._record:
                self._record(chunk)
            self._keep(self._session.hear(chunk))

    def _finish(self) -> None:
        self._keep(self._session.finish())

    def _keep(self, found: "list[Prediction]") -> None:
        for prediction in found:
            self._decisions.put(Decision(prediction, self._session.baseline))
