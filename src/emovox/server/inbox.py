"""A session's inbox: messages that came and wait for their turn, in order, counted in bytes."""

import asyncio
from collections import deque
from dataclasses import dataclass

from .ear import Piece
from .protocol import MessageError, Request

_MAX_JOB_S = 0.5  # of audio in one job, so that nobody waits long for a turn
_MAX_WAITING_S = 2.0  # as many bytes wait as so much audio has; then nothing more is read
_MAX_MESSAGES = 100  # wait, however small they are


@dataclass(frozen=True)
class End:
    """Why a session ends, and how it is closed."""

    reason: str
    close_code: int = 1000
    message: str = ""  # of an error to be told first


Item = Piece | Request | MessageError | End


class Inbox:
    """What one task reads and another works off."""

    def __init__(self) -> None:
        self._items: deque[tuple[Item, int]] = deque()
        self._n_bytes = 0
        self._came = asyncio.Event()
        self._went = asyncio.Event()

    def put(self, item: Item, n_bytes: int = 0) -> None:
        """Put in what came in a message of so many bytes."""
        self._items.append((item, n_bytes))
        self._n_bytes += n_bytes
        self._came.set()

    async def room(self, bytes_per_s: int) -> None:
        """Wait until another message may come, where audio has so many bytes a second."""
        while self._n_bytes > _MAX_WAITING_S * bytes_per_s or len(self._items) >= _MAX_MESSAGES:
            self._went.clear()
            await self._went.wait()

    async def take(self, bytes_per_s: int) -> Request | MessageError | End | list[Piece]:
        """Wait for the next item and take it out; audio comes as the pieces of the next job."""
        while not self._items:
            self._came.clear()
            await self._came.wait()
        item, n_bytes = self._pop()
        if not isinstance(item, Piece):
            return item
        pieces = [item]
        while n_bytes < _MAX_JOB_S * bytes_per_s and self._items:
            item, more = self._items[0]
            if not isinstance(item, Piece):
                break
            self._pop()
            pieces.append(item)
            n_bytes += more
        return pieces

    def _pop(self) -> tuple[Item, int]:
        item, n_bytes = self._items.popleft()
        self._n_bytes -= n_bytes
        self._went.set()
        return item, n_bytes
