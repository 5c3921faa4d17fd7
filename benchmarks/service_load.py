"""For benchmarks/service.py: what honest clients measure."""

import asyncio
import io
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import soundfile
import websockets

from emovox import Recognizer
from service_clients import RATE, Heard, Server, server, speak, talk

N_STARTS = 5
N_PAIRS = 60  # of a request and a call in Python
N_CLIENTS = 16
CLIP_S = 3.0
PAUSES_S = (0.6, 1.5)  # between sentences of some 1.5 s


def clip() -> bytes:
    """Return three seconds of speech as WAV."""
    file = io.BytesIO()
    audio = talk(np.random.default_rng(3), CLIP_S, (0.05, 0.1))
    soundfile.write(file, audio, RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, 95th percentile and largest of some values."""
    p50, p95, most = np.percentile(values, [50, 95, 100])
    return {"n": len(values), "p50": round(p50, 1), "p95": round(p95, 1), "max": round(most, 1)}


def startup(log: Path) -> dict[str, float]:
    """Start the process anew some times; return the median seconds to the first prediction."""
    content, seconds = clip(), []
    for _ in range(N_STARTS):
        began = time.perf_counter()
        with server(log) as one:
            answer = httpx.post(f"{one.url}/v1/predict", files={"file": content})
            seconds.append(time.perf_counter() - began)
            answer.raise_for_status()
    return {"rounds": N_STARTS, "seconds_to_first_prediction": round(statistics.median(seconds), 2)}


async def overhead(one: Server) -> dict[str, float]:
    """Recognise a clip in turn here and over HTTP; return the median milliseconds of both."""
    content, recognizer = clip(), Recognizer.load()
    here, there = [], []
    async with httpx.AsyncClient() as client:
        for _ in range(N_PAIRS):
            began = time.perf_counter()
            expected = recognizer.predict(content)
            here.append(1000 * (time.perf_counter() - began))
            began = time.perf_counter()
            answer = await client.post(f"{one.url}/v1/predict", files={"file": content})
            there.append(1000 * (time.perf_counter() - began))
            assert answer.json()["prediction"] == expected.to_dict()
    python_ms, http_ms = statistics.median(here), statistics.median(there)
    return {
        "python_ms": round(python_ms, 1),
        "http_ms": round(http_ms, 1),
        "more_ms": round(http_ms - python_ms, 1),
    }


async def live_sessions(
    one: Server, n_sessions: int, seconds: float, *, by_phone: bool = False
) -> dict[str, Any]:
    """Let as many speak as the server takes, and others be refused in between."""
    before, began = one.cpu_seconds(), time.perf_counter()
    speakers = [
        asyncio.create_task(_speaker(one, index, n_sessions, seconds, by_phone))
        for index in range(n_sessions)
    ]
    await asyncio.sleep(seconds / 2)
    refused = [await _refused(one) for _ in range(20)]
    heard = await asyncio.gather(*speakers)
    cores = (one.cpu_seconds() - before) / (time.perf_counter() - began)
    assert not [found.error for found in heard if found.error or not found.closed]
    return {
        "sessions": n_sessions,
        "seconds": seconds,
        "interim_ms": spread([ms for found in heard for ms in found.interim_ms]),
        "final_ms": spread([ms for found in heard for ms in found.final_ms]),
        "in_the_server_ms": spread([ms for found in heard for ms in found.server_ms]),
        "refused_beyond": f"{sum(status == 503 for status in refused)} of {len(refused)}",
        "server_cores": round(cores, 2),
        "server_mb": round(one.memory_mb()),
        "errors_in_log": len(one.errors()),
    }


async def _speaker(
    one: Server, index: int, n_sessions: int, seconds: float, by_phone: bool
) -> Heard:
    await asyncio.sleep(index / n_sessions)  # nobody begins at the same moment
    audio = talk(np.random.default_rng(index), seconds, PAUSES_S)
    return await speak(one.live, audio, by_phone=by_phone)


async def _refused(one: Server) -> int:
    """Try to open one session more; return the status of its refusal, 101 for none."""
    try:
        async with websockets.connect(one.live):
            return 101
    except websockets.InvalidStatus as refusal:
        return refusal.response.status_code


async def uploads(one: Server, n_uploads: int) -> dict[str, Any]:
    """Upload clips by several clients at once."""
    content, left = clip(), iter(range(n_uploads))
    latencies: list[float] = []
    failed: list[int] = []

    async def client() -> None:
        async with httpx.AsyncClient(timeout=60) as http:
            for _ in left:
                began = time.perf_counter()
                answer = await http.post(f"{one.url}/v1/predict", files={"file": content})
                latencies.append(1000 * (time.perf_counter() - began))
                if answer.status_code != 200:
                    failed.append(answer.status_code)

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(N_CLIENTS)))
    seconds = time.perf_counter() - began
    return {
        "uploads": n_uploads,
        "clients": N_CLIENTS,
        "failed": len(failed),
        "per_second": round(n_uploads / seconds, 1),
        "ms": spread(latencies),
        "server_mb": round(one.memory_mb()),
        "errors_in_log": len(one.errors()),
    }
