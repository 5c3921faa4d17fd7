"""The threads that recognise: some for live sessions alone, and few at a time for recordings."""

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Literal, TypeVar

T = TypeVar("T")
Lane = Literal["live", "upload"]
_TURN_S = 0.3  # that an upload runs while others wait
_MAX_LARGE = 2  # uploads that hold much memory, at the same time


class GivenUpError(Exception):
    """Nobody waits for the answer any more."""


class Workers:
    """Threads for two kinds of work, so that neither waits for the other.

    Jobs of live sessions are short; a session hands in one at a time, and the first come is the
    first served. An upload may take minutes, so uploads take turns: one calls its `Turn` between
    pieces of work, and waits there while others have theirs. It gets a thread only when its first
    turn has come, so that short uploads share a few threads and the memory these have in hand.
    One core less than there are threads for live sessions is left to uploads, but at least one.

    Parameters
    ----------
    n_threads : int
        For live sessions; 0: as many as the machine has cores.
    max_uploads : int
        Uploads at the same time.
    """

    def __init__(self, n_threads: int = 0, max_uploads: int = 32) -> None:
        self.n_threads = n_threads or os.cpu_count() or 1
        self._live = ThreadPoolExecutor(self.n_threads, "live")
        self._uploads = ThreadPoolExecutor(max_uploads, "upload")
        self._large = asyncio.Semaphore(_MAX_LARGE)
        self._turns = _Turns(max(1, self.n_threads - 1))
        self._changed = threading.Condition()
        self._n_waiting = 0  # live jobs that have not been begun
        self._n_running = 0  # jobs of either kind
        self._closed = threading.Event()

    async def run_live(self, call: Callable[[], T]) -> T:
        """Run a live session's job and return what it returns, or raise what it raises."""
        self._note(waiting=1)

        def job() -> T:
            self._note(waiting=-1)
            return self._counted(call)

        future = self._live.submit(job)
        future.add_done_callback(lambda done: self._note(waiting=-int(done.cancelled())))
        return await asyncio.wrap_future(future)

    async def run_upload(self, call: "Callable[[Turn], T]", *, large: bool = False) -> T:
        """Run an upload's call, which takes turns; cancelled, it ends when it next asks for one.

        Of those that are large, since they hold much memory, few are begun at a time.
        """
        turn = Turn(self._turns, self._closed)

        def job() -> T:
            with turn:
                return call(turn)

        async with self._large if large else nullcontext():
            await turn.begin()
            future = self._uploads.submit(self._counted, job)
            future.add_done_callback(lambda done: turn.end() if done.cancelled() else None)
            try:
                return await asyncio.wrap_future(future)
            finally:
                turn.give_up()

    def waiting(self, lane: Lane) -> int:
        """Return how many jobs of a lane wait for a thread or a turn."""
        return self._n_waiting if lane == "live" else self._turns.n_waiting

    @property
    def running(self) -> int:
        """How many jobs of either kind have been begun and have not ended."""
        return self._n_running

    def close(self, timeout_s: float) -> bool:
        """Cancel what waits, and wait for what runs; tell whether all of it has ended in time."""
        self._closed.set()
        for pool in (self._live, self._uploads):
            pool.shutdown(wait=False, cancel_futures=True)
        with self._changed:
            return self._changed.wait_for(lambda: self._n_running == 0, timeout_s)

    def _counted(self, call: Callable[[], T]) -> T:
        self._note(running=1)
        try:
            return call()
        finally:
            self._note(running=-1)

    def _note(self, *, waiting: int = 0, running: int = 0) -> None:
        with self._changed:
            self._n_waiting += waiting
            self._n_running += running
            self._changed.notify_all()


class Turn:
    """The right of an upload to run: it has begun, and ends with the `with` block around the work.

    Call it between pieces of work of less than a second. It lets others run where they wait, and
    raises GivenUpError where nobody waits for the answer any more.
    """

    def __init__(self, turns: "_Turns", closed: threading.Event) -> None:
        self._turns = turns
        self._closed = closed
        self._given_up = False
        self._since = 0.0
        self._spent_s = 0.0  # in turns before

    @property
    def spent_s(self) -> float:
        """Seconds that this upload has run, without those it waited."""
        return self._spent_s + time.monotonic() - self._since

    async def begin(self) -> None:
        """Wait for the first turn; raise GivenUpError where the service ends before it."""
        mine = self._turns.ask()
        try:
            await asyncio.wrap_future(mine)
            self._check()
        except (asyncio.CancelledError, GivenUpError):
            if not mine.cancel():  # it has come already
                self.end()
            raise

    def end(self) -> None:
        """Leave the turn to the next."""
        self._turns.give()

    def give_up(self) -> None:
        """Let the upload end at its next call; from any thread."""
        self._given_up = True

    def __call__(self) -> None:
        """Go on, perhaps after others."""
        if time.monotonic() - self._since >= _TURN_S and self._turns.n_waiting:
            self._spent_s = self.spent_s
            self.end()
            self._turns.ask().result()
            self._since = time.monotonic()
        self._check()

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(self, *error: object) -> None:
        self.end()

    def _check(self) -> None:
        if self._given_up or self._closed.is_set():
            raise GivenUpError


class _Turns:
    """So many turns at a time; whoever waits longest has the next."""

    def __init__(self, n_free: int) -> None:
        self._n_free = n_free
        self._waiting: deque[Future[None]] = deque()
        self._lock = threading.Lock()

    @property
    def n_waiting(self) -> int:
        return len(self._waiting)

    def ask(self) -> "Future[None]":
        """Return what is done when the turn has come; cancelled before, it never comes."""
        mine: Future[None] = Future()
        with self._lock:
            if self._n_free:
                self._n_free -= 1
                mine.set_result(None)
            else:
                self._waiting.append(mine)
        return mine

    def give(self) -> None:
        with self._lock:
            while self._waiting:
                mine = self._waiting.popleft()
                if mine.set_running_or_notify_cancel():
                    mine.set_result(None)
                    return
            self._n_free += 1
