"""For benchmarks/service.py: clients that vanish, stall and send junk."""

import asyncio
import contextlib
import time
from collections import Counter
from typing import Any

import httpx
import numpy as np
import websockets

from junk import message, mutated, recordings
from service_clients import FRAME_S, RATE, Server, speak, talk

N_SOAK = 16  # clients at the same time
WARM_S = 60.0  # of a soak, before memory counts
N_FUZZERS = 8
ANSWER_S = 30.0  # without an answer for so long, the server hangs


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
        await socket.send(bytes(320))
        for _ in range(200):
            await socket.send(message(rng))
            await asyncio.sleep(0.01)


async def _uploads(one: Server, rng: np.random.Generator) -> None:
    content = recordings(talk(rng, 3.0, (0.1, 0.4)), RATE)["flac"]
    if rng.random() < 0.5:
        content = mutated(content, rng)
    async with httpx.AsyncClient(timeout=ANSWER_S) as client:
        query = {"segments": bool(rng.random() < 0.5)}
        await client.post(f"{one.url}/v1/predict", files={"file": content}, params=query)


_VISITS = (_speaks, _vanishes, _stalls, _floods, _babbles, _uploads)


async def fuzz_messages(one: Server, n_messages: int) -> dict[str, Any]:
    """Send junk into live sessions, which are opened anew as they are closed."""
    left = iter(range(n_messages))
    closes: Counter[str] = Counter()

    async def fuzzer(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in left:
            try:
                async with websockets.connect(one.live, compression=None) as socket:
                    reading = asyncio.create_task(_read(socket))
                    if rng.random() < 0.5:  # after the first audio, mistakes do not end a session
                        await socket.send(bytes(320))
                    for _ in range(500):
                        await asyncio.wait_for(socket.send(message(rng)), ANSWER_S)
                        if next(left, None) is None:
                            break
                    await socket.close()
                    await reading
            except websockets.ConnectionClosed:
                await asyncio.wait_for(reading, ANSWER_S)
            closes[f"{socket.close_code} {socket.close_reason}".strip()] += 1

    began = time.perf_counter()
    await asyncio.gather(*(fuzzer(seed) for seed in range(N_FUZZERS)))
    seconds = time.perf_counter() - began
    await _empty(one)
    return {
        "messages": n_messages,
        "seconds": round(seconds),
        "closes": dict(closes),
        "sessions_left": int(one.figure("emovox_live_sessions")),
        "errors_in_log": len(one.errors()),
    }


async def _read(socket: websockets.ClientConnection) -> None:
    with contextlib.suppress(websockets.ConnectionClosed):
        async for text in socket:
            assert "Traceback" not in str(text)


async def fuzz_uploads(one: Server, n_uploads: int) -> dict[str, Any]:
    """Upload recordings whose bytes, mostly of the header, have been changed."""
    left = iter(range(n_uploads))
    contents = recordings(talk(np.random.default_rng(0), 0.5, (0.02, 0.05)), RATE)
    statuses: Counter[str] = Counter()
    slowest_s = 0.0

    async def fuzzer(seed: int) -> None:
        nonlocal slowest_s
        rng = np.random.default_rng(seed)
        async with httpx.AsyncClient(timeout=ANSWER_S) as client:
            for index in left:
                name = list(contents)[index % len(contents)]
                content = mutated(contents[name], rng)
                query = {"segments": index % 3 == 0}
                began = time.perf_counter()
                answer = await client.post(
                    f"{one.url}/v1/predict", files={"file": content}, params=query
                )
                slowest_s = max(slowest_s, time.perf_counter() - began)
                assert "Traceback" not in answer.text
                statuses[str(answer.status_code)] += 1

    began = time.perf_counter()
    await asyncio.gather(*(fuzzer(seed) for seed in range(N_FUZZERS)))
    return {
        "uploads": n_uploads,
        "seconds": round(time.perf_counter() - began),
        "statuses": dict(sorted(statuses.items())),
        "slowest_s": round(slowest_s, 2),
        "server_mb": round(one.memory_mb()),
        "errors_in_log": len(one.errors()),
    }


async def _empty(one: Server) -> None:
    """Wait until all sessions are over; the longest is one that has to be found idle."""
    for _ in range(900):
        if not one.figure("emovox_live_sessions"):
            return
        await asyncio.sleep(0.1)
