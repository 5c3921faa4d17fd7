"""For benchmarks/fuzz.py: raw connections to the service, and what an answer must not be."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from fuzz_json import strict
from fuzz_tally import Note

ANSWER_S = 10.0  # within which what can be answered is
PATIENCE_S = 0.15  # for an answer to what need not have one
KEPT_S = 20.0  # after which a connection that brings nothing more is closed
READ_LIMIT = 1 << 24  # bytes of one answer

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
GONE = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


@dataclass(frozen=True)
class Target:
    """A service under attack: where it is, and what an honest client knows of it."""

    port: int
    baseline: dict[str, Any]  # of nobody, as its model has them
    token: str = ""  # "": it needs none


@dataclass(frozen=True)
class Answer:
    """The answer to one request."""

    status: int
    head: bytes
    body: bytes
    seconds: float

    @property
    def last(self) -> bool:
        """Whether the connection ends with it."""
        return b"\r\nconnection: close" in self.head.lower()


@asynccontextmanager
async def connection(target: Target) -> AsyncIterator[Streams]:
    """Open a connection, and drop it when the block ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port, limit=READ_LIMIT)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def send(writer: asyncio.StreamWriter, content: bytes) -> None:
    """Send bytes; who does not take them in time is left alone."""
    writer.write(content)
    with contextlib.suppress(OSError, TimeoutError):
        await asyncio.wait_for(writer.drain(), ANSWER_S)


async def read_answer(reader: asyncio.StreamReader, *, of_head: bool = False) -> Answer | None:
    """Read one answer, whatever comes before it; None: the connection was closed."""
    began, status = time.perf_counter(), 100
    try:
        while 100 <= status < 200 and status != 101:
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split(maxsplit=2)[1])
        body = b""
        if not of_head and status not in (101, 204, 304):
            body = await _body(reader, head)
    except GONE:
        return None
    return Answer(status, head, body, time.perf_counter() - began)


async def answer_in_time(
    reader: asyncio.StreamReader, note: Note, *, is_due: bool = True, of_head: bool = False
) -> Answer | None:
    """Read one answer and judge it; None: there is none, which is a fault where one is due."""
    limit_s = ANSWER_S if is_due else PATIENCE_S
    try:
        answer = await asyncio.wait_for(read_answer(reader, of_head=of_head), limit_s)
    except TimeoutError:
        note.answer("no answer")
        if is_due:
            note.fault(f"no answer within {ANSWER_S:g} s")
        return None
    if answer is None:
        note.answer("closed")
    else:
        judge(note, answer)
    return answer


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return await reader.readexactly(int(line.partition(b":")[2]))
    parts = []  # in chunks
    while size := int(await reader.readline() or b"0", 16):
        parts.append(await reader.readexactly(size + 2))
    return b"".join(parts)


async def until_closed(streams: Streams, note: Note, what: str, drip: bytes = b"") -> None:
    """Send nothing more, or a little every second; expect the other side to end it."""
    reader, writer = streams
    try:
        async with asyncio.timeout(KEPT_S):
            while True:
                with contextlib.suppress(TimeoutError):
                    if not await asyncio.wait_for(reader.read(1 << 16), 1.0):
                        break
                writer.write(drip)
        note.answer("closed in time")
    except TimeoutError:
        note.fault(f"{what}: kept for more than {KEPT_S:g} s")
    except OSError:
        note.answer("closed in time")


def judge(note: Note, answer: Answer) -> str:
    """Note an answer to an HTTP request and what is wrong with it; return its code."""
    code = ""
    if b"\r\ncontent-type: application/json" in answer.head.lower() and answer.body:
        try:
            told = strict(answer.body)
        except ValueError as error:
            note.fault(f"an answer that is not JSON: {error!s:.60}")
            return code
        if isinstance(told, dict) and isinstance(told.get("error"), dict):
            code = str(told["error"].get("code"))
    if answer.status >= 500 and (answer.status, code) != (503, "busy"):
        note.fault(f"status {answer.status} {code or answer.body[:40]!r}")
    if b"Traceback" in answer.body:
        note.fault("a traceback in an answer")
    note.answer(f"{answer.status} {code}".strip(), answer.seconds)
    return code


def mangled(rng: Random, content: bytes, most: int = 5) -> bytes:
    """Change some bytes anywhere: others, more, fewer."""
    changed = bytearray(content)
    for _ in range(rng.randrange(1, most + 1)):
        at = rng.randrange(len(changed) + 1)
        changed[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
    return bytes(changed)
