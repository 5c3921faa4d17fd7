"""A real server in a thread, on a free port of 127.0.0.1, for the tests of the service."""

import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import soundfile
import uvicorn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from conftest import REPOSITORY
from emovox.server.messages import asyncapi
from emovox.server.process import bind, make_server
from emovox.server.settings import ServerSettings

EXAMPLES = REPOSITORY / "examples"
RATE = 16_000


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    server: uvicorn.Server
    port: int

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def live_url(self) -> str:
        """Where live sessions begin."""
        return f"ws://127.0.0.1:{self.port}/v1/stream"

    def live(self, **options: Any) -> ClientConnection:
        """Begin a live session; close it with `with`."""
        return connect(self.live_url, compression=None, **options)


@contextmanager
def running(**settings: Any) -> Iterator[Running]:
    """Run a server until the block ends."""
    made = ServerSettings(**{"port": 0, **settings})
    with bind(made) as listener:
        server = make_server(made)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        port = listener.getsockname()[1]
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.01)
            yield Running(server, port)
        finally:
            server.should_exit = True
            thread.join(timeout=30)
            assert not thread.is_alive(), "the server did not stop"


def speech(*, silence_s: float = 0.8, name: str = "even") -> np.ndarray:
    """Return a spoken sentence as s16 at 16 kHz, with silence behind it."""
    audio, rate = soundfile.read(EXAMPLES / f"{name}.flac", dtype="int16")
    assert rate == RATE
    return np.concatenate([audio, np.zeros(int(silence_s * RATE), np.int16)])


def say(socket_: ClientConnection, audio: np.ndarray, frame: int = 1_600) -> None:
    """Send samples, some at a time."""
    for first in range(0, len(audio), frame):
        socket_.send(audio[first : first + frame].astype("<i2").tobytes())


def tell(socket_: ClientConnection, kind: str, **fields: Any) -> None:
    """Send a text message."""
    socket_.send(json.dumps({"type": kind, **fields}))


def heard(socket_: ClientConnection, until: str | None = None) -> list[dict[str, Any]]:
    """Receive messages, up to one of a type, or until the session is closed; check their schema."""
    found: list[dict[str, Any]] = []
    try:
        while not found or found[-1]["type"] != until:
            found.append(json.loads(socket_.recv(timeout=20)))
            check_message(found[-1])
    except ConnectionClosed:
        assert until is None, f"closed before {until}: {found}"
    return found


@cache
def validators() -> dict[str, Any]:
    """Return a validator of each type of message, as the AsyncAPI document describes it."""
    jsonschema = pytest.importorskip("jsonschema_rs")
    document = asyncapi()
    components = document["components"]
    return {
        message["name"]: jsonschema.validator_for({**message["payload"], "components": components})
        for message in components["messages"].values()
        if "name" in message
    }


def check_message(message: dict[str, Any]) -> None:
    """Check that a message is one that the AsyncAPI document describes."""
    with suppress(pytest.skip.Exception):  # no validator is installed
        validators()[message["type"]].validate(message)


def results(messages: list[dict[str, Any]], *, final: bool = True) -> list[dict[str, Any]]:
    """Return the predictions among messages."""
    predictions = [one["prediction"] for one in messages if one["type"] == "result"]
    return [one for one in predictions if one["final"] == final]


def wav(samples: np.ndarray, rate: int = RATE, **options: Any) -> bytes:
    """Encode samples."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **{"format": "WAV", "subtype": "PCM_16", **options})
    return file.getvalue()


def raw(port: int, content: bytes, timeout: float = 5.0) -> bytes:
    """Send bytes and return what comes back until the other side closes or is silent."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as one:
        one.sendall(content)
        try:
            while part := one.recv(65_536):
                answer += part
        except (TimeoutError, ConnectionResetError):
            pass
    return answer
