"""Recordings that take a worker down: it writes down which one it is at, and which were deadly.

A worker cannot stop code that hangs in a system call or in a library: it ends itself instead, and
is started again by its nanny. Whoever takes over the part reads what it was at.
"""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MAX_DEATHS = 3  # at one recording, before it is held guilty
_EXIT_CODE = 75  # "try again later", for whoever looks at the worker's end


class Attempt:
    """One try at a part, by one worker.

    Parameters
    ----------
    path : Path
        The file that tells the next one.
    session : str
        Of the driver. What died together with an earlier driver was not killed by a recording.
    limit_s : float > 0
        Seconds a recording may take.
    """

    def __init__(self, path: Path, session: str, limit_s: float) -> None:
        self._path, self._session, self._limit_s = path, session, limit_s
        session_before, row, self._deaths, self._late = _read(path)
        if row is not None and session_before == session:
            self._deaths[row] = self._deaths.get(row, 0) + 1

    def verdict(self, row: int) -> str:
        """Return why a recording is not to be touched again; "" if it may be."""
        if self._late.get(row, 0.0) >= self._limit_s:
            return f"took more than the time limit of {self._late[row]:g} s"
        if self._deaths.get(row, 0) >= _MAX_DEATHS:
            return f"the worker died {_MAX_DEATHS} times at it"
        return ""

    @contextmanager
    def at(self, row: int) -> Iterator[None]:
        """Be busy with a recording; if the block takes too long, the process ends itself."""
        self._write(row)
        timer = threading.Timer(self._limit_s, self._give_up, (row,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _give_up(self, row: int) -> None:
        self._late[row] = self._limit_s
        self._write(None)
        os._exit(_EXIT_CODE)

    def _write(self, row: int | None) -> None:
        # In place, not renamed: a recording costs one small write, and what is cut off is no news.
        self._path.write_text(json.dumps([self._session, row, self._deaths, self._late]))


def _read(path: Path) -> tuple[str, int | None, dict[int, int], dict[int, float]]:
    try:
        session, row, deaths, late = json.loads(path.read_text())
        numbered = {int(key): int(value) for key, value in deaths.items()}
        return session, row, numbered, {int(key): float(value) for key, value in late.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return "", None, {}, {}
