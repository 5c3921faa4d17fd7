"""Listening in a thread of its own, so that neither screen nor disk ever holds it up."""

import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from .session import Now

if TYPE_CHECKING:
    from .source import LiveBlock, LiveSource

WAIT_S = 0.2  # seconds between two looks at level, clock and device, at most
_DIGITAL_SILENCE_S = 5.0  # of nothing but zeros, which no working microphone brings


Decision = TypeVar("Decision")  # what a session answers


class Session(Protocol[Decision]):
    """What answers blocks of sound as they come, such as `LiveSession`."""

    now: Now

    def feed(self, block: "LiveBlock") -> list[Decision]:
        """Return the decisions that a block completes."""

    def flush(self) -> list[Decision]:
        """End the current utterance and return the decisions on it."""


class ListeningThread(Generic[Decision]):
    """Runs a session in a worker thread, and holds its decisions until they are taken.

    `on_block` is called in the worker thread with each block, before it is recognised.
    """

    def __init__(
        self,
        source: "LiveSource",
        session: Session[Decision],
        on_block: "Callable[[LiveBlock], None] | None" = None,
    ) -> None:
        self.source = source
        self._session = session
        self._on_block = on_block
        self._stopped = threading.Event()
        self._queue: queue.SimpleQueue[Decision | None] = queue.SimpleQueue()
        self._error: Exception | None = None
        self._worker = threading.Thread(target=self._run, name="recognizer", daemon=True)

    @property
    def now(self) -> Now:
        """The state of the session."""
        return self._session.now

    @property
    def problem(self) -> str:
        """Why nothing can be heard at present; "" while all is well."""
        if not self.source.waiting and self.now.silent_s >= _DIGITAL_SILENCE_S:
            return (
                f"only digital silence comes from {self.source.name}: "
                "is it muted, or is this program not allowed to use it?"
            )
        return self.source.waiting

    @property
    def losses(self) -> str:
        """Sound lost so far; "" if there is none."""
        source, losses = self.source, []
        if source.dropped_s:
            losses.append(f"{source.dropped_s:.1f} s dropped")
        if source.n_overflows:
            noun = "loss" if source.n_overflows == 1 else "losses"
            losses.append(f"{source.n_overflows:,} {noun} in the sound card")
        if source.gone_s:
            losses.append(f"{source.gone_s:.1f} s without the device")
        return ", ".join(losses)

    def start(self) -> None:
        """Start listening."""
        self._worker.start()

    def stop(self) -> None:
        """Stop listening; the sound heard so far is still recognised."""
        self._stopped.set()

    def decisions(self) -> Iterator[list[Decision]]:
        """Yield the latest decisions, every `WAIT_S` or sooner, until the session has ended.

        Raises
        ------
        Exception
            Any error that ended the worker, after its last decision.
        """
        has_ended = False
        while not has_ended:
            latest: list[Decision] = []
            with suppress(queue.Empty):
                decision = self._queue.get(timeout=WAIT_S)
                while decision:
                    latest.append(decision)
                    decision = self._queue.get_nowait()
                has_ended = True
            yield latest
        if self._error:
            raise self._error

    def close(self) -> None:
        """Stop, and wait until the worker has ended."""
        self.stop()
        if self._worker.is_alive():
            self._worker.join()

    def _run(self) -> None:
        for step in (self._listen, self._finish):  # whatever went wrong, the rest is recognised
            try:
                step()
            except Exception as error:  # noqa: BLE001 (raised again by `decisions`)
                self._error = self._error or error
        self.source.close()
        self._queue.put(None)

    def _listen(self) -> None:
        for block in self.source.blocks(self._stopped):
            if self._on_block:
                self._on_block(block)
            self._hold(self._session.feed(block))

    def _finish(self) -> None:
        self._hold(self._session.flush())

    def _hold(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            self._queue.put(decision)


def follow(
    listener: ListeningThread[Decision],
    keep: Callable[[Decision], None],
    show: Callable[[Sequence[Decision]], None],
) -> None:
    """Listen, and keep and show decisions as they come, until the source or a signal ends it.

    Raises
    ------
    BrokenPipeError
        If `show` raised it; the remaining decisions have then been kept.
    Exception
        Any other error that ended the listener.
    """
    broken: BrokenPipeError | None = None
    with _stopped_by_signals(listener.stop):
        listener.start()
        for decisions in listener.decisions():
            for decision in decisions:
                keep(decision)
            try:
                if not broken:
                    show(decisions)
            except BrokenPipeError as error:
                broken = error
                listener.stop()
    if broken:
        raise broken


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first Ctrl-C or SIGTERM; a second one interrupts as usual."""
    if threading.current_thread() is not threading.main_thread():  # only that one gets signals
        yield
        return

    def on_signal(number: int, frame: object) -> None:
        signal.signal(number, signal.default_int_handler)
        stop()

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
