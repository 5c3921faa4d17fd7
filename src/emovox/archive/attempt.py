"""Recordings that take a worker down: a trail on disk, so that the next worker gets past them.

A worker cannot stop code that hangs in a system call or in a library: it ends itself instead, and
its nanny starts it again. The worker that takes over the part reads the trail.
"""

import json
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .recordings import Failure

_MAX_DEATHS = 3  # at one recording, before it is given up
_EXIT_CODE = 75  # "try again later", in the words of sysexits.h
_WATCH_S = 0.1  # between two checks of the time limit


class Attempt:
    """One try of a part by one worker: a context that enforces the time limit of a recording.

    The next attempt reads the trail at `path`. `session` is that of the driver: workers that died
    under an earlier driver are no recording's fault.
    """

    def __init__(self, path: Path, session: str, limit_s: float) -> None:
        self._path, self._session, self._limit_s = path, session, limit_s
        session_before, row, self._deaths, self._late = _read(path)
        if row is not None and session_before == session:
            self._deaths[row] = self._deaths.get(row, 0) + 1
        self._over = threading.Event()
        self._due = (-1, math.inf)  # the recording at hand, and when it is late

    def __enter__(self) -> "Attempt":
        self._file = self._path.open("wb", buffering=0)
        self._write(None)
        # One thread for the part: one for each recording would cost more than the writing.
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._file.close()

    def verdict(self, row: int) -> Failure | None:
        """Return why a recording must not be tried again, if it must not."""
        if self._late.get(row, 0.0) >= self._limit_s:
            reason = f"took more than the time limit of {self._late[row]:g} s"
            return Failure("time limit", reason)
        if self._deaths.get(row, 0) >= _MAX_DEATHS:
            return Failure("worker died", f"the worker died {_MAX_DEATHS} times at it")
        return None

    @contextmanager
    def at(self, row: int) -> Iterator[None]:
        """Note the recording at hand; the process ends itself if the block takes too long."""
        self._write(row)
        self._due = (row, time.monotonic() + self._limit_s)
        try:
            yield
        finally:
            self._due = (-1, math.inf)

    def _watch(self) -> None:
        while not self._over.wait(_WATCH_S):
            row, due = self._due
            if time.monotonic() > due:
                self._late[row] = self._limit_s
                self._write(None)
                os._exit(_EXIT_CODE)

    def _write(self, row: int | None) -> None:
        # In place, not renamed: a recording costs one small write; a torn trail counts as empty.
        self._file.seek(0)
        self._file.write(json.dumps([self._session, row, self._deaths, self._late]).encode())
        self._file.truncate()


def _read(path: Path) -> tuple[str, int | None, dict[int, int], dict[int, float]]:
    try:
        session, row, deaths, late = json.loads(path.read_text())
        numbered = {int(key): int(value) for key, value in deaths.items()}
        return session, row, numbered, {int(key): float(value) for key, value in late.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return "", None, {}, {}
