"""The clients, against a real service: the library's own answers, errors, lost connections."""

import asyncio
import socket
import threading
import time
from contextlib import ExitStack

import numpy as np
import pytest

from emovox import EmovoxError, Prediction, Turn
from emovox.errors import AudioError, BaselineError, ConfigError, NoSpeechError, TurnsError
from emovox.measuring import Measurement, MeasuringStream, measure_recording, measure_segments
from emovox.turns.finding import find_turns
from emovox.turns.subtitles import write_srt

pytest.importorskip("httpx")

from emovox.client import (
    AsyncClient,
    Client,
    Gap,
    Problem,
    Result,
    ServiceError,
    Speech,
    TurnResult,
)
from running_server import EXAMPLES, RATE, running, speech, wav

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def server():
    """Run a server that does not slow down fast speakers."""
    with running(max_messages_per_s=5_000) as one:
        yield one


@pytest.fixture(scope="module")
def client(server):
    """Open a client."""
    with Client(server.url) as one:
        yield one


def finals(events) -> list[Prediction]:
    """Return the final predictions among events."""
    answers = [event.prediction for event in events if isinstance(event, Result)]
    return [answer for answer in answers if answer.final]


class TestHttp:
    """A client answers as `Recognizer` does in the same process."""

    def test_predict(self, client, shipped):
        """A path, the bytes of a file and an array are recognised as there."""
        path = EXAMPLES / "even.flac"
        expected = shipped.predict(path)
        assert client.predict(path) == expected
        assert client.predict(str(path)) == expected
        assert client.predict(path.read_bytes()) == expected
        samples = speech().astype(np.float32) / 32_768
        assert client.predict(samples, RATE) == shipped.predict(samples, RATE)

    def test_details(self, client, shipped):
        """Baseline, moments and prosody go there and back."""
        path = EXAMPLES / "even.flac"
        baseline = client.enrol("Anna", [EXAMPLES / "man-fast.flac"])
        assert baseline == shipped.enrol("Anna", [EXAMPLES / "man-fast.flac"])
        options = {"baseline": baseline, "explain": True, "prosody": True}
        assert client.predict(path, **options) == shipped.predict(path, **options)

    def test_segments(self, client, shipped):
        """Segments, of all channels as one or of each, are those of Python."""
        sound = np.stack([speech(), np.resize(speech(name="man-fast"), len(speech()))], axis=1)
        found = client.segments(wav(sound))
        assert list(found.predictions) == list(shipped.segments(wav(sound)))
        assert found.seconds == pytest.approx(len(sound) / RATE, abs=1e-3)
        each = client.channels(wav(sound))
        assert [one.channel for one in each] == [0, 1]
        for one in each:
            expected = shipped.segments(wav(sound), channel=one.channel, without_bleed=True)
            assert list(one.predictions) == list(expected)

    def test_turns(self, client, shipped, tmp_path):
        """Turns given, of a file or found, are answered as in Python, texts included."""
        content = wav(np.concatenate([speech(), speech(name="man-fast")]))
        given = [Turn(0, 1.6, "Anna", "=1, or 2"), Turn(1.7, 3, "Bob"), Turn(90, 91, "Bob")]
        expected = list(shipped.turns(content, given, prosody=True))
        assert client.turns(content, turns=given, prosody=True) == expected
        (tmp_path / "talk.srt").write_text(write_srt(given[:2]), "utf-8")
        read = list(shipped.turns(content, given[:2]))
        assert client.turns(content, turns=tmp_path / "talk.srt") == read
        found = list(shipped.turns(content, find_turns(content, speakers=2)))
        assert client.turns(content, speakers=2) == found
        two = list(shipped.turns(content, given, labels=["sad", "happy"]))
        assert client.turns(content, turns=given, labels=["sad", "happy"]) == two
        with pytest.raises(EmovoxError, match="happy"):
            client.turns(content, turns=given, labels="happy")  # a word, and not its letters
        for wrong in ("missing.srt", "missing.doc"):
            with pytest.raises(TurnsError, match="missing"):
                client.turns(content, turns=tmp_path / wrong)
        (tmp_path / "bad.csv").write_text("start,end\n1,two\n")
        with pytest.raises(TurnsError, match="line 2"):
            client.turns(content, turns=tmp_path / "bad.csv")
        with pytest.raises(ConfigError):
            client.turns(content, speakers=0)

    def test_measure_and_model(self, client, shipped):
        """The prosody is that of Python, and the model that of the service."""
        path = EXAMPLES / "even.flac"
        assert client.measure(path) == measure_recording(path)
        assert client.model()["fingerprint"] == shipped.fingerprint

    def test_errors(self, client, shipped, tmp_path):
        """Bad input raises what the library raises."""
        with pytest.raises(NoSpeechError):
            client.predict(np.zeros(RATE), RATE)
        with pytest.raises(AudioError):
            client.predict(b"no sound")
        with pytest.raises(AudioError, match="missing\\.wav"):
            client.predict(tmp_path / "missing.wav")
        with pytest.raises(AudioError, match="rate"):
            client.predict(np.zeros(RATE))
        with pytest.raises(AudioError, match="array only"):
            client.predict(EXAMPLES / "even.flac", RATE)
        other = type(shipped.new_baseline())("0" * 16, np.zeros(3), 0.0)
        with pytest.raises(BaselineError):
            client.predict(EXAMPLES / "even.flac", baseline=other)

    def test_no_service(self):
        """Where nobody answers, one line says so."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}"
            with Client(url) as client, pytest.raises(ServiceError, match="no answer from"):
                client.model()
            with Client(url) as client, pytest.raises(ServiceError, match="no session"):
                client.live().__enter__()

    def test_token(self):
        """A token opens requests and sessions; without it both are refused."""
        with running(tokens=(TOKEN,)) as server:
            with Client(server.url, token=TOKEN) as client:
                assert client.model()["labels"]
                with client.live():
                    pass
            with Client(server.url) as client:
                with pytest.raises(ServiceError) as refused:
                    client.model()
                assert (refused.value.status, refused.value.code) == (401, "token")
                with pytest.raises(ServiceError) as refused, client.live():
                    pass
                assert refused.value.status == 401

    def test_async(self, server, shipped):
        """With asyncio the same comes back, several at a time."""
        paths = [EXAMPLES / "even.flac", EXAMPLES / "man-fast.flac"]

        async def ask() -> list[object]:
            async with AsyncClient(server.url) as client:
                calls = [client.predict(path) for path in paths]
                more = [client.segments(paths[0]), client.measure(paths[0]), client.model()]
                return await asyncio.gather(*calls, *more, client.enrol("A", paths[:1]))

        *found, segments, measured, model, baseline = asyncio.run(ask())
        assert found == [shipped.predict(path) for path in paths]
        assert list(segments.predictions) == list(shipped.segments(paths[0]))
        assert measured == measure_recording(paths[0])
        assert model["labels"] == list(shipped.labels)
        assert baseline == shipped.enrol("A", paths[:1])


class TestLive:
    """A live session gives what a stream in the same process gives."""

    def test_same_as_python(self, client, shipped):
        """Samples in, predictions and the baseline out; floats are samples, too."""
        sound = speech(name="man-fast")
        for samples in (sound, (sound / 32_767).astype(np.float32)):
            with client.live() as session:
                for first in range(0, len(samples), 1_600):
                    session.send(samples[first : first + 1_600])
                session.finish()
                events = list(session)
            stream = shipped.stream()
            expected = [one for one in [*stream.feed(sound), *stream.flush()] if one.final]
            assert finals(events) == expected
            assert session.baseline == stream.baseline
            assert [event.began for event in events if isinstance(event, Speech)] == [True, False]

    def test_while_iterating(self, client):
        """One thread may send while another iterates."""
        with client.live() as session:

            def talk() -> None:
                session.send(speech())
                session.finish()

            talking = threading.Thread(target=talk)
            talking.start()
            assert len(finals(session)) == 1
            talking.join()

    def test_measuring(self, client):
        """A session may only measure."""
        with client.live(emotion=False) as session:
            session.send(speech())
            session.finish()
            found = [event.answer for event in session if isinstance(event, Result)]
        assert found == list(measure_segments(wav(speech())))
        assert all(isinstance(one, Measurement) for one in found)

    @pytest.mark.parametrize("emotion", [True, False])
    def test_turns(self, client, shipped, emotion):
        """Asked for a turn, it gives what was said since the one before; None for nothing."""
        stream = shipped.stream(RATE) if emotion else MeasuringStream()
        expected = []
        with client.live(emotion=emotion) as session:
            for sound in (speech(), speech(name="man-fast"), np.zeros(RATE, np.int16)):
                session.send(sound)
                session.turn()
                stream.feed(sound)
                expected.append(stream.turn())
            session.finish()
            turns = [event for event in session if isinstance(event, TurnResult)]
        assert [turn.answer for turn in turns] == expected
        assert expected[2] is None
        assert {turn.channel for turn in turns} == {0}

    def test_turn_of_a_channel(self, server, shipped):
        """With several channels each has turns of its own."""
        both = np.stack([speech(), 0 * speech()], axis=1)

        async def hear() -> list[object]:
            async with AsyncClient(server.url) as client, client.live(channels=2) as session:
                await session.send(both)
                await session.turn(1)
                await session.turn()
                await session.finish()
                return [event async for event in session if isinstance(event, TurnResult)]

        turns = asyncio.run(hear())
        assert [turn.channel for turn in turns] == [1, 0, 1]
        assert [turn.answer is None for turn in turns] == [True, False, True]
        assert turns[1].answer.scores == shipped.predict(speech(), RATE).scores

    def test_channels(self, server):
        """With asyncio, and with a speaker on each of two channels."""
        both = np.stack([speech(), 0 * speech()], axis=1)

        async def hear() -> list[object]:
            async with AsyncClient(server.url) as client, client.live(channels=2) as session:
                await session.send(both)
                await session.finish()
                assert [one.seconds > 0 for one in session.baselines] == [True, False]
                return [event async for event in session]

        events = asyncio.run(hear())
        assert len(finals(events)) == 1
        assert {event.channel for event in events} == {0}

    @pytest.mark.parametrize("options", [{"rate": 7_000}, {"encoding": "flac"}, {"channels": 9}])
    def test_refused(self, client, options):
        """What the service refuses is raised on entering, in its words."""
        with pytest.raises(EmovoxError, match=next(iter(options))), client.live(**options):
            pass

    def test_problem(self, client):
        """A message that the service ignores is told of."""
        with client.live() as session:
            session.send(bytes(2))
            session.send(bytes(3))
            session.finish()
            (problem,) = [event for event in session if isinstance(event, Problem)]
        assert problem.code == "odd_bytes"

    def test_lost_connection(self, shipped):
        """After a restart the session goes on, with the baseline and on the same timeline."""
        with socket.socket() as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", 0))
            port = held.getsockname()[1]
        stack = ExitStack()
        stack.enter_context(running(port=port))
        with Client(f"http://127.0.0.1:{port}") as client, client.live() as session:
            events = iter(session)
            session.send(speech())
            first = until(events, lambda event: isinstance(event, Result) and event.answer.final)
            wait_for(lambda: session.baseline is not None and session.baseline.seconds)
            before = session.baseline
            stack.close()  # the service is gone
            time.sleep(0.3)
            session.send(np.zeros(RATE, np.int16))
            with running(port=port):
                gap = until(events, lambda event: isinstance(event, Gap))[-1]
                session.send(speech())
                session.finish()
                rest = list(events)
        spoken_s = len(speech()) / RATE
        assert (gap.start, gap.end) == pytest.approx((spoken_s, spoken_s + 1), abs=1e-3)
        (prediction,) = finals(rest)
        stream = shipped.stream(baseline=before)
        (expected,) = [one for one in [*stream.feed(speech()), *stream.flush()] if one.final]
        assert prediction.scores == expected.scores
        assert prediction.start == pytest.approx(expected.start + gap.end, abs=1e-3)
        assert session.baseline == stream.baseline
        assert len(finals(first)) == 1

    def test_given_up(self):
        """A connection that does not come back is given up in the end."""
        stack = ExitStack()
        server = stack.enter_context(running())
        lost = pytest.raises(ServiceError, match="lost")
        with Client(server.url) as client, lost, client.live(retry_s=0.2) as session:
            stack.close()
            list(session)


def until(events, wanted) -> list[object]:
    """Return events up to a wanted one."""
    found = []
    for event in events:
        found.append(event)
        if wanted(event):
            return found
    raise AssertionError(f"it never came: {found}")


def wait_for(holds) -> None:
    """Wait until something holds."""
    for _ in range(200):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it never held")
