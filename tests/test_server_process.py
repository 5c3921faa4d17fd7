"""`emovox serve` as a process: how it ends, and its log."""

import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
import soundfile

from emovox.server.logs import JsonLines, PatientHandler
from running_server import RATE, raw, wav

UPGRADE = (
    b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
CODE = "import sys; from emovox.cli import run; sys.exit(run(sys.argv[1:]))"


@contextmanager
def served(**settings: str) -> Iterator[tuple[subprocess.Popen, int]]:
    """Start the service as a process of its own; give it and its port."""
    command = [sys.executable, "-c", CODE, "serve", "--port", "0"]
    env = os.environ | {f"EMOVOX_{name.upper()}": value for name, value in settings.items()}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as process:
        try:
            assert process.stderr is not None
            url = json.loads(process.stderr.readline())["url"]
            yield process, int(re.search(r":(\d+)$", url)[1])
        finally:
            process.kill()


def head(n_bytes: int, more: str = "") -> bytes:
    """Return what comes before a recording of some bytes that is to be recognised."""
    return (
        f"POST /v1/predict?segments=true HTTP/1.1\r\nHost: localhost\r\n{more}"
        f"Content-Type: audio/wav\r\nContent-Length: {n_bytes}\r\n\r\n"
    ).encode()


def endless(port: int) -> socket.socket:
    """Send a recording that takes long: a quarter of an hour in which nobody speaks."""
    noise = np.random.default_rng(0).integers(-300, 300, 1_000 * RATE, np.int16)
    content = wav(noise)
    one = socket.create_connection(("127.0.0.1", port))
    one.sendall(head(len(content)) + content)
    return one


def damaged_mp3() -> bytes:
    """Return an MP3 with wrong bytes, on which libmpg123 writes notes to stderr."""
    rng = np.random.default_rng(6)
    file = io.BytesIO()
    soundfile.write(file, rng.uniform(-0.5, 0.5, 5 * RATE), RATE, format="MP3")
    content = np.frombuffer(file.getvalue(), np.uint8).copy()
    content[rng.integers(2_000, len(content), 30)] = rng.integers(0, 256, 30)
    return content.tobytes()


class TestEnd:
    """It ends when it is told to, whatever is going on."""

    @pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
    def test_beside_a_long_recording(self, signals):
        """It ends with exit code 0, in time, and who waits for an answer is told."""
        with served(shutdown_s="3") as (process, port), endless(port) as one:
            time.sleep(1.0)
            started = time.monotonic()
            for kind in signals:
                process.send_signal(kind)
                time.sleep(0.3)
            assert process.wait(timeout=30) == 0
            assert time.monotonic() - started < 5  # 3, and some for a busy machine
            assert one.recv(100).startswith(b"HTTP/1.1 503")
            assert "Traceback" not in process.stderr.read()

    def test_what_is_going_on_may_end(self):
        """A request that is being answered when the service is told to stop is answered."""
        clip = wav(np.tile(np.random.default_rng(0).integers(-99, 99, RATE, np.int16), 60))
        with served() as (process, port), socket.create_connection(("127.0.0.1", port), 60) as one:
            one.sendall(head(len(clip), "Expect: 100-continue\r\n"))
            assert one.recv(100).startswith(b"HTTP/1.1 100")  # the request has been taken up
            one.sendall(clip)
            process.terminate()
            assert one.recv(100).startswith(b"HTTP/1.1 200")
            assert process.wait(timeout=30) == 0


class TestLog:
    """Every line on stderr is JSON, and no reader can stop the service."""

    def test_every_line_is_json(self):
        """Lines of libraries are JSON, too, or left out; a refused session is not an error."""
        with served() as (process, port):
            assert httpx.post(
                f"http://127.0.0.1:{port}/v1/predict",
                content=damaged_mp3(),
                headers={"Content-Type": "audio/mpeg"},
            ).status_code in (200, 415, 422)
            raw(port, UPGRADE)
            kind = {"Content-Type": "multipart/form-data; boundary=x"}
            url = f"http://127.0.0.1:{port}"
            assert httpx.post(f"{url}/v1/predict", content=b"junk", headers=kind).status_code == 400
            raw(port, b"no HTTP\r\n\r\n")
            process.terminate()
            lines = process.stderr.read().splitlines()
        assert all(json.loads(line)["event"] for line in lines)
        assert json.loads(lines[-1])["event"] == "stop"
        assert not [line for line in lines if json.loads(line)["level"] == "error"]

    def test_crash(self):
        """The traceback of a crash in native code is printed."""
        with served() as (process, _):
            process.send_signal(signal.SIGSEGV)
            assert "Fatal Python error: Segmentation fault" in process.stderr.read()

    def test_nobody_reads(self):
        """A log that nobody reads is dropped, and the service goes on."""
        with served(max_requests_per_s="100000") as (process, port):
            with httpx.Client() as client:
                for _ in range(2_000):  # a pipe holds 64 kB, some 500 lines
                    assert client.get(f"http://127.0.0.1:{port}/healthz", timeout=10).is_success
            process.terminate()
            assert process.wait(timeout=20) == 0

    def test_dropped_lines(self):
        """How many lines were dropped is said as soon as there is room again."""
        reader, writer = os.pipe()
        handler = PatientHandler(writer)
        handler.setFormatter(JsonLines())
        n_lines, text = 5_000, "x" * 200
        for _ in range(n_lines):
            handler.emit(logging.makeLogRecord({"msg": text}))
        with os.fdopen(reader) as file:
            events, dropped = 0, 0
            while events + dropped < n_lines:
                line = json.loads(file.readline())
                dropped += line.get("lines", 0)
                events += line["event"] == text
        assert dropped > 0
        assert events > 1_000
