"""Live sessions over a WebSocket: protocol, equality with Python, limits, safety, ends."""

import asyncio
import io
import json
import math
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress

import httpx
import numpy as np
import pytest
import soundfile
import soxr
from websockets.exceptions import ConnectionClosed, InvalidStatus

from emovox.measuring import measure_recording, measure_segments
from emovox.server.channels import Encoded
from emovox.server.inbox import Inbox
from emovox.server.protocol import Request
from running_server import RATE, heard, raw, results, running, say, speech, tell

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def server():
    """Run a server with the default settings, but one that does not slow down fast speakers."""
    with running(max_messages_per_s=5_000) as one:
        yield one


@pytest.fixture(scope="module")
def dialogue() -> np.ndarray:
    """Say three sentences with pauses."""
    return np.concatenate([speech(), speech(name="man-fast"), speech(name="fast-and-high")])


def decisions(server) -> list[str]:
    """Return the lines of the metrics that count what was recognised."""
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return sorted(line for line in lines if line.startswith("emovox_decisions_total"))


class TestAnswers:
    """What a session says is what Python says."""

    @pytest.mark.parametrize("frame", [320, 1_600, 20_001])
    def test_same_as_python(self, server, shipped, dialogue, frame):
        """However the audio is cut into messages, the final results are those of a file."""
        with server.live() as session:
            say(session, dialogue, frame)
            tell(session, "session.close")
            messages = heard(session)
        file = io.BytesIO()
        soundfile.write(file, dialogue, RATE, format="WAV", subtype="PCM_16")
        expected = [one.to_dict() for one in shipped.segments(file.getvalue())]
        assert len(expected) == 3
        assert results(messages) == expected

    def test_prosody(self, server, shipped, dialogue):
        """With `prosody` final results have what was measured; interim ones have not."""
        with server.live() as session:
            tell(session, "session.update", prosody=True)
            say(session, dialogue, 4_000)
            tell(session, "session.close")
            messages = heard(session)
        file = io.BytesIO()
        soundfile.write(file, dialogue, RATE, format="WAV", subtype="PCM_16")
        expected = shipped.segments(file.getvalue(), prosody=True)
        assert results(messages) == [one.to_dict() for one in expected]
        found = [one["prediction"] for one in messages if one["type"] == "result"]
        assert all(("prosody" in one) == one["final"] for one in found)

    def test_measuring_alone(self, server, dialogue):
        """Without `emotion` a session measures each segment, and nothing is recognised."""
        before = decisions(server)
        with server.live() as session:
            tell(session, "session.update", emotion=False)
            say(session, dialogue, 4_000)
            tell(session, "session.close")
            messages = heard(session)
        updated = next(one for one in messages if one["type"] == "session.updated")
        assert (updated["prosody"], updated["emotion"]) == (True, False)
        measured = [one["measurement"] for one in messages if one["type"] == "measurement"]
        file = io.BytesIO()
        soundfile.write(file, dialogue, RATE, format="WAV", subtype="PCM_16")
        expected = [one.to_dict() for one in measure_segments(file.getvalue())]
        assert measured == expected
        assert len(measured) == 3
        assert not [one for one in messages if one["type"] == "result"]
        assert decisions(server) == before
        closed = messages[-1]
        assert closed["decisions"] == 0
        spoken_s = sum(one["end"] - one["start"] for one in measured)
        assert closed["speech_seconds"] == pytest.approx(spoken_s, abs=0.01)

    def test_labels(self, server, shipped, dialogue):
        """A session among some labels answers as Python does; unknown ones end it."""
        with server.live() as session:
            tell(session, "session.update", labels=["sad", "happy"])
            say(session, dialogue, 4_000)
            tell(session, "session.close")
            messages = heard(session)
        stream = shipped.stream(labels=["sad", "happy"])
        expected = [*stream.feed(dialogue), *stream.flush()]
        assert results(messages) == [one.to_dict() for one in expected if one.final]
        for labels in (["sad", "furious"], ["sad"], "sad", [1, 2]):
            with server.live() as session:
                tell(session, "session.update", labels=labels)
                (refusal,) = (one for one in heard(session) if one["type"] == "error")
            assert (refusal["code"], refusal["fatal"]) == ("parameter", True)
            assert refusal["message"].startswith("labels: ")

    def test_other_rate(self, server, shipped, dialogue):
        """Audio of another rate is resampled as in Python."""
        there = (soxr.resample(dialogue / 32768, RATE, 48_000) * 32767).astype(np.int16)
        with server.live() as session:
            heard(session, "session.created")
            tell(session, "session.update", rate=48_000, interval_s=1, learn=False)
            updated = heard(session, "session.updated")[-1]
            say(session, there, 4_800)
            tell(session, "session.close")
            messages = heard(session)
        assert updated == {
            "type": "session.updated",
            "encoding": "linear16",
            "rate": 48_000,
            "channels": 1,
            "interval_s": 1.0,
            "learn": False,
            "prosody": False,
            "emotion": True,
            "labels": None,
            "practice": None,
            "baseline_seconds": 0.0,
        }
        stream = shipped.stream(48_000, learn=False)
        expected = [*stream.feed(there), *stream.flush()]
        assert results(messages) == [one.to_dict() for one in expected if one.final]

    def test_other_rate_at_once(self, server):
        """Who says the rate and goes on without waiting is heard to the end, too."""
        with server.live() as session:
            tell(session, "session.update", rate=192_000)
            say(session, np.zeros(192_000 * 4, np.int16), 19_200)
            tell(session, "session.close")
            assert heard(session)[-1]["seconds"] == pytest.approx(4.0)

    def test_order_of_a_session(self, server, dialogue):
        """A session says who it is, when speech begins and ends, and what it has heard in all."""
        with server.live() as session:
            say(session, dialogue)
            tell(session, "session.close")
            messages = heard(session)
            assert (session.close_code, session.close_reason) == (1000, "session.close")
        created, *middle, closed = messages
        assert created["type"] == "session.created"
        assert created["rate"] == RATE
        assert len(created["labels"]) == 7
        kinds = [one["type"] for one in middle]
        assert kinds.count("speech.start") == kinds.count("speech.end") == 3
        assert kinds.count("level") > 10
        assert kinds.index("speech.start") < kinds.index("result") < kinds.index("speech.end")
        levels = [one["seconds"] for one in middle if one["type"] == "level"]
        assert levels == sorted(levels)
        assert all(one["latency_ms"] >= 0 for one in middle if one["type"] == "result")
        final = results(messages)
        speech_s = sum(one["end"] - one["start"] for one in final)
        assert closed == {
            "type": "session.closed",
            "seconds": pytest.approx(len(dialogue) / RATE, abs=1e-3),
            "speech_seconds": pytest.approx(speech_s, abs=1e-3),
            "decisions": kinds.count("result"),
            "reason": "session.close",
        }

    def test_baseline(self, server, shipped, dialogue):
        """The baseline learns as the person speaks, can be had, brought again, and forgotten."""
        with server.live() as session:
            say(session, dialogue)
            tell(session, "flush")
            tell(session, "baseline.get")
            messages = heard(session, "baseline")
            baseline = messages[-1]["baseline"]
            tell(session, "baseline.reset")
            forgotten = heard(session, "baseline")[-1]["baseline"]
        stream = shipped.stream()
        stream.feed(dialogue)
        stream.flush()
        assert baseline == json.loads(stream.baseline.to_json())
        assert forgotten == json.loads(shipped.new_baseline().to_json())
        with server.live() as session:
            tell(session, "session.update", baseline=baseline)
            updated = heard(session, "session.updated")[-1]
            assert updated["baseline_seconds"] == baseline["seconds"]
            say(session, speech())
            tell(session, "session.close")
            again = results(heard(session))
        stream.reset()
        other = shipped.stream(baseline=type(stream.baseline).from_json(json.dumps(baseline)))
        expected = [one for one in [*other.feed(speech()), *other.flush()] if one.final]
        assert again == [one.to_dict() for one in expected]

    def test_flush(self, server):
        """A flush ends the utterance at once; what comes then is another."""
        with server.live() as session:
            for _ in range(2):
                say(session, speech(silence_s=0.0))
                tell(session, "flush")
            tell(session, "session.close")
            assert len(results(heard(session))) == 2

    def test_turn(self, server, shipped, dialogue):
        """A turn is answered as in Python, over all that was said since the last one."""
        with server.live() as session:
            tell(session, "turn")
            nothing = heard(session, "turn")[-1]
            say(session, dialogue)
            tell(session, "turn")
            found = heard(session, "turn")[-1]
            tell(session, "session.close")
            closed = heard(session)[-1]
        assert nothing["prediction"] is None
        stream = shipped.stream(interval_s=None)
        stream.feed(dialogue)
        assert found["prediction"] == stream.turn().to_dict()
        assert found["prediction"]["scores"] == shipped.predict(dialogue, RATE).scores
        assert found["latency_ms"] >= 0
        assert closed["reason"] == "session.close"

    def test_measured_turn(self, server, dialogue):
        """Where no emotion is recognised, a turn is measured."""
        with server.live() as session:
            tell(session, "session.update", emotion=False)
            say(session, dialogue)
            tell(session, "turn")
            found = heard(session, "turn")[-1]
        assert found["measurement"] == measure_recording(dialogue, RATE).to_dict() | {
            "start": found["measurement"]["start"],
            "end": found["measurement"]["end"],
        }

    def test_sessions_do_not_mix(self, server, dialogue):
        """Many sessions at once give each its own results, the same as alone."""
        with server.live() as alone:
            say(alone, dialogue)
            tell(alone, "session.close")
            expected = results(heard(alone))
        with ExitStack() as stack:
            sessions = [stack.enter_context(server.live()) for _ in range(8)]
            for first in range(0, len(dialogue), 1_600):
                for session in sessions:
                    say(session, dialogue[first : first + 1_600])
            for session in sessions:
                tell(session, "session.close")
                assert results(heard(session)) == expected

    def test_metrics(self, server, dialogue):
        """Sessions, decisions and audio are counted."""

        def figure(name: str) -> float:
            lines = httpx.get(f"{server.url}/metrics").text.splitlines()
            return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

        before = figure('emovox_audio_seconds_total{way="live"}')
        with server.live() as session:
            heard(session, "session.created")
            assert figure("emovox_live_sessions") >= 1
            say(session, dialogue)
            tell(session, "session.close")
            heard(session)
        wait_for(lambda: figure("emovox_live_sessions") == 0)
        after = figure('emovox_audio_seconds_total{way="live"}')
        assert after - before == pytest.approx(len(dialogue) / RATE, abs=0.01)


def wait_for(holds) -> None:
    """Wait until something holds."""
    for _ in range(200):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it never held")


JUNK = [
    ("", "json"),
    ("{", "json"),
    ("[" * 10_000, "json"),
    ('{"type": "ping", "x": [' + "[]," * 1_000 + "[]]}", "json"),
    ("[]", "type"),
    ("{}", "type"),
    ('{"type": 3}', "type"),
    ('{"type": "session.created"}', "type"),
    ('{"type": "\\ud800"}', "json"),
    ('{"type": "ping", "\\uDFFF": 1}', "json"),
    ('{"type": "ping", "x": "\\ud800\\ud800\\udc00"}', "json"),
    ('{"type": "session.update", "\\ud800": 1}', "json"),
    ('{"type": "session.update", "rate": NaN}', "json"),
    ('{"type": "session.update", "rate": "8000"}', "parameter"),
    ('{"type": "session.update", "rate": 7999}', "parameter"),
    ('{"type": "session.update", "rate": 1' + 400 * "0" + "}", "parameter"),
    ('{"type": "session.update", "rate": 8000.5}', "parameter"),
    ('{"type": "session.update", "rate": true}', "parameter"),
    ('{"type": "session.update", "rate": 1e400}', "parameter"),
    ('{"type": "session.update", "interval_s": 0}', "parameter"),
    ('{"type": "session.update", "learn": 1}', "parameter"),
    ('{"type": "session.update", "other": 1}', "parameter"),
    ('{"type": "session.update", "encoding": "flac"}', "parameter"),
    ('{"type": "session.update", "encoding": ["mulaw"]}', "parameter"),
    ('{"type": "session.update", "encoding": "opus", "rate": 44100}', "parameter"),
    ('{"type": "session.update", "encoding": "opus", "channels": 3}', "parameter"),
    ('{"type": "session.update", "channels": 0}', "parameter"),
    ('{"type": "session.update", "channels": 9}', "parameter"),
    ('{"type": "session.update", "channels": 1.5}', "parameter"),
    ('{"type": "session.update", "channels": 2, "baseline": null}', "parameter"),
    ('{"type": "session.update", "channels": 2, "baselines": [null]}', "parameter"),
    ('{"type": "session.update", "baseline": null, "baselines": [null]}', "parameter"),
    ('{"type": "session.update", "baselines": {}}', "parameter"),
    ('{"type": "flush", "channel": -1}', "parameter"),
    ('{"type": "baseline.get", "channel": 1}', "parameter"),
    ('{"type": "baseline.reset", "channel": "0"}', "parameter"),
    ('{"type": "session.update", "baseline": 1}', "baseline"),
    ('{"type": "session.update", "baseline": {}}', "baseline"),
    (b"odd", "odd_bytes"),
]
UPDATES = [one for one in JUNK if "session.update" in str(one[0]) and one[1] != "json"]


class TestMessages:
    """What cannot be heeded is refused: before the first audio for good, then by itself.

    A session.update that cannot be heeded ends the session at any time.
    """

    @pytest.mark.parametrize(("message", "code"), JUNK)
    def test_junk_at_first(self, server, message, code):
        """Before the first audio, a message that cannot be heeded ends the session."""
        with server.live() as session:
            session.send(message)
            created, error, closed = heard(session)
            assert (session.close_code, session.close_reason) == (1008, code)
        assert created["type"] == "session.created"
        assert error.keys() == {"type", "code", "message", "fatal"}
        assert (error["type"], error["code"], error["fatal"]) == ("error", code, True)
        assert (closed["type"], closed["reason"]) == ("session.closed", code)

    @pytest.mark.parametrize(("message", "code"), [one for one in JUNK if one not in UPDATES])
    def test_junk_later(self, server, message, code):
        """Once there was audio, such a message is told so, and the next one is heeded."""
        with server.live() as session:
            say(session, np.zeros(16, np.int16))
            session.send(message)
            tell(session, "ping")
            _, error, pong = heard(session, "pong")
        assert (error["type"], error["code"], error["fatal"]) == ("error", code, False)
        assert pong == {"type": "pong"}

    @pytest.mark.parametrize(("message", "code"), [*UPDATES, ('{"type": "session.update"}', "")])
    def test_update_later(self, server, message, code):
        """After audio, any session.update ends the session: what follows would be misheard."""
        with server.live() as session:
            say(session, np.zeros(16, np.int16))
            session.send(message)
            with suppress(ConnectionClosed):
                say(session, speech())
            _, error, closed = heard(session)
            assert session.close_code == 1008
        assert error["code"] == closed["reason"]
        assert error["code"] in (code, "too_late")
        assert error["fatal"]
        assert closed["decisions"] == 0

    def test_other_encoding(self, server):
        """Who asks for what the service cannot hear gets no answer, but what it takes."""
        with server.live() as session:
            tell(session, "session.update", rate=8_000, codec="linear16")
            with suppress(ConnectionClosed):
                say(session, speech())
            messages = heard(session)
        assert [one["type"] for one in messages] == ["session.created", "error", "session.closed"]
        assert "takes encoding, rate, channels" in messages[1]["message"]
        assert "got codec" in messages[1]["message"]

    def test_any_name(self, server, shipped):
        """A baseline's name may be any text, however JSON writes it."""
        baseline = shipped.new_baseline("\\ud800 Zoë \U0001f600 [[[").to_dict()
        for ensure_ascii in (True, False):
            with server.live() as session:
                wish = {"type": "session.update", "baseline": baseline}
                session.send(json.dumps(wish, ensure_ascii=ensure_ascii))
                tell(session, "baseline.get")
                assert heard(session, "baseline")[-1]["baseline"] == baseline

    @pytest.mark.parametrize("key", ["name", "model"])
    def test_half_a_character(self, server, shipped, key):
        """A baseline with half of a surrogate pair, which is no text, is refused in words."""
        baseline = {**shipped.new_baseline().to_dict(), key: "\ud800"}
        with server.live() as session:
            tell(session, "session.update", baseline=baseline)
            assert heard(session)[1]["code"] == "json"
            assert session.close_code == 1008

    def test_baseline_of_another_model(self, server, shipped):
        """A baseline of another model is refused, and nothing is heard without it."""
        baseline = {**shipped.new_baseline().to_dict(), "model": "0" * 16}
        with server.live() as session:
            tell(session, "session.update", baseline=baseline)
            error = heard(session)[1]
            assert (session.close_code, session.close_reason) == (1008, "baseline")
        assert (error["code"], error["fatal"]) == ("baseline", True)

    def test_update_after_audio(self, server):
        """After the first audio it is too late for a session.update."""
        with server.live() as session:
            say(session, np.zeros(1_600, np.int16))
            tell(session, "session.update", rate=8_000)
            error = heard(session, "error")[-1]
            assert (error["code"], error["fatal"]) == ("too_late", True)
            assert heard(session)[-1]["seconds"] == pytest.approx(0.1)

    def test_too_much_junk(self, server):
        """Who sends nothing but junk is shown the door."""
        with server.live() as session:
            say(session, np.zeros(16, np.int16))
            for _ in range(100):
                session.send("junk")
            messages = heard(session)
            assert (session.close_code, session.close_reason) == (1008, "too_many_errors")
        assert messages[-2]["fatal"]
        assert messages[-1]["reason"] == "too_many_errors"


class TestLimits:
    """Each limit of a session is kept, and says so."""

    def test_number_of_sessions(self):
        """More sessions than the limit are refused with 503; when one ends, there is room."""
        with running(max_sessions=2, max_share=1.0) as server:
            with server.live() as one, server.live() as two:
                heard(one, "session.created")
                heard(two, "session.created")
                with pytest.raises(InvalidStatus) as refused, server.live():
                    pass
                assert refused.value.response.status_code == 503
                assert json.loads(refused.value.response.body)["error"]["code"] == "busy"
                assert httpx.get(f"{server.url}/readyz").status_code == 503
            wait_for(lambda: httpx.get(f"{server.url}/readyz").status_code == 200)
            with server.live() as three:
                heard(three, "session.created")

    def test_share_of_an_address(self):
        """One address has its share of the sessions; another gets in all the same."""
        with running(max_sessions=2, max_share=0.5, host="0.0.0.0") as server, server.live() as one:
            heard(one, "session.created")
            with pytest.raises(InvalidStatus) as refused, server.live():
                pass
            assert refused.value.response.status_code == 503
            assert "1 from one address" in refused.value.response.body.decode()
            elsewhere = socket.create_connection(
                ("127.0.0.1", server.port), source_address=("127.0.0.2", 0)
            )
            with server.live(sock=elsewhere) as two:
                heard(two, "session.created")

    def test_size_of_a_message(self):
        """A message that is too large closes the session with 1009."""
        with running(max_message_kb=4) as server, server.live() as session:
            heard(session, "session.created")
            session.send(bytes(4_002))
            heard(session)
            assert session.close_code == 1009

    def test_idle(self):
        """A session without messages is closed; one with pings is not."""
        with running(idle_s=0.5) as server, server.live() as session:
            for _ in range(4):
                time.sleep(0.2)
                tell(session, "ping")
            messages = heard(session)
            assert (session.close_code, session.close_reason) == (1008, "idle")
        assert [one["type"] for one in messages[1:5]] == ["pong"] * 4
        assert [one["type"] for one in messages[5:]] == ["error", "session.closed"]

    def test_length_of_a_session(self):
        """A session does not last longer than the limit, and is flushed at its end."""
        with running(max_session_s=1.0) as server, server.live() as session:
            say(session, speech(silence_s=0.0))
            messages = heard(session)
            assert (session.close_code, session.close_reason) == (1008, "session_limit")
        assert len(results(messages)) == 1

    def test_rate_of_messages(self):
        """Who sends faster than the limit has to wait, and loses nothing."""
        with running(max_messages_per_s=50) as server, server.live() as session:
            heard(session, "session.created")
            began = time.monotonic()
            for _ in range(150):
                tell(session, "ping")
            for _ in range(150):
                assert heard(session, "pong")
            assert time.monotonic() - began > 0.8

    @pytest.mark.parametrize(
        "fields",
        [{"type": "baseline.get"}, {"type": "flush"}, {"type": "ping", "x": "x" * 19_000}],
    )
    def test_what_is_work_counts_more(self, fields):
        """Messages that are work, or much to read, count as twenty of the others."""
        with running(max_messages_per_s=100) as server, server.live() as session:
            began = time.monotonic()
            for _ in range(20):  # twice as much as may come in a second is let through at once
                session.send(json.dumps(fields))
            tell(session, "session.close")
            assert heard(session)[-1]["reason"] == "session.close"
            assert time.monotonic() - began > 1.9

    def test_client_that_does_not_read(self):
        """A client that reads nothing of what it is sent is given up."""
        with running(send_timeout_s=0.5, max_messages_per_s=1e6) as server:
            with socket.socket() as one:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
                one.connect(("127.0.0.1", server.port))
                one.sendall(handshake(server.port))
                baseline_get = b'{"type": "baseline.get"}'
                frame = bytes([0x81, 0x80 | len(baseline_get), 0, 0, 0, 0]) + baseline_get
                one.settimeout(0.5)
                with_patience = time.monotonic() + 20
                while live_sessions(server) and time.monotonic() < with_patience:
                    try:
                        one.sendall(frame * 200)
                    except OSError:  # it takes no more, or is gone
                        time.sleep(0.1)
            wait_for(lambda: live_sessions(server) == 0)

    def test_client_that_vanishes(self, server):
        """A client that is gone without a word leaves no session behind."""
        with socket.socket() as one:
            one.connect(("127.0.0.1", server.port))
            one.sendall(handshake(server.port))
            wait_for(lambda: live_sessions(server) == 1)
        wait_for(lambda: live_sessions(server) == 0)


def handshake(port: int) -> bytes:
    """Return a WebSocket's handshake."""
    return (
        f"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def live_sessions(server) -> float:
    """Return how many sessions are open."""
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith("emovox_live_s"))


class TestInbox:
    """What waits is bounded in bytes and in messages."""

    @pytest.mark.parametrize(
        ("n_bytes", "n_messages"), [(0, 100), (1, 100), (64_000, 2), (32_000, 3)]
    )
    def test_room(self, n_bytes, n_messages):
        """Nothing more is read while a hundred messages, or two seconds in bytes, wait."""

        async def fill() -> int:
            inbox, count = Inbox(), 0
            with suppress(TimeoutError):
                while True:
                    await asyncio.wait_for(inbox.room(32_000), 0.01)
                    inbox.put(Request("ping"), n_bytes)
                    count += 1
            waiting = asyncio.create_task(inbox.room(32_000))
            assert await inbox.take(32_000) == Request("ping")
            await asyncio.wait_for(waiting, 5)
            return count

        assert asyncio.run(fill()) == n_messages

    def test_order(self):
        """Audio is handed out in jobs of half a second; all keeps its order."""
        blocks = [Encoded(bytes([index]) * 8_000, index) for index in range(3)]

        async def work() -> list[object]:
            inbox = Inbox()
            for block in blocks:
                inbox.put(block, 8_000)
            inbox.put(Request("flush"), 16)
            inbox.put(blocks[0], 8_000)
            return [await inbox.take(32_000) for _ in range(4)]

        assert asyncio.run(work()) == [blocks[:2], blocks[2:], Request("flush"), blocks[:1]]


class TestSafety:
    """Who may open a session."""

    def test_origin(self, server):
        """A page of another host may not open a session; this one's, and programs, may."""
        for origin in ("https://evil.example", "null", server.url.replace("http", "https")):
            assert refused(server, origin=origin) == (403, "origin")
        with server.live(origin=server.url) as session:
            heard(session, "session.created")

    def test_tokens(self):
        """A token comes in a header, or from a browser as a subprotocol, which is confirmed."""
        with running(tokens=(TOKEN,)) as server:
            assert refused(server) == (401, "token")
            assert refused(server, subprotocols=["bearer.wrong"]) == (401, "token")
            headers = {"Authorization": f"Bearer {TOKEN}"}
            with server.live(additional_headers=headers) as session:
                heard(session, "session.created")
            with server.live(subprotocols=[f"bearer.{TOKEN}"]) as session:
                heard(session, "session.created")
                assert session.subprotocol == f"bearer.{TOKEN}"

    def test_no_websocket(self, server):
        """A handshake that is none is refused by the web server, and a request for it is 404."""
        broken = handshake(server.port).replace(b"Sec-WebSocket-Version: 13", b"X: y")
        assert raw(server.port, broken).startswith(b"HTTP/1.1 4")
        assert httpx.get(f"{server.url}/v1/stream").status_code == 404


def refused(server, **options) -> tuple[int, str]:
    """Try to open a session; return status and code of the refusal."""
    with pytest.raises(InvalidStatus) as found, server.live(**options):
        pass
    response = found.value.response
    return response.status_code, json.loads(response.body)["error"]["code"]


class TestEnds:
    """How sessions end when the service does, or fails."""

    def test_shutdown(self):
        """When the service stops, sessions are flushed, told, and closed with 1001."""
        stack = ExitStack()
        server = stack.enter_context(running())
        with server.live() as session:
            say(session, speech(silence_s=0.0))
            heard(session, "result")  # an interim one
            stack.close()
            messages = heard(session)
            assert (session.close_code, session.close_reason) == (1001, "shutdown")
        assert len(results(messages)) == 1
        assert messages[-1]["type"] == "session.closed"
        assert messages[-1]["reason"] == "shutdown"

    def test_shutdown_of_a_process(self):
        """The same by a signal; sessions that come too late are refused."""
        code = "import sys; from emovox.cli import run; sys.exit(run(sys.argv[1:]))"
        command = [sys.executable, "-c", code, "serve", "--port", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            url = json.loads(process.stderr.readline())["url"]
            from websockets.sync.client import connect

            wait_for(lambda: reached(url))
            with connect(f"{url.replace('http', 'ws')}/v1/stream") as session:
                say(session, speech(silence_s=0.0))
                heard(session, "result")
                process.terminate()
                messages = heard(session)
            log = process.stderr.read()
            process.wait(timeout=20)
        assert len(results(messages)) == 1
        assert messages[-1]["reason"] == "shutdown"
        lines = [json.loads(line) for line in log.splitlines()]
        assert all(line["level"] == "info" for line in lines)
        assert "label" not in log

    def test_a_mistake_of_ours(self, server, monkeypatch, caplog):
        """A mistake in the service ends one session with 1011 and no detail, and is logged."""

        def broken(*args, **options):
            raise ZeroDivisionError("a secret")

        monkeypatch.setattr("emovox.stream.Stream.flush", broken)
        with server.live() as session:
            tell(session, "flush")
            messages = heard(session)
            assert session.close_code == 1011
        assert messages[-1]["fatal"]
        assert "secret" not in str(messages)
        wait_for(lambda: "session_failed" in caplog.text)
        monkeypatch.undo()
        with server.live() as session:
            tell(session, "session.close")
            assert heard(session)[-1]["type"] == "session.closed"

    def test_never_no_number(self, server, monkeypatch, caplog):
        """A number that JSON does not have ends the session as a mistake; it is never sent."""
        monkeypatch.setattr("emovox.stream.Stream.level_db", math.nan)
        with server.live() as session:
            say(session, np.zeros(RATE, np.int16))
            messages = heard(session)
            assert session.close_code == 1011
        assert [one["type"] for one in messages] == ["session.created", "error"]
        assert (messages[-1]["code"], messages[-1]["fatal"]) == ("internal", True)
        wait_for(lambda: "session_failed" in caplog.text)

    def test_no_threads_are_left(self):
        """A server that has stopped leaves no thread behind."""
        before = threading.active_count()
        with running() as server, server.live() as session:
            heard(session, "session.created")
            with pytest.raises(ConnectionClosed):
                tell(session, "session.close")
                heard(session)
                session.recv()
        wait_for(lambda: threading.active_count() <= before)


def reached(url: str) -> bool:
    """Tell whether a server answers."""
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.ConnectError:
        return False
