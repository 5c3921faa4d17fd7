"""For benchmarks/service.py: clients that come, go, vanish, stall and send junk."""

import asyncio
import contextlib
import io
import time
from collections import Counter
from random import Random
from typing import Any

import httpx
import numpy as np
import soundfile
import websockets

from fuzz_formats import wrong_bytes
from fuzz_messages import message
from service_clients import FRAME_S, RATE, Server, speak, talk

N_SOAK = 16  # clients at the same time
WARM_S = 60.0  # of a soak, before memory counts
ANSWER_S = 30.0  # without an answer for so long, the server hangs
FOREIGN = {"schema": 1, "model": "0" * 16, "name": "x", "seconds": 1.0, "total": [0.0] * 10}


async def soak(one: Server, seconds: float) -> dict[str, Any]:
    """Let clients of all kinds come and go; return memory, and what they leave behind."""
    end = time.monotonic() + seconds
    kinds: Counter[str] = Counter()
    memory_mb: list[float] = []

    async def client(seed: int) -> None:
        rng = np.random.default_rng(seed)
        while time.monotonic() < end:
            visit = _VISITS[int(rng.integers(len(_VISITS)))]
            kinds[visit.__name__.strip("_")] += 1
            with contextlib.suppress(websockets.WebSocketException, OSError, httpx.HTTPError):
                await visit(one, rng)

    async def watch() -> None:
        await asyncio.sleep(min(WARM_S, seconds / 3))
        while time.monotonic() < end:
            memory_mb.append(one.memory_mb())
            await asyncio.sleep(2)

    await asyncio.gather(watch(), *(client(seed) for seed in range(N_SOAK)))
    await _empty(one)
    n = max(1, len(memory_mb) // 10)
    first, last = np.median(memory_mb[:n]), np.median(memory_mb[-n:])
    return {
        "minutes": round(seconds / 60, 1),
        "visits": dict(kinds),
        "memory_mb": {"first": round(first), "last": round(last), "most": round(max(memory_mb))},
        "grown_mb": round(last - first, 1),
        "sessions_left": int(one.figure("emovox_live_sessions")),
        "errors_in_log": len(one.errors()),
    }


async def _speaks(one: Server, rng: np.random.Generator) -> None:
    await speak(one.live, talk(rng, rng.uniform(2, 20), (0.4, 1.5)))


async def _vanishes(one: Server, rng: np.random.Generator) -> None:
    """Speak, and be gone without a word."""
    socket = await websockets.connect(one.live)
    audio = talk(rng, rng.uniform(0.5, 5), (0.2, 0.5))
    n_frame = int(FRAME_S * RATE)
    for first in range(0, len(audio), n_frame):
        await socket.send(audio[first : first + n_frame].tobytes())
        await asyncio.sleep(FRAME_S)
    socket.transport.abort()


async def _stalls(one: Server, rng: np.random.Generator) -> None:
    """Open a session and neither read nor send for a while."""
    async with websockets.connect(one.live, max_queue=1):
        await asyncio.sleep(rng.uniform(1, 10))


async def _floods(one: Server, rng: np.random.Generator) -> None:
    """Send much faster than in real time, and read nothing."""
    socket = await websockets.connect(one.live, max_queue=1)
    sound = talk(rng, 30.0, (0.2, 0.5)).tobytes()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5):
            for first in range(0, len(sound), 32_000):
                await socket.send(sound[first : first + 32_000])
    socket.transport.abort()


async def _babbles(one: Server, rng: np.random.Generator) -> None:
    """Send junk until shown the door."""
    async with websockets.connect(one.live) as socket:
        junk = Random(int(rng.integers(1 << 32)))
        await socket.send(bytes(320))
        for _ in range(200):
            await socket.send(message(FOREIGN, junk))
            await asyncio.sleep(0.01)


async def _uploads(one: Server, rng: np.random.Generator) -> None:
    file = io.BytesIO()
    soundfile.write(file, talk(rng, 3.0, (0.1, 0.4)), RATE, format="FLAC")
    content = file.getvalue()
    if rng.random() < 0.5:
        content = wrong_bytes(content, Random(int(rng.integers(1 << 32))))
    async with httpx.AsyncClient(timeout=ANSWER_S) as client:
        query = {"segments": bool(rng.random() < 0.5)}
        await client.post(f"{one.url}/v1/predict", files={"file": content}, params=query)


_VISITS = (_speaks, _vanishes, _stalls, _floods, _babbles, _uploads)


async def _empty(one: Server) -> None:
    """Wait until all sessions are over; the longest is one that has to be found idle."""
    for _ in range(900):
        if not one.figure("emovox_live_sessions"):
            return
        await asyncio.sleep(0.1)
