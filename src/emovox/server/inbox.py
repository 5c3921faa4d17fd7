"""The inbox of a live session: a queue of messages, limited in bytes and in number."""

import asyncio
from collections import deque
from dataclasses import dataclass

from .channels import Encoded
from .protocol import MessageError, Request

_MAX_JOB_S = 0.5  # seconds of audio in one job, so that other sessions get their turn soon
_MAX_WAITING_S = 2.0  # the bytes of this much audio may wait; then reading pauses
_MAX_MESSAGES = 100  # messages that may wait, however small


@dataclass(frozen=True)
class End:
    """The reason for which a session ends, and its close code."""

    reason: str
    close_code: int = 1000
    message: str = ""  # of an error that is sent first


Item = Encoded | Request | MessageError | End


class Inbox:
    """A queue between the task that reads messages and the one that handles them."""

    def __init__(self) -> None:
        self._items: deque[tuple[Item, int]] = deque()
        self._n_bytes = 0
        self._added = asyncio.Event()
        self._removed = asyncio.Event()

    def put(self, item: Item, n_bytes: int = 0) -> None:
        """Add the content of a message of this size."""
        self._items.append((item, n_bytes))
        self._n_bytes += n_bytes
        self._added.set()

    async def room(self, bytes_per_s: int) -> None:
        """Wait until there is room for a message; audio has `bytes_per_s`."""
        while self._n_bytes > _MAX_WAITING_S * bytes_per_s or len(self._items) >= _MAX_MESSAGES:
            self._removed.clear()
            await self._removed.wait()

    async def take(self, bytes_per_s: int) -> Request | MessageError | End | list[Encoded]:
        """Wait for the next item and remove it; audio is returned as the messages of one job."""
        while not self._items:
            self._added.clear()
            await self._added.wait()
        item, n_bytes = self._pop()
        if not isinstance(item, Encoded):
            return item
        messages = [item]
        while n_bytes < _MAX_JOB_S * bytes_per_s and self._items:
            item, more = self._items[0]
            if not isinstance(item, Encoded):
                break
            self._pop()
            messages.append(item)
            n_bytes += more
        return messages

    def _pop(self) -> tuple[Item, int]:
        item, n_bytes = self._items.popleft()
        self._n_bytes -= n_bytes
        self._removed.set()
        return item, n_bytes
