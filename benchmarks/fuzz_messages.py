"""For benchmarks/fuzz.py: frames and messages of live sessions as no honest client sends them."""

import asyncio
import base64
import json
import struct
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from fuzz_json import any_text, any_value, encoded, mutated_json, mutated_object, nest, strict
from fuzz_tally import Note
from fuzz_wire import ANSWER_S, GONE, Streams, Target, connection, send

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FLOODING = 0.01  # of the sessions: much is sent and nothing read
FLOOD_BYTES = 30_000_000
LEFT_S = 40.0  # within which a session ends; junk is read slowly on purpose
STUCK_S = 3.0  # after which a flood that is not taken in is over
KINDS = (
    "session.update", "baseline.get", "baseline.reset", "flush", "turn", "ping", "session.close",
)  # fmt: skip
SAID = frozenset({
    "session.created", "session.updated", "session.closed", "speech.start", "speech.end", "result",
    "measurement", "turn", "level", "baseline", "pong", "error",
})  # fmt: skip
OWN_CODES = (1001, 1008)  # whose reasons are the service's own words
MASK = b"\0\0\0\0"  # any will do, and this one costs nothing


@dataclass(frozen=True)
class Sent:
    """A frame's bytes, and whether it keeps the rules of WebSocket."""

    content: bytes
    is_lawful: bool = True


async def case(target: Target, rng: Random, note: Note) -> None:
    """Open a session, send messages, end it in one way or another, and judge what it says."""
    async with connection(target) as streams:
        if not await begin(target, streams, rng, note):
            return
        if rng.random() < FLOODING:
            await _flood(streams, rng, note)
        else:
            await _talk(target, streams, rng, note)


async def begin(target: Target, streams: Streams, rng: Random, note: Note) -> bool:
    """Open a live session; return whether it is let in."""
    await send(streams[1], _handshake(target, rng))
    try:
        head = await asyncio.wait_for(streams[0].readuntil(b"\r\n\r\n"), ANSWER_S)
    except (TimeoutError, *GONE):
        note.fault("a right handshake was not answered")
        return False
    is_in = head.startswith(b"HTTP/1.1 101")
    if not is_in:
        note.answer(f"refused: {head[9:12].decode()}")
    return is_in


def _handshake(target: Target, rng: Random) -> bytes:
    key = base64.b64encode(rng.randbytes(16)).decode()
    return (
        "GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        f"Authorization: Bearer {target.token}\r\n\r\n"
    ).encode()


async def _talk(target: Target, streams: Streams, rng: Random, note: Note) -> None:
    reading = asyncio.create_task(listen(streams, note))
    if rng.random() < 0.6:  # with audio first, a session bears a hundred mistakes
        note.sent()
        await send(streams[1], frame(BINARY, bytes(320)))
    is_lawful = rng.random() < 0.8  # so that many messages come through
    for _ in range(rng.choice((1, 5, 60, 150, 300))):
        if reading.done() or streams[1].is_closing():
            break
        one = lawful(target, rng) if is_lawful or rng.random() < 0.8 else unlawful(rng)
        note.sent()
        await send(streams[1], one.content)
        if not one.is_lawful:
            break
    await _leave(streams, reading, rng, note)


async def _leave(streams: Streams, reading: "asyncio.Task[None]", rng: Random, note: Note) -> None:
    """End a session, or leave that to the service; either way it ends in time."""
    kind, began = rng.random(), time.perf_counter()
    if kind < 0.15:  # gone without a word
        reading.cancel()
        return
    if kind < 0.95:
        last = frame(TEXT, b'{"type": "session.close"}')
        closes = (
            b"",
            struct.pack(">H", 1000),
            b"x",
            struct.pack(">H", 999),
            b"\x03\xe8" + b"x" * 123,
        )
        await send(streams[1], rng.choice((last, frame(CLOSE, rng.choice(closes)))))
    try:
        await asyncio.wait_for(reading, LEFT_S)
        note.answer("over", time.perf_counter() - began if kind < 0.95 else 0.0)
    except TimeoutError:
        note.fault(f"a session: kept for more than {LEFT_S:g} s")


async def _flood(streams: Streams, rng: Random, note: Note) -> None:
    """Send much, read nothing, and be gone."""
    asks = [
        {"type": "baseline.get", "x": [[], []] * 7_000},
        {"type": "session.update", "x": "y" * 60_000},
    ]
    kinds = (
        frame(TEXT, json.dumps(asks[0]).encode()),
        frame(TEXT, json.dumps(asks[1]).encode()),
        frame(TEXT, b'{"type": "baseline.get"}'),
        frame(TEXT, b"{"),
        frame(PING, b"x" * 125),
        frame(BINARY, bytes(60_000)),
    )
    content = rng.choice(kinds)
    content *= 1 + 60_000 // len(content)
    streams[0]._transport.pause_reading()  # type: ignore[attr-defined] # asyncio has no other way
    for _ in range(FLOOD_BYTES // len(content)):
        note.sent()
        streams[1].write(content)
        try:
            await asyncio.wait_for(streams[1].drain(), STUCK_S)
        except TimeoutError:
            note.answer("flood held up")
            return
        except OSError:
            note.answer("flood cut off")
            return
    note.answer("flood taken in")


async def listen(streams: Streams, note: Note, said: Counter[str] | None = None) -> None:
    """Judge what a session says, and answer its pings; without that, it ends after 40 s.

    The types of its messages, and its close code, are counted in `said`.
    """
    try:
        while True:
            opcode, content = await _read_frame(streams[0])
            if opcode == TEXT:
                kind = _judge(note, content)
                if said is not None:
                    said[kind] += 1
            elif opcode == PING:
                streams[1].write(frame(PONG, content))
            elif opcode == CLOSE:
                code = int.from_bytes(content[:2], "big")
                if said is not None:
                    said[str(code)] += 1
                reason = content[2:].decode(errors="replace")
                note.answer(f"closed: {code} {reason if code in OWN_CODES else ''}".strip())
                if code == 1011:
                    note.fault("a session was closed with 1011")
                return
    except GONE:
        note.answer("closed without a close frame")


async def _read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, length = await reader.readexactly(2)
    if length == 126:
        length = int.from_bytes(await reader.readexactly(2), "big")
    elif length == 127:
        length = int.from_bytes(await reader.readexactly(8), "big")
    return first & 15, await reader.readexactly(length)


def _judge(note: Note, content: bytes) -> str:
    """Judge a message; return its type, "" where it has none."""
    try:
        message = strict(content)
    except ValueError as error:
        note.fault(f"a message that is not JSON: {error!s:.60}")
        return ""
    kind = message["type"]
    if kind not in SAID:
        note.fault(f"a message of the type {kind}")
    if kind == "error":
        note.answer(f"error: {message['code']}")
        if message["code"] == "internal":
            note.fault("the session told of a mistake of its own")
    else:
        note.answer(kind)
    return str(kind)


def frame(
    opcode: int,
    content: bytes,
    *,
    fin: int = 1,
    rsv: int = 0,
    masked: bool = True,
    length: int = -1,
) -> bytes:
    """Return a client's frame, which may lie about its length."""
    size = len(content) if length < 0 else length
    mark = 128 if masked else 0
    if size < 126:
        told = bytes([mark | size])
    elif size < 1 << 16:
        told = bytes([mark | 126]) + struct.pack(">H", size)
    else:
        told = bytes([mark | 127]) + struct.pack(">Q", size)
    return bytes([fin << 7 | rsv << 4 | opcode]) + told + (MASK if masked else b"") + content


def lawful(target: Target, rng: Random) -> Sent:
    """Return a message in one frame or in some, with control frames between them."""
    content = message(target.baseline, rng)
    opcode = BINARY if isinstance(content, bytes) else TEXT
    if isinstance(content, bytes):
        data, is_lawful = content, True
    else:
        data = encoded(content) if rng.random() < 0.05 else content.encode("utf-8", "replace")
        is_lawful = _is_text(data)
    if rng.random() < 0.05:
        return Sent(b"".join(_pieces(opcode, data, rng)), is_lawful)
    if rng.random() < 0.05:
        return Sent(frame(rng.choice((PING, PONG)), rng.randbytes(rng.randrange(126))))
    return Sent(frame(opcode, data), is_lawful)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _pieces(opcode: int, data: bytes, rng: Random) -> Iterator[bytes]:
    size = rng.choice((1, 7, 1_000))
    starts = range(0, max(1, min(len(data), 100 * size)), size)
    for first in starts:
        part = data[first : first + size] if first != starts[-1] else data[first:]
        yield frame(CONTINUED if first else opcode, part, fin=int(first == starts[-1]))
        if rng.random() < 0.1:
            yield frame(PING, b"x")


def unlawful(rng: Random) -> Sent:
    """Return a frame against the rules."""
    content = rng.randbytes(rng.choice((0, 1, 5, 125, 126, 300)))
    opcode = rng.choice((TEXT, BINARY, PING, CLOSE))
    kinds = (
        frame(opcode, content, masked=False),
        frame(opcode, content, rsv=rng.randrange(1, 8)),
        frame(rng.choice((3, 4, 7, 11, 15)), content),
        frame(rng.choice((PING, PONG, CLOSE)), content, fin=0),
        frame(PING, bytes(126)),
        frame(CONTINUED, content),
        frame(TEXT, b"a", fin=0) + frame(BINARY, b"b"),
        frame(BINARY, content, length=rng.choice((2**16, 2**31, 2**62, 2**63 + 5))),
        frame(BINARY, bytes(64_001)),
        b"".join(frame(CONTINUED if index else BINARY, bytes(30_000), fin=0) for index in range(5)),
        frame(BINARY, b"", fin=0) + frame(CONTINUED, b"", fin=0) * 5_000,
        frame(TEXT, b"\xff\xfe" + content),
        frame(CLOSE, rng.choice((b"x", b"\x00\x00", b"\xff\xff", b"\x03\xed", b"\x03\xe8\xff"))),
        rng.randbytes(rng.randrange(1, 400)),
    )
    return Sent(rng.choice(kinds), is_lawful=False)


def message(baseline: dict[str, Any], rng: Random) -> str | bytes:
    """Return something to send into a live session, text or sound."""
    kind = rng.random()
    if kind < 0.08:
        return rng.randbytes(rng.choice((0, 1, 2, 3, 399, 1_600)))
    if kind < 0.14:
        return _sound(rng)
    if kind < 0.17:
        return any_text(rng) if kind < 0.16 else nest(rng)
    said = _said(baseline, rng)
    return mutated_json(rng, said) if rng.random() < 0.4 else json.dumps(said)


def _said(baseline: dict[str, Any], rng: Random) -> dict[str, Any]:
    """Return an object that is a message, mostly, with fields that fit or do not."""
    kind = rng.choice(KINDS[:5]) if rng.random() < 0.99 else KINDS[5]
    said: dict[str, Any] = {"type": kind}
    if kind == "session.update":
        fields = {
            "encoding": rng.choice(("linear16", "mulaw", "mulaw", "alaw", "opus", "flac")),
            "rate": rng.choice((8_000, 16_000, 44_100, 192_000, 8_001)),
            "channels": rng.choice((1, 1, 2, 3)),
            "interval_s": rng.choice((0.1, 0.5, 10)),
            "baseline": rng.choice((None, baseline, mutated_object(rng, baseline))),
            "learn": rng.random() < 0.5,
        }
        said |= {name: value for name, value in fields.items() if rng.random() < 0.4}
    elif rng.random() < 0.2:
        said["channel"] = rng.choice((0, 0, 1, 7, 8, -1, None))
    if rng.random() < 0.2:
        said[rng.choice((*said, any_text(rng)))] = any_value(rng)
    return said


def _sound(rng: Random) -> bytes:
    """Return a tenth of a second of sound or less: noise, hum, silence, or the loudest there is."""
    n_samples, loudness = rng.choice((1, 160, 1_600)), rng.choice((0.0, 1e-4, 0.01, 0.3, 1.0))
    noise = np.frombuffer(rng.randbytes(2 * n_samples), "<i2") * loudness
    hum = 32_767 * loudness * np.sign(np.sin(np.arange(n_samples) * rng.choice((0.01, 0.05, 0.5))))
    return rng.choice((noise, hum)).astype("<i2").tobytes()
