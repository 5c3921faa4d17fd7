"""The example for Twilio, run as its users run it, with messages of Twilio's documented form."""

import base64
import importlib.util
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from conftest import REPOSITORY
from emovox import Recognizer
from running_server import RATE, running, speech

SID = "MZ18ad3ab5a668481ce02b83e7395059f0"
FRAME = 160  # bytes: 20 ms


def load():
    """Import the example."""
    spec = importlib.util.spec_from_file_location(
        "twilio_example", REPOSITORY / "examples/twilio.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


twilio = load()


def phone(name: str) -> bytes:
    """Return a sentence in mu-law at 8 kHz."""
    file = io.BytesIO()
    sound = soxr.resample(speech(name=name) / 32_768, RATE, 8_000)
    soundfile.write(file, sound, 8_000, format="RAW", subtype="ULAW")
    return file.getvalue()


def start(*tracks: str, **changes: object) -> dict:
    """Return a start message."""
    media_format = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1, **changes}
    return {
        "event": "start",
        "sequenceNumber": "1",
        "start": {
            "accountSid": "AC00000000000000000000000000000000",
            "streamSid": SID,
            "callSid": "CA00000000000000000000000000000000",
            "tracks": list(tracks),
            "mediaFormat": media_format,
            "customParameters": {"FirstName": "Jane"},
        },
        "streamSid": SID,
    }


def media(track: str, chunk: int, sound: bytes, timestamp_ms: int) -> dict:
    """Return a media message."""
    payload = base64.b64encode(sound).decode()
    return {
        "event": "media",
        "sequenceNumber": str(chunk + 1),
        "media": {
            "track": track, "chunk": str(chunk), "timestamp": str(timestamp_ms), "payload": payload,
        },
        "streamSid": SID,
    }  # fmt: skip


def call(**sounds: bytes) -> list[dict]:
    """Return the messages of a call with a sound on each track."""
    connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    messages = [connected, start(*sounds)]
    for first in range(0, max(map(len, sounds.values())), FRAME):
        for track, sound in sounds.items():
            if part := sound[first : first + FRAME]:
                messages.append(media(track, first // FRAME + 1, part, first // 8 + 5))
    mark = {"event": "mark", "sequenceNumber": "4", "streamSid": SID, "mark": {"name": "label"}}
    dtmf = {
        "event": "dtmf", "streamSid": SID, "sequenceNumber": "5",
        "dtmf": {"track": "inbound_track", "digit": "1"},
    }  # fmt: skip
    stop = {
        "event": "stop", "sequenceNumber": "6", "streamSid": SID,
        "stop": {"accountSid": "AC00000000000000000000000000000000", "callSid": "CA0000"},
    }  # fmt: skip
    return [*messages[:5], mark, dtmf, *messages[5:], stop]


@contextmanager
def example(url: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """Run the example; yield its process and its address."""
    command = [sys.executable, "-u", "examples/twilio.py", "--port", "0", "--url", url]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            (port,) = re.findall(r"port (\d+)", process.stdout.readline())
            yield process, f"ws://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_call(one_example):
    """Both sides of a call are heard, each as Python hears its track; other messages do no harm."""
    sounds = {"inbound": phone("even"), "outbound": phone("man-fast")}
    process, url = one_example
    with connect(url) as socket_:
        for message in call(**sounds):
            socket_.send(json.dumps(message))
        answers = [json.loads(process.stdout.readline()) for _ in range(2)]
    recognizer = Recognizer.load()
    for answer in answers:
        assert answer["call"] == "CA00000000000000000000000000000000"
        samples, _ = soundfile.read(
            io.BytesIO(sounds[answer["track"]]), dtype="int16", format="RAW", subtype="ULAW",
            samplerate=8_000, channels=1,
        )  # fmt: skip
        stream = recognizer.stream(8_000)
        (expected,) = [one for one in [*stream.feed(samples), *stream.flush()] if one.final]
        assert answer["label"] == expected.label
        assert answer["scores"] == pytest.approx(dict(expected.scores))
        assert (answer["start"], answer["end"]) == (expected.start, expected.end)
    assert {answer["track"] for answer in answers} == set(sounds)


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        (["no JSON"], "a JSON object with an event"),
        ([{"event": "media"}], "expected connected and start first"),
        ([start("inbound", encoding="audio/opus")], "expected audio/x-mulaw"),
        ([start("inbound", sampleRate=16_000)], "expected audio/x-mulaw"),
        ([start()], "one or two tracks"),
        ([start("inbound"), media("outbound", 1, b"\xff", 5)], "expected a track of inbound"),
        ([start("inbound"), media("inbound", 1, b"\xff", 10**12)], "a timestamp near"),
        ([start("inbound"), {"event": "media", "media": {"payload": "!"}}], "media with payload"),
    ],
)
def test_other_messages(messages, problem, one_example):
    """What is not of the documented form ends the call with one line that says why."""
    process, url = one_example
    with connect(url) as socket_:
        with suppress(ConnectionClosed):
            for message in messages:
                text = message if isinstance(message, str) else json.dumps(message)
                socket_.send(text)
        assert problem in json.loads(process.stdout.readline())["error"]
        with pytest.raises(ConnectionClosed):
            socket_.recv(timeout=10)
        assert socket_.close_code == 1008


@pytest.fixture(scope="module")
def one_example():
    """Run a server, and the example before it."""
    with running(max_messages_per_s=5_000) as server, example(server.url) as found:
        yield found


def sides(sound: bytes) -> tuple[bytes, bytes]:
    """Return the two tracks of interleaved sound."""
    return sound[::2], sound[1::2]


def test_silent_track():
    """A track without messages is silent, and the other is not kept waiting for it."""
    tracks = twilio.Tracks(("inbound", "outbound"))
    sound = b"".join(tracks.add("inbound", 20 * k, bytes([1]) * FRAME) for k in range(50))
    assert len(sound) // 2 == 8_000 - twilio.MAX_APART_MS * 8
    sound += tracks.add("outbound", 980, bytes([2]) * FRAME) + tracks.rest()
    inbound, outbound = sides(sound)
    assert inbound == bytes([1]) * 8_000
    assert outbound == b"\xff" * (8_000 - FRAME) + bytes([2]) * FRAME


@given(
    st.lists(st.tuples(st.sampled_from(["inbound", "outbound"]), st.integers(0, 400)), max_size=60)
)
def test_no_sound_is_lost(parts):
    """However messages come, each sample is in the result once, and both sides are equally long."""
    tracks, found, clock = twilio.Tracks(("inbound", "outbound")), b"", dict.fromkeys(range(2), 0)
    given_ = {"inbound": b"", "outbound": b""}
    for index, (name, wait_ms) in enumerate(parts):
        side = list(given_).index(name)
        clock[side] += wait_ms
        sound = bytes([index + 1]) * FRAME
        given_[name] += sound
        found += tracks.add(name, clock[side], sound)
        clock[side] += 20
    inbound, outbound = sides(found + tracks.rest())
    assert len(inbound) == len(outbound)
    assert inbound.replace(b"\xff", b"") == given_["inbound"]
    assert outbound.replace(b"\xff", b"") == given_["outbound"]


def test_a_late_track_is_no_gap():
    """Timestamps that are off by less than a message leave no hole in the sound."""
    tracks = twilio.Tracks(("inbound",))
    jitter = np.random.default_rng(0).integers(0, 20, 50)
    sound = b"".join(
        tracks.add("inbound", int(20 * k + late), b"\x01" * FRAME) for k, late in enumerate(jitter)
    )
    assert sound == b"\x01" * FRAME * 50
