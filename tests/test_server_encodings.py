"""Encodings and channels of live sessions: equal to what libsndfile and Python make of them."""

import io

import httpx
import numpy as np
import pytest
import soundfile
import soxr

from emovox.server.encodings import alaw_table, decoder, mulaw_table
from emovox.server.protocol import MessageError, SessionOptions
from running_server import RATE, heard, results, running, say, speech, tell

PHONE = 8_000  # Hz


@pytest.fixture(scope="module")
def server():
    """Run a server that does not slow down fast speakers."""
    with running(max_messages_per_s=5_000) as one:
        yield one


def at(rate: int, name: str = "even") -> np.ndarray:
    """Return a spoken sentence at a rate."""
    sound = soxr.resample(speech(name=name).astype(np.float32), RATE, rate)
    return np.clip(np.round(sound), -32_768, 32_767).astype(np.int16)


def coded(samples: np.ndarray, law: str) -> bytes:
    """Encode samples with libsndfile; those of several channels come interleaved."""
    file = io.BytesIO()
    soundfile.write(file, samples, PHONE, format="RAW", subtype=law.upper())
    return file.getvalue()


def decoded(data: bytes, law: str, channels: int = 1) -> np.ndarray:
    """Decode bytes with libsndfile."""
    subtype = {"mulaw": "ULAW", "alaw": "ALAW"}[law]
    sound, _ = soundfile.read(
        io.BytesIO(data), dtype="int16", format="RAW", subtype=subtype, samplerate=PHONE,
        channels=channels,
    )  # fmt: skip
    return sound


def ogg(samples: np.ndarray, rate: int) -> bytes:
    """Encode samples with libsndfile's Opus."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="OGG", subtype="OPUS")
    return file.getvalue()


def packets(file: bytes) -> list[bytes]:
    """Return the packets of an Ogg Opus file."""
    av = pytest.importorskip("av")
    with av.open(io.BytesIO(file)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize(("table", "law"), [(mulaw_table, "mulaw"), (alaw_table, "alaw")])
def test_tables(table, law):
    """Each of the 256 codes is the sample that libsndfile makes of it."""
    assert table().tolist() == decoded(bytes(range(256)), law).tolist()


@pytest.mark.parametrize(("law", "subtype"), [("mulaw", "ulaw"), ("alaw", "alaw")])
def test_telephony(server, shipped, law, subtype):
    """A phone's audio is heard at 8 kHz without a rate, as Python hears it decoded."""
    data = coded(at(PHONE), subtype)
    with server.live() as session:
        tell(session, "session.update", encoding=law)
        for first in range(0, len(data), 160):  # 20 ms
            session.send(data[first : first + 160])
        tell(session, "session.close")
        messages = heard(session)
    assert (messages[1]["encoding"], messages[1]["rate"]) == (law, PHONE)
    assert messages[-1]["seconds"] == pytest.approx(len(data) / PHONE, abs=1e-3)
    stream = shipped.stream(PHONE)
    expected = [*stream.feed(decoded(data, law)), *stream.flush()]
    found = results(messages)
    assert found == [one.to_dict() for one in expected if one.final]
    assert len(found) == 1


@pytest.mark.parametrize(("rate", "encoding"), [(16_000, "mulaw"), (48_000, "alaw")])
def test_other_rates_of_telephony(server, rate, encoding):
    """A rate that is given counts, whatever the encoding."""
    with server.live() as session:
        tell(session, "session.update", encoding=encoding, rate=rate)
        session.send(bytes(rate // 10))
        tell(session, "session.close")
        messages = heard(session)
    assert messages[1]["rate"] == rate
    assert messages[-1]["seconds"] == pytest.approx(0.1)


@pytest.mark.needs("av")
@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_opus(server, shipped, rate):
    """Packets of Opus of any encoder's rate are heard as libsndfile hears them in a file."""
    file = ogg(at(rate), rate)
    with server.live() as session:
        tell(session, "session.update", encoding="opus", rate=rate)
        for packet in packets(file):
            session.send(packet)
        tell(session, "session.close")
        messages = heard(session)
    assert messages[-1]["seconds"] == pytest.approx(len(at(rate)) / rate, abs=0.05)
    (found,) = results(messages)
    (expected,) = shipped.segments(file)
    assert found["label"] == expected.label
    assert found["scores"] == pytest.approx(dict(expected.scores), abs=0.05)
    assert found["start"] == pytest.approx(expected.start, abs=0.05)
    assert found["end"] == pytest.approx(expected.end, abs=0.05)


@pytest.mark.needs("av")
def test_damaged_opus(server):
    """A damaged packet is told so and the session goes on; a lost one is no mistake."""
    first, *rest = packets(ogg(at(RATE), RATE))
    with server.live() as session:
        tell(session, "session.update", encoding="opus")
        session.send(first)
        session.send(b"\xff\xff\xff")
        session.send(b"")
        for packet in rest:
            session.send(packet)
        tell(session, "session.close")
        messages = heard(session)
    (error,) = [one for one in messages if one["type"] == "error"]
    assert (error["code"], error["fatal"]) == ("packet", False)
    assert len(results(messages)) == 1


@pytest.mark.needs("av")
def test_any_bytes_as_opus():
    """No packet, however damaged, is anything but samples in [-1, 1] or a MessageError."""
    random = np.random.default_rng(0)
    whole = packets(ogg(at(RATE), RATE))
    decode, rate = decoder(SessionOptions(encoding="opus"))
    assert rate == 48_000
    n_refused = 0
    for _ in range(2_000):
        packet = bytearray(whole[random.integers(len(whole))])
        for _ in range(random.integers(1, 6)):
            packet[random.integers(len(packet))] = random.integers(256)
        try:
            samples = decode(bytes(packet[: random.integers(len(packet) + 1)]))
        except MessageError:
            n_refused += 1
        else:
            assert samples.shape[1] == 1
            assert np.all(np.abs(samples) <= 1)
    assert 0 < n_refused < 2_000
    assert decode(whole[0]).shape == (960, 1)


def test_without_the_library(server, monkeypatch):
    """Where PyAV is not installed, a session of Opus ends with the command that installs it."""
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with server.live() as session:
        tell(session, "session.update", encoding="opus")
        error = heard(session)[1]
    assert error["fatal"]
    assert "pip install 'emovox[opus]'" in error["message"]


class TestChannels:
    """Several channels in one session are several streams, and answers name them."""

    def test_each_as_alone(self, server, shipped):
        """Each channel of interleaved audio is heard as it would be alone."""
        sounds = [at(PHONE), at(PHONE, "man-fast")]
        both = np.zeros((max(map(len, sounds)), 2), np.int16)
        for index, sound in enumerate(sounds):
            both[: len(sound), index] = sound
        data = coded(both, "ulaw")
        with server.live() as session:
            tell(session, "session.update", encoding="mulaw", channels=2)
            for first in range(0, len(data), 320):
                session.send(data[first : first + 320])
            tell(session, "session.close")
            messages = heard(session)
        assert messages[1]["channels"] == 2
        assert messages[1]["baseline_seconds"] == [0.0, 0.0]
        assert all(("channel" in one) for one in messages[2:-1])
        for index, sound in enumerate(decoded(data, "mulaw", 2).T):
            stream = shipped.stream(PHONE)
            expected = [*stream.feed(sound), *stream.flush()]
            mine = [one for one in messages if one.get("channel") == index]
            assert results(mine) == [one.to_dict() for one in expected if one.final]
            assert [one["type"] for one in mine].count("speech.start") == 1

    @pytest.mark.needs("av")
    def test_stereo_opus(self, server):
        """The two channels of a packet of Opus are two channels."""
        sound = at(RATE)
        with server.live() as session:
            tell(session, "session.update", encoding="opus", channels=2)
            for packet in packets(ogg(np.stack([sound, 0 * sound], axis=1), RATE)):
                session.send(packet)
            tell(session, "session.close")
            found = [one["channel"] for one in heard(session) if one["type"] == "result"]
        assert set(found) == {0}

    def test_baselines(self, server, shipped):
        """Each channel has a baseline of its own, to be given, asked for and forgotten."""
        given = shipped.enrol("Anna", [wav_of("even")]).to_dict()
        with server.live() as session:
            tell(session, "session.update", channels=2, baselines=[None, given])
            assert heard(session, "session.updated")[-1]["baseline_seconds"][1] > 0
            tell(session, "baseline.get")
            answers = [heard(session, "baseline")[-1] for _ in range(2)]
            assert [one["channel"] for one in answers] == [0, 1]
            assert answers[1]["baseline"] == given
            tell(session, "baseline.reset", channel=1)
            answer = heard(session, "baseline")[-1]
            assert (answer["channel"], answer["baseline"]["seconds"]) == (1, 0)

    def test_flush_of_one(self, server):
        """A flush may end the segment of one channel alone."""
        both = np.repeat(speech(silence_s=0.0)[:, np.newaxis], 2, axis=1)
        with server.live() as session:
            tell(session, "session.update", channels=2)
            say(session, both.reshape(-1), 3_200)
            tell(session, "flush", channel=1)
            tell(session, "ping")
            messages = heard(session, "pong")
            finals = [
                one for one in messages if one["type"] == "result" and one["prediction"]["final"]
            ]
            assert [one["channel"] for one in finals] == [1]

    def test_places(self):
        """A session of several channels takes the places of as many sessions."""
        with running(max_sessions=3, max_share=1.0) as server:
            with server.live() as session:
                tell(session, "session.update", channels=3)
                heard(session, "session.updated")
                assert httpx.get(f"{server.url}/readyz").status_code == 503
                tell(session, "session.update", channels=2)
                heard(session, "session.updated")
                assert httpx.get(f"{server.url}/readyz").status_code == 200
                tell(session, "session.update", channels=4)
                messages = heard(session)
                assert (messages[0]["code"], messages[0]["fatal"]) == ("busy", True)
            with server.live() as session:
                tell(session, "session.update", channels=3)
                assert heard(session, "session.updated")


def wav_of(name: str) -> bytes:
    """Return a sentence as a file."""
    file = io.BytesIO()
    soundfile.write(file, speech(name=name), RATE, format="WAV")
    return file.getvalue()
