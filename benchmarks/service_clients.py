"""For benchmarks/service.py: speakers in real time, and a server in a process of its own."""

import asyncio
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import soundfile
import soxr
import websockets

REPOSITORY = Path(__file__).resolve().parents[1]
RATE = 16_000
FRAME_S = 0.1
PHONE_RATE, PHONE_FRAME_S = 8_000, 0.02  # of telephony
PAUSE_AFTER_END_S = 0.32  # of the pause that ends an utterance, what is not part of the prediction


@dataclass
class Server:
    """A server that answers, its process, and where it listens."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Where it answers HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def live(self) -> str:
        """Where it answers live sessions."""
        return f"ws://127.0.0.1:{self.port}/v1/stream"

    def memory_mb(self) -> float:
        """Return the memory that is its own."""
        return psutil.Process(self.process.pid).memory_full_info().uss / 1e6

    def cpu_seconds(self) -> float:
        """Return the processor time it has used."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def figure(self, name: str, token: str = "") -> float:
        """Return a figure of its metrics."""
        headers = {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(f"{self.url}/metrics", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))

    def errors(self) -> list[str]:
        """Return the lines of its log that tell of an error."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [one for one in lines if '"level": "error"' in one or one.startswith("Traceback")]


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def server(
    log: Path, *options: str, checkout: Path = REPOSITORY, **settings: object
) -> Iterator[Server]:
    """Run `emovox serve` of this checkout, or of another one, until the block ends."""
    port = free_port()
    code = "import sys; from emovox.cli import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "serve", "--port", str(port), *options]
    with log.open("wb") as stderr:
        env = environment(checkout)
        env |= {f"EMOVOX_{name.upper()}": str(value) for name, value in settings.items()}
        process = subprocess.Popen(command, stderr=stderr, env=env)
    try:
        one = Server(process, port, log)
        wait_until_ready(one)
        yield one
    finally:
        process.terminate()
        process.wait(timeout=30)


def environment(checkout: Path) -> dict[str, str]:
    """Return the environment in which Python takes emovox from a checkout.

    All clients of a benchmark come from one address, which may have all places there.
    """
    return os.environ | {"PYTHONPATH": str(checkout / "src"), "EMOVOX_MAX_SHARE": "1"}


def wait_until_ready(one: Server) -> None:
    """Wait for the first answer."""
    for _ in range(2_000):
        try:
            with urllib.request.urlopen(f"{one.url}/healthz", timeout=1):
                return
        except OSError:
            if one.process.poll() is not None:
                raise SystemExit(one.log.read_text(encoding="utf-8")) from None
            time.sleep(0.01)
    raise SystemExit("the server does not answer")


def talk(rng: np.random.Generator, seconds: float, pause_s: tuple[float, float]) -> np.ndarray:
    """Make somebody talk: the sentences of examples/ in any order, with pauses; s16."""
    clips = [soundfile.read(path)[0] for path in sorted(REPOSITORY.glob("examples/*.flac"))]
    parts: list[np.ndarray] = []
    n_samples = 0
    while n_samples < seconds * RATE:
        pause = np.zeros(int(rng.uniform(*pause_s) * RATE))
        parts += [pause, clips[rng.integers(len(clips))]]
        n_samples += len(parts[-1]) + len(parts[-2])
    return (np.concatenate(parts)[: int(seconds * RATE)] * 32767).astype("<i2")


@dataclass
class Heard:
    """What a speaker got back: latencies in ms, by kind, and how the session ended."""

    interim_ms: list[float] = field(default_factory=list)
    final_ms: list[float] = field(default_factory=list)
    server_ms: list[float] = field(default_factory=list)
    closed: dict[str, object] | None = None
    error: str = ""


def phone(audio: np.ndarray) -> bytes:
    """Return what a phone sends of some sound: mu-law at 8 kHz."""
    file = io.BytesIO()
    sound = soxr.resample(audio / 32_768, RATE, PHONE_RATE)
    soundfile.write(file, sound, PHONE_RATE, format="RAW", subtype="ULAW")
    return file.getvalue()


async def speak(url: str, audio: np.ndarray, *, by_phone: bool = False) -> Heard:
    """Speak in real time; measure from when a sample is spoken to what is decided on it."""
    sound, frame_s, update = audio.tobytes(), FRAME_S, {}
    n_frame = 2 * int(FRAME_S * RATE)
    if by_phone:
        sound, frame_s = phone(audio), PHONE_FRAME_S
        update, n_frame = {"encoding": "mulaw"}, int(PHONE_FRAME_S * PHONE_RATE)
    heard = Heard()
    async with websockets.connect(url, compression=None, max_size=None) as socket_:
        await socket_.recv()
        await socket_.send(json.dumps({"type": "session.update", **update}))
        await socket_.recv()
        began = time.perf_counter()

        async def listen() -> None:
            async for text in socket_:
                _note(heard, json.loads(text), time.perf_counter() - began)

        listening = asyncio.create_task(listen())
        for index, first in enumerate(range(0, len(sound), n_frame)):
            await asyncio.sleep(max(0.0, began + (index + 1) * frame_s - time.perf_counter()))
            await socket_.send(sound[first : first + n_frame])
        await socket_.send('{"type": "session.close"}')
        await listening
    return heard


def _note(heard: Heard, message: dict[str, object], now_s: float) -> None:
    if message["type"] == "session.closed":
        heard.closed = message
    elif message["type"] == "error":
        heard.error = str(message["message"])
    elif message["type"] == "result":
        prediction = message["prediction"]
        assert isinstance(prediction, dict)
        final = prediction["final"]
        due_s = prediction["end"] + (PAUSE_AFTER_END_S if final else 0.0)
        latency = 1000 * (now_s - due_s)
        if latency > 0:  # a last utterance is ended by the close, before its pause
            (heard.final_ms if final else heard.interim_ms).append(latency)
        heard.server_ms.append(float(str(message["latency_ms"])))
