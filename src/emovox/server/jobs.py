"""The threads that recognise: few, with one queue for live sessions and one for uploads."""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Literal, TypeVar

T = TypeVar("T")
Lane = Literal["live", "upload"]
_LIVE_IN_A_ROW = 8  # so many jobs of live sessions may pass an upload that waits


class Workers:
    """Threads that run short jobs: live sessions first, uploads never starved.

    Each queue is first in, first out. A live session hands in one job at a time, so that each has
    its turn; a long upload comes as many jobs. Uploads never hold the last thread, if there is
    more than one.

    Parameters
    ----------
    n_threads : int
        0: as many as the machine has cores.
    """

    def __init__(self, n_threads: int = 0) -> None:
        self.n_threads = n_threads or os.cpu_count() or 1
        self._max_uploads = max(1, self.n_threads - 1)
        self._queues: dict[Lane, deque[tuple[Future[Any], Callable[[], Any]]]] = {
            "live": deque(),
            "upload": deque(),
        }
        self._changed = threading.Condition()
        self._uploads = 0  # that run now
        self._in_a_row = 0  # live jobs since an upload had its turn
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"recognise-{index}", daemon=True)
            for index in range(self.n_threads)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, lane: Lane, call: Callable[[], T]) -> T:
        """Run a call in one of the threads and return what it returns, or raise what it raises."""
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the workers have been closed")
            self._queues[lane].append((future, call))
            self._changed.notify()
        return await asyncio.wrap_future(future)

    def waiting(self, lane: Lane) -> int:
        """Return how many jobs of a queue have not been begun."""
        return len(self._queues[lane])

    def close(self) -> None:
        """End the threads after the jobs they are at; those that wait are cancelled."""
        with self._changed:
            self._closed = True
            waiting = [job for queue in self._queues.values() for job in queue]
            for queue in self._queues.values():
                queue.clear()
            self._changed.notify_all()
        for future, _ in waiting:
            future.cancel()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                while (lane := self._next_lane()) is None:
                    if self._closed:
                        return
                    self._changed.wait()
                future, call = self._queues[lane].popleft()
                self._uploads += lane == "upload"
                self._in_a_row = 0 if lane == "upload" else self._in_a_row + 1
            if future.set_running_or_notify_cancel():
                _settle(future, call)
            if lane == "upload":
                with self._changed:
                    self._uploads -= 1
                    self._changed.notify()

    def _next_lane(self) -> Lane | None:
        """Tell which queue's turn it is; None: there is nothing to do."""
        upload = bool(self._queues["upload"]) and self._uploads < self._max_uploads
        if self._queues["live"] and not (upload and self._in_a_row >= _LIVE_IN_A_ROW):
            return "live"
        return "upload" if upload else None


def _settle(future: "Future[Any]", call: Callable[[], Any]) -> None:
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 (whoever awaits it gets it)
        future.set_exception(error)
    else:
        future.set_result(result)
