"""Worker threads: some for live sessions only, and a few at a time for recordings."""

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from typing import Any, Literal, TypeVar

T = TypeVar("T")
Lane = Literal["live", "upload"]
_TURN_S = 0.3  # seconds that an upload runs while others wait
_MAX_LARGE = 2  # concurrent uploads that take much memory


class GivenUpError(Exception):
    """The client is gone or the service is stopping: the answer is no longer needed."""


class Workers:
    """Threads for two kinds of work, so that neither waits for the other.

    Jobs of live sessions are short, one at a time for each session, and run in the order of their
    arrival. An upload may take minutes, so uploads take turns: each calls its `Turn` between pieces
    of work and waits there while others have theirs. It gets a thread only at its first turn, so
    that short uploads share a few threads and their memory. Uploads run on one thread less than
    live sessions have, but at least on one. With 0, there is a thread per core for live sessions.
    """

    def __init__(self, n_threads: int = 0, max_uploads: int = 32) -> None:
        self.n_threads = n_threads or os.cpu_count() or 1
        self._live = ThreadPoolExecutor(self.n_threads, "live")
        self._uploads = ThreadPoolExecutor(max_uploads, "upload")
        self._large = asyncio.Semaphore(_MAX_LARGE)
        self._turns = _Turns(max(1, self.n_threads - 1))
        self._jobs: set[Future[Any]] = set()  # that have not ended
        self._closed = threading.Event()

    async def run_live(self, call: Callable[[], T]) -> T:
        """Run a live session's job; return its result or raise its exception."""
        return await asyncio.wrap_future(self._noted(self._live.submit(call)))

    async def run_upload(self, call: "Callable[[Turn], T]", *, large: bool = False) -> T:
        """Run an upload's call, which takes turns; if cancelled, it ends at its next turn.

        Only a few `large` calls, which take much memory, run at a time.
        """
        turn = Turn(self._turns, self._closed)

        def job() -> T:
            with turn:
                return call(turn)

        async with self._large if large else nullcontext():
            await turn.begin()
            future = self._noted(self._uploads.submit(job))
            future.add_done_callback(lambda done: turn.end() if done.cancelled() else None)
            try:
                return await asyncio.wrap_future(future)
            finally:
                turn.give_up()

    def waiting(self, lane: Lane) -> int:
        """Return the number of jobs that wait for a thread or a turn."""
        if lane == "upload":
            return self._turns.n_waiting
        return sum(not job.running() for job in tuple(self._jobs))

    @property
    def running(self) -> int:
        """Number of running jobs of both kinds."""
        return sum(job.running() for job in tuple(self._jobs))

    def close(self, timeout_s: float) -> bool:
        """Cancel waiting jobs, wait for running ones; return whether all have ended in time."""
        self._closed.set()
        for pool in (self._live, self._uploads):
            pool.shutdown(wait=False, cancel_futures=True)
        return not wait(tuple(self._jobs), timeout_s).not_done

    def _noted(self, job: Future[T]) -> Future[T]:
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return job


class Turn:
    """The right of an upload to run, which ends with the `with` block around its work.

    Call it between pieces of work of less than a second. It lets waiting uploads run, and raises
    GivenUpError if the answer is no longer needed.
    """

    def __init__(self, turns: "_Turns", closed: threading.Event) -> None:
        self._turns = turns
        self._closed = closed
        self._given_up = False
        self._since = 0.0
        self._spent_s = 0.0  # in earlier turns

    @property
    def spent_s(self) -> float:
        """Seconds that this upload has run, without waiting."""
        return self._spent_s + time.monotonic() - self._since

    async def begin(self) -> None:
        """Wait for the first turn; raise GivenUpError if the service stops before."""
        ticket = self._turns.ask()
        try:
            await asyncio.wrap_future(ticket)
            self._check()
        except (asyncio.CancelledError, GivenUpError):
            if not ticket.cancel():  # the turn has come already
                self.end()
            raise

    def end(self) -> None:
        """Pass the turn to the next upload."""
        self._turns.give()

    def give_up(self) -> None:
        """Make the upload end at its next call; can be called from any thread."""
        self._given_up = True

    def __call__(self) -> None:
        """Continue, perhaps after other uploads."""
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
    """A number of turns at a time, given in the order of asking."""

    def __init__(self, n_free: int) -> None:
        self._n_free = n_free
        self._waiting: deque[Future[None]] = deque()
        self._lock = threading.Lock()

    @property
    def n_waiting(self) -> int:
        return len(self._waiting)

    def ask(self) -> "Future[None]":
        """Return a future that completes when the turn comes; cancel it to leave the queue."""
        ticket: Future[None] = Future()
        with self._lock:
            if self._n_free:
                self._n_free -= 1
                ticket.set_result(None)
            else:
                self._waiting.append(ticket)
        return ticket

    def give(self) -> None:
        with self._lock:
            while self._waiting:
                ticket = self._waiting.popleft()
                if ticket.set_running_or_notify_cancel():
                    ticket.set_result(None)
                    return
            self._n_free += 1
