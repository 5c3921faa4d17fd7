"""For benchmarks/fuzz.py: live sessions of telephones, with sound that no telephone sends."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from random import Random
from typing import Any

import numpy as np
import soundfile

from fuzz_messages import BINARY, LEFT_S, TEXT, Sent, begin, frame, listen
from fuzz_tally import Note
from fuzz_wire import Streams, Target, connection, send
from machine import REPOSITORY

RATES = (8_000, 8_000, 8_000, 11_025, 16_000, 48_000)
ASKS = ("turn", "turn", "flush", "baseline.get", "baseline.reset", "ping")
LATE = {"type": "session.update", "rate": 16_000}  # which ends a session


@dataclass(frozen=True)
class Line:
    """How a session hears."""

    encoding: str
    rate: int
    channels: int

    def update(self, rng: Random) -> dict[str, Any]:
        """Return the message that opens the session."""
        options = {"learn": rng.random() < 0.7, "interval_s": rng.choice((0.1, 0.5, 10))}
        options |= {"prosody": rng.random() < 0.2, "emotion": rng.random() < 0.8}
        return {"type": "session.update", **vars(self), **options}


async def case(target: Target, rng: Random, note: Note) -> None:
    """Open a session, stream, ask for turns, hang up; each question has its answer."""
    line = Line(rng.choice(("mulaw", "mulaw", "mulaw", "alaw")), rng.choice(RATES), 1)
    if rng.random() < 0.3:
        line = Line(line.encoding, line.rate, rng.choice((2, 2, 8)))
    async with connection(target) as streams:
        if await begin(target, streams, rng, note):
            await _call(streams, line, rng, note)


async def _call(streams: Streams, line: Line, rng: Random, note: Note) -> None:
    said: Counter[str] = Counter()
    reading = asyncio.create_task(listen(streams, note, said))
    n_turns = 0
    for sent in _messages(line, rng):
        if reading.done() or streams[1].is_closing():
            break
        note.sent()
        n_turns += sent.n_turns
        await send(streams[1], sent.frame.content)
    if rng.random() < 0.1:  # hangs up without a word
        reading.cancel()
        return
    began = time.perf_counter()
    await send(streams[1], frame(TEXT, b'{"type": "session.close"}'))
    try:
        await asyncio.wait_for(reading, LEFT_S)
    except TimeoutError:
        note.fault(f"a session: kept for more than {LEFT_S:g} s")
        return
    note.answer("over", time.perf_counter() - began)
    if said["1000"] and said["turn"] != n_turns:
        note.fault(f"{said['turn']} answers to {n_turns} turns")


@dataclass(frozen=True)
class _Said:
    frame: Sent
    n_turns: int = 0  # answers that are due


def _messages(line: Line, rng: Random) -> Iterator[_Said]:
    """Yield what a telephone sends, and what it does not."""
    yield _Said(_text(line.update(rng)))
    sounds = _sounds(line, rng)
    for _ in range(rng.choice((1, 20, 100, 400))):
        kind = rng.random()
        if kind < 0.1:
            yield _ask(line, rng)
        elif kind < 0.1005:
            yield _Said(_text(LATE))
        else:
            yield _Said(Sent(frame(BINARY, next(sounds))))


def _ask(line: Line, rng: Random) -> _Said:
    kind = rng.choice(ASKS)
    asked: dict[str, Any] = {"type": kind}
    if rng.random() < 0.3:
        asked["channel"] = rng.choice((0, line.channels - 1, line.channels, -1))
    channel = asked.get("channel")
    is_heard = channel is None or 0 <= channel < line.channels
    n_answers = (line.channels if channel is None else 1) if is_heard else 0
    return _Said(_text(asked), n_turns=n_answers if kind == "turn" else 0)


def _text(message: dict[str, Any]) -> Sent:
    return Sent(frame(TEXT, json.dumps(message).encode()))


def _sounds(line: Line, rng: Random) -> Iterator[bytes]:
    """Yield messages of sound, mostly 20 ms: speech, with noise, silence, clicks and stumps."""
    n_bytes, speech = line.channels * line.rate // 50, _speech(line.encoding)
    at, quiet = rng.randrange(len(speech)), rng.choice((0.0, 0.1, 0.5))
    while True:
        kind = rng.random()
        if kind < 0.02:
            yield rng.randbytes(rng.choice((0, 1, n_bytes - 1, n_bytes + 1, 8_000, 63_999)))
        elif kind < quiet:
            yield bytes([rng.choice((0x00, 0x55, 0x7F, 0x80, 0xD5, 0xFF))]) * n_bytes
        elif kind < 1.2 * quiet:
            yield rng.randbytes(n_bytes)
        else:
            at = (at + n_bytes) % (len(speech) - n_bytes)
            yield speech[at : at + n_bytes]


@cache
def _speech(encoding: str) -> bytes:
    """Return half a minute of speech, as bytes of an encoding at 8 kHz."""
    files = sorted((REPOSITORY / "examples").glob("*.flac"))
    samples = np.tile(np.concatenate([soundfile.read(path)[0][::2] for path in files]), 3)
    encoded = BytesIO()
    subtype = {"mulaw": "ULAW", "alaw": "ALAW"}[encoding]
    soundfile.write(encoded, samples, 8_000, format="RAW", subtype=subtype)
    return encoded.getvalue()
