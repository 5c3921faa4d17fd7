"""Journals over the network: for this machine's user, or for a token's person, and nobody else."""

import asyncio
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from emovox.errors import ConfigError
from emovox.journal.folder import folder, journal_files
from emovox.journal.records import CONSENT_VERSION, Conditions, Inferred, Segment, Session
from emovox.journal.store import Journal
from emovox.prediction import Prediction
from emovox.prosody import Prosody
from emovox.recognizer import Recognizer
from emovox.server.app import create_app
from emovox.server.journal import access
from emovox.server.settings import ServerSettings
from running_server import Running, heard, running, say, speech, tell, wav
from test_server_practice import QUIET, even, reading, told

__all__ = ["even", "reading"]  # fixtures

pytestmark = [pytest.mark.needs("platformdirs"), pytest.mark.needs("cryptography")]

NAME, NOTE, PASSPHRASE = "Zdeňka Nováková", "called my sister in Brno", "correct horse"
BEGAN = "2026-03-02T10:00:00+05:30"
TOKENS = ("anna-has-this-token=anna", "bert-has-this-token=bert", "nobody-has-this-one")
MAIN = "import sys; sys.path[:0] = {!r}; from emovox.cli import main; main()"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    """Give a user without journals."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """Run a server for this machine's user, whose journals are elsewhere in each test."""
    with running() as one:
        yield one


class Person:
    """A client that asks about one journal."""

    def __init__(self, server: Running, token: str = "", **new: object) -> None:
        self.server, self.token = server, token
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        if new:
            begun = self.begin(**new)
            assert begun.status_code == 200, begun.text
            self.take(begun.json())

    def take(self, begun: dict[str, str]) -> None:
        """Ask about this journal from now on."""
        self.id = begun["id"]
        self.headers["Emovox-Key"] = begun["key"]

    def request(self, method: str, path: str, headers: object = None, **kwargs) -> httpx.Response:
        """Ask the server."""
        headers = self.headers | (headers or {})
        url = f"{self.server.url}/v1/journal{path}"
        # Without TLS there is nothing to verify, and nothing has to be loaded for it.
        return httpx.request(method, url, headers=headers, timeout=60, verify=False, **kwargs)

    def begin(self, name: str = NAME, **changes: object) -> httpx.Response:
        """Begin a journal."""
        agreed = {"emotion": True, "sound": True, "version": CONSENT_VERSION, "agreed": True}
        return self.request("POST", "", json={"name": name, **agreed, **changes})

    def state(self) -> dict:
        """Return what the page asks first."""
        return self.request("GET", "").json()

    def ask(self, path: str = "", method: str = "GET", **kwargs: object) -> httpx.Response:
        """Ask about the journal."""
        return self.request(method, f"/{self.id}{path and '/' + path}", **kwargs)

    def overview(self) -> dict:
        """Return all entries."""
        answer = self.ask()
        assert answer.status_code == 200, answer.text
        return answer.json()

    def add(self, content: bytes, **fields: str) -> httpx.Response:
        """Add a recording."""
        data = {"began": BEGAN, **fields}
        return self.ask("recordings", "POST", files={"file": content}, data=data)

    @contextmanager
    def recording(self, query: str = "device=headset&offset_min=330") -> Iterator[ClientConnection]:
        """Begin a live session that is kept."""
        offered = [f"bearer.{self.token}"] if self.token else []
        if key := self.headers.get("Emovox-Key"):
            offered.append(f"key.{key}")
        url = self.server.live_url.replace("/v1/stream", f"/v1/journal/{self.id}/stream?{query}")
        with connect(url, compression=None, subprotocols=offered or None) as socket:
            yield socket


def code(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal."""
    error = answer.json()["error"]
    assert "\n" not in error["message"]
    return answer.status_code, error["code"]


@pytest.fixture(scope="module")
def talk_wav() -> bytes:
    """Make a recording of two sentences."""
    return wav(np.concatenate([speech(), speech(name="man-fast")]))


async def state_in(app: ASGIApp, root: str, path: str, address: str) -> httpx.Response:
    """Ask an app in this process for its journals, as if from an address."""
    way = httpx.ASGITransport(app, root_path=root, client=(address, 50_000))
    async with httpx.AsyncClient(transport=way, base_url="http://localhost") as client:
        return await client.get(path)


def keep_session(journal: Journal, week: int, device: str = "", n_segments: int = 3) -> None:
    """Keep a session of segments of 22 seconds, of which some sounded like a, others like b."""
    began = datetime(2026, 1, 5, 18, 30, tzinfo=UTC) + timedelta(weeks=week)
    session = Session(began, "recording", device, model="f00d", labels=("a", "b"))
    session = journal.begin(session)
    for n in range(n_segments):
        label = "a" if n % 3 <= week % 2 else "b"
        inferred = Inferred(label, 0.6, True, (0.6, 0.4) if label == "a" else (0.4, 0.6))
        prosody = Prosody(21.25 + 0.1 * (week % 3), 4.5, -31.5, 4.2, 0.125, 0.75)
        journal.keep(session, n, Segment(24.0 * n, 24.0 * n + 22.0, prosody, inferred))
    conditions = Conditions(24.0 * n_segments, 22.0 * n_segments, 31.5, 7_000.0)
    journal.finish(replace(session, conditions=conditions))


class TestPerson:
    """A journal is begun with consent, read, changed and forgotten."""

    def test_begin(self, server):
        """Without agreement, or to another text, nothing is begun; of one name only one is."""
        person = Person(server)
        state = person.state()
        assert (state["on"], state["people"], state["can_begin"]) == (True, [], True)
        assert state["consent"]["version"] == CONSENT_VERSION
        assert "no diagnosis" in state["consent"]["text"]
        assert code(person.begin(agreed=False)) == (409, "consent")
        assert code(person.begin(version=CONSENT_VERSION + 1)) == (409, "consent")
        assert code(person.begin(name=" ")) == (409, "journal")
        assert code(person.begin(retention_days=0)) == (422, "parameter")
        assert journal_files() == []
        assert person.begin(retention_days=365).status_code == 200
        assert code(person.begin()) == (409, "journal")
        (listed,) = person.state()["people"]
        assert (listed["name"], listed["locked"]) == (NAME, False)
        with Journal.open(journal_files()[0]) as journal:  # as commands see it
            assert journal.name == NAME
            assert journal.consent.retention_days == 365

    def test_added(self, server, talk_wav):
        """A recording is kept as its segments, once, at its time, and can be heard."""
        person = Person(server, emotion=True)
        added = person.add(talk_wav, device="phone", note=NOTE, tags="work, call").json()
        assert added["is_new"] is True
        session = added["session"]
        assert (session["began"], session["device"]) == (BEGAN, "phone")
        assert (session["note"], session["tags"]) == (NOTE, ["work", "call"])
        again = person.add(talk_wav).json()
        assert (again["is_new"], again["session"]["id"]) == (False, session["id"])
        whole = person.ask("sessions/1").json()
        expected = [one.label for one in Recognizer.load().segments(talk_wav)]
        assert len(whole["segments"]) == len(expected) == session["segments"]
        assert whole["sounds"] == [0, 1]
        sound = person.ask("sessions/1/sounds/0")
        assert sound.headers["content-type"] == "audio/flac"
        seconds = whole["segments"][0]["end"] - whole["segments"][0]["start"]
        assert soundfile.info(io.BytesIO(sound.content)).duration == pytest.approx(seconds)
        assert code(person.ask("sessions/1/sounds/9")) == (404, "not_found")
        assert code(person.ask("sessions/7")) == (404, "not_found")

    @pytest.mark.parametrize(
        ("content", "fields", "expected"),
        [
            (b"no audio at all" * 9, {}, (415, "unsupported_audio")),
            (b"", {}, (422, "audio")),
            (None, {"began": "yesterday"}, (422, "parameter")),
            (None, {"began": "2026-03-02T10:00"}, (422, "parameter")),
            (None, {"channel": "5"}, (422, "audio")),
        ],
    )
    def test_not_added(self, server, talk_wav, content, fields, expected):
        """What is no recording, or has no time, is refused in words, and leaves no session."""
        person = Person(server, emotion=False)
        assert code(person.add(talk_wav if content is None else content, **fields)) == expected
        assert person.overview()["sessions"] == []

    def test_too_long(self, talk_wav):
        """A recording that turns out too long is refused and leaves no session; others stay."""
        flac = bytearray(wav(np.tile(speech(), 3), format="FLAC"))
        flac[21] &= 0xF0  # the number of samples, 36 bits: unknown
        flac[22:26] = bytes(4)
        with running(max_seconds=6) as server:
            person = Person(server, emotion=False)
            person.add(wav(speech()))
            assert code(person.add(bytes(flac))) == (413, "too_long")
            assert [one["id"] for one in person.overview()["sessions"]] == [1]

    def test_nothing_inferred(self, server, talk_wav, monkeypatch):
        """Without consent to emotion no model is asked, in recordings and in live sound."""
        person = Person(server, emotion=False, sound=False)

        def refuse(*_: object, **__: object) -> Prediction:
            raise AssertionError("something infers")

        monkeypatch.setattr(Recognizer, "hear", refuse)
        session = person.add(talk_wav).json()["session"]
        assert (session["model"], session["sounded"], session["segments"]) == (None, None, 2)
        with person.recording() as live:
            say(live, speech())
            tell(live, "session.close")
            kinds = {one["type"] for one in heard(live)}
        assert "measurement" in kinds
        assert "result" not in kinds
        assert [one["inferred"] for one in person.ask("sessions/2").json()["segments"]] == [None]
        assert code(person.ask("sessions/2/sounds/0")) == (404, "not_found")

    def test_entries_change(self, server, talk_wav):
        """Notes, check-ins and consent change, and what is deleted is gone."""
        person = Person(server, emotion=True)
        person.add(talk_wav)
        noted = person.ask("sessions/1", "PATCH", json={"note": NOTE, "tags": ["a", "a", " "]})
        assert (noted.json()["note"], noted.json()["tags"]) == (NOTE, ["a"])
        said = {"kind": "daily", "valence": -0.625, "labels": ["drained", "calm"], "note": "tired"}
        assert person.ask("checkins", "POST", json={**said, "at": BEGAN}).json()["at"] == BEGAN
        unknown = person.ask("checkins", "POST", json={**said, "labels": ["grumpy"]})
        assert code(unknown) == (409, "journal")
        assert "overwhelmed" in unknown.json()["error"]["message"]
        assert code(person.ask("checkins", "POST", json={**said, "valence": 2})) == (
            422,
            "parameter",
        )
        less = {"emotion": False, "sound": False, "version": CONSENT_VERSION, "agreed": False}
        assert person.ask("consent", "PUT", json=less).json()["sound"] is False
        assert person.ask("sessions/1").json()["sounds"] == []
        assert code(person.ask("consent", "PUT", json={**less, "sound": True})) == (409, "consent")
        assert person.ask("consent", "PUT", json={**less, "retention_days": 1}).status_code == 200
        assert person.overview()["due"] == 2
        gone = {"sessions": 1, "check_ins": 1, "practised": 0}
        assert person.ask("purge", "POST").json() == gone
        assert code(person.ask("sessions/1", "DELETE")) == (404, "not_found")
        assert code(person.ask("checkins/1", "DELETE")) == (404, "not_found")
        assert [one["entries"] for one in person.overview()["forgotten"]] == [2]

    def test_forget(self, server, talk_wav, place):
        """After the journal is deleted, no byte of it is in the data folder."""
        person = Person(server, emotion=True)
        person.add(talk_wav, note=NOTE)
        assert NOTE.encode() in b"".join(file.read_bytes() for file in folder().iterdir())
        assert person.ask("", "DELETE").json() == {"sessions": 1, "check_ins": 0, "practised": 0}
        assert list(folder().iterdir()) == []
        assert code(person.ask()) == (404, "not_found")
        assert person.state()["people"] == []

    def test_in_use(self, server):
        """A journal that another program has open is not deleted, and the words say why."""
        person = Person(server, emotion=False)
        with Journal.open(journal_files()[0]) as journal:
            journal.sessions()
            refused = person.ask("", "DELETE")
            assert code(refused) == (409, "journal")
            assert "another program" in refused.json()["error"]["message"]
            assert str(folder()) not in refused.text
        assert person.overview()["name"] == NAME

    def test_too_much(self, server):
        """What nobody would write is refused before it is kept."""
        person = Person(server, emotion=False)
        much = {"note": "x" * 300_000, "tags": []}
        assert code(person.ask("sessions/1", "PATCH", json=much)) == (413, "too_large")
        assert code(person.ask(f"sessions/{2**60}")) == (422, "parameter")
        unread = person.ask("checkins", "POST", content=b"{", headers={"Content-Type": "a/b"})
        assert code(unread) == (422, "parameter")


class TestViews:
    """A trend and a comparison say what the commands say."""

    def test_trend_and_comparison(self, server):
        """Weeks have intervals, marks and titles; a comparison says what stands in its way."""
        person = Person(server, emotion=True)
        with Journal.open(journal_files()[0]) as journal:
            for week in range(7):
                keep_session(journal, week, device="phone" if week == 6 else "headset")
            keep_session(journal, 8, n_segments=1)
        said = {"kind": "momentary", "valence": 0.5, "at": "2026-03-02T10:00:00+01:00"}
        person.ask("checkins", "POST", json=said)
        trend = person.ask("trend").json()
        assert [week["monday"] for week in trend["weeks"]][:2] == ["2026-01-05", "2026-01-12"]
        marks = [week["marks"] for week in trend["weeks"]]
        assert marks[-2:] == [["another device"], ["too little"]]
        assert trend["weeks"][-1]["valence"] == 0.5
        point = trend["weeks"][0]["points"]["sounded.a"]
        assert point["low"] < point["value"] < point["high"]
        assert trend["measures"]["pitch_st"] == {"title": "pitch", "unit": " st", "is_share": False}
        assert "no diagnosis" in trend["told"][-1]
        for since in ("yesterday", "0001-01-01"):
            assert code(person.ask("trend", params={"since": since})) == (422, "parameter")
        assert len(person.ask("trend?since=2026-02-09").json()["weeks"]) == 3
        assert code(person.ask("trend?since=soon")) == (422, "parameter")
        found = person.ask("comparison?before=1&after=8").json()
        assert found["too_little"] == [8]
        assert "too little" in found["cautions"][0]
        assert found["titles"].keys() == found["measures"].keys()
        assert code(person.ask("comparison?before=1&after=9")) == (404, "not_found")

    def test_export(self, server, talk_wav, place):
        """Every format can be taken away, and JSON lines make the same journal."""
        person = Person(server, emotion=True)
        person.add(talk_wav, note=NOTE)
        for kind in person.state()["formats"]:
            if kind == "parquet":
                pytest.importorskip("pyarrow")
            answer = person.ask("export", params={"format": kind})
            assert answer.status_code == 200, answer.text
            assert f"-{kind}." in answer.headers["content-disposition"]
            if answer.headers["content-disposition"].endswith('.zip"'):
                with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
                    assert archive.testzip() is None
                    assert archive.namelist()
        from emovox.journal.export.lines import journal_from, lines_of

        lines = person.ask("export").text.splitlines(keepends=True)
        with journal_from(place / "copy.journal", lines) as copy:
            assert list(lines_of(copy)) == lines
        assert code(person.ask("export?format=docx")) == (422, "parameter")


class TestLive:
    """A live session is kept segment by segment."""

    def test_kept_at_once(self, server):
        """A segment is in the journal while the session goes on, and others may write meanwhile."""
        person = Person(server, emotion=True)
        with person.recording() as live:
            say(live, speech())
            heard(live, until="result")
            until = time.monotonic() + 20
            while not person.overview()["sessions"][0]["segments"]:
                assert time.monotonic() < until
            assert person.overview()["sessions"][0]["is_whole"] is False
            with Journal.open(journal_files()[0]) as journal:  # as a command does meanwhile
                journal.annotate(1, NOTE, [])
            say(live, speech(name="man-fast"))
            tell(live, "session.close")
            closed = heard(live)[-1]
        (session,) = person.overview()["sessions"]
        assert session["segments"] == 2
        assert session["is_whole"] is True
        assert session["seconds"] == pytest.approx(closed["seconds"], abs=0.01)
        assert (session["source"], session["device"]) == ("microphone", "headset")
        assert session["note"] == NOTE
        assert session["began"].endswith("+05:30")
        text = httpx.get(f"{server.url}/metrics").text
        assert 'emovox_decisions_total{label="' not in text  # moods are nobody's business

    def test_gone(self, server):
        """Where the client goes without a word, what it said until then is kept, and is whole."""
        person = Person(server, emotion=True)
        with person.recording() as live:
            said = np.concatenate([speech(), speech(silence_s=0)])
            say(live, said)
            while heard(live, until="level")[-1]["seconds"] < len(said) / 16_000 - 0.3:
                pass
        until = time.monotonic() + 20
        while not person.overview()["sessions"][0]["is_whole"]:
            assert time.monotonic() < until
        assert person.overview()["sessions"][0]["segments"] == 2

    def test_forgotten_meanwhile(self, server):
        """A session that is deleted while it goes on ends, and leaves nothing."""
        person = Person(server, emotion=False)
        with person.recording() as live:
            say(live, speech())
            heard(live, until="measurement")
            person.ask("sessions/1", "DELETE")
            with suppress(ConnectionClosed):
                say(live, speech())
            messages = heard(live)
        assert messages[-1]["reason"] == "journal"
        assert [one["fatal"] for one in messages if one["type"] == "error"] == [True]
        assert person.overview()["sessions"] == []

    def test_refused(self, server):
        """An unknown journal and a time zone that cannot be are refused in the handshake."""
        person = Person(server, emotion=False)
        for query, name, status in (
            ("", "x" * 16, 404),
            ("offset_min=9999", person.id, 422),
            (f"offset_min={10**18}", person.id, 422),
        ):
            person.id = name
            with pytest.raises(InvalidStatus) as refused, person.recording(query):
                pass
            assert refused.value.response.status_code == status
            person.id = person.state()["people"][0]["id"]
        with person.recording() as live:
            tell(live, "session.update", channels=2)
            assert heard(live)[-1]["reason"] == "parameter"
        with person.recording() as live:
            tell(live, "session.update", labels=["fear", "sad"])
            assert heard(live)[-1]["reason"] == "parameter"

    def test_without_emotion(self, server):
        """A session that asks for no emotion infers and keeps none, whatever the person allowed."""
        person = Person(server, emotion=True)
        with person.recording() as live:
            tell(live, "session.update", emotion=False)
            say(live, speech())
            heard(live, until="measurement")
            tell(live, "session.close")
            heard(live)
        (session,) = person.overview()["sessions"]
        assert (session["model"], session["sounded"], session["segments"]) == (None, None, 1)

    def test_killed(self, place):
        """After kill -9 every segment that was told is in the journal, which is intact."""
        command = [sys.executable, "-c", MAIN.format(sys.path), "serve", "--port", "0"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            port = int(json.loads(process.stderr.readline())["url"].rpartition(":")[2])
            person = Person(Running(None, port), emotion=False)
            with suppress(ConnectionClosed), person.recording() as live:
                say(live, np.concatenate([speech(), speech(name="man-fast"), speech(silence_s=0)]))
                heard(live, until="measurement")
                heard(live, until="measurement")
                os.kill(process.pid, signal.SIGKILL)
        finally:
            process.kill()
            process.communicate()
        (file,) = journal_files()
        with closing(sqlite3.connect(file)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        with Journal.open(file) as journal:
            (session,) = journal.sessions()
            assert session.is_whole is False
            assert len(list(journal.segments(session.id))) >= 2


class TestPractice:
    """Practice over the same stream: what the server judged is kept, and nothing else."""

    def test_kept_at_once(self, server, even, reading):
        """A take is in the journal before it is told; another aim is another entry."""
        person = Person(server, emotion=False, sound=False)
        with person.recording() as live:
            practice = {"loudness": "6dB", "takes": 2}
            tell(live, "session.update", rate=16_000, emotion=False, practice=practice)
            say(live, np.concatenate([reading, QUIET]))
            told(live, "practice.usual")
            assert person.overview()["practised"] == []
            say(live, np.concatenate([np.clip(60.0 * even, -32_768, 32_767).astype("i2"), QUIET]))
            assert "too loud" in told(live, "practice.attempt")["why_untold"]
            assert person.overview()["practised"] == []  # nothing counted yet
            said = [2 * even, QUIET, even, QUIET, even, QUIET]
            for n, take in enumerate(np.split(np.concatenate(said), 3), 1):
                say(live, take)
                assert told(live, "practice.attempt")["told"]
                (kept,) = person.overview()["practised"]
                assert (kept["n_takes"], kept["n_untold"]) == (n, 1)
            assert kept["best"] == [1.0, pytest.approx(0, abs=0.05)]  # of two sentences
            assert (kept["target"], kept["inferred"]) == ("loudness +6 dB", False)
            assert kept["at"].endswith("+05:30")
            tell(live, "practice", pitch="up")
            say(live, np.concatenate([even, QUIET]))
            told(live, "practice.attempt")
        kept = person.overview()
        assert [one["target"] for one in kept["practised"]] == ["loudness +6 dB", "pitch +3 st"]
        assert kept["sessions"] == []  # nothing for the trend
        gone = {"sessions": 0, "check_ins": 0, "practised": 1}
        assert person.ask("practice/1", "DELETE").json() == gone
        assert code(person.ask("practice/1", "DELETE")) == (404, "not_found")
        assert person.ask("export").text.count('"practice"') == 1
        assert person.ask("", "DELETE").json() == gone

    def test_consent(self, server, reading):
        """Without consent to emotion no model listens; once withdrawn, nothing more is kept."""
        person = Person(server, emotion=False)
        for practice in ({"target": "happy"}, {"pitch": "up"}):
            with person.recording() as live:
                tell(live, "session.update", practice=practice)
                error = told(live, "error")
                assert (error["code"], error["fatal"]) == ("parameter", True)
                assert "agreed to measuring alone" in error["message"]
        more = {"emotion": True, "sound": False, "version": CONSENT_VERSION, "agreed": True}
        assert person.ask("consent", "PUT", json=more).status_code == 200
        take = np.concatenate([speech(name="slow-and-low", silence_s=0), QUIET])  # certain
        with person.recording() as live:
            tell(live, "session.update", rate=16_000, practice={"target": "happy"})
            say(live, np.concatenate([reading, QUIET, take]))
            assert told(live, "practice.attempt")["told"]
            (kept,) = person.overview()["practised"]
            assert (kept["target"], kept["inferred"]) == ("happy", True)
            person.ask("consent", "PUT", json={**more, "emotion": False})
            say(live, take)
            assert "has not agreed" in told(live, "error")["message"]
        assert [one["n_takes"] for one in person.overview()["practised"]] == [1]


class TestPassphrase:
    """A journal with a passphrase opens to who gives it, until it is locked."""

    def test_locked(self, server, talk_wav, monkeypatch):
        """Without its key nothing can be read or added; the key is forgotten when it is unused."""
        person = Person(server, emotion=False, passphrase=PASSPHRASE)
        person.add(talk_wav, note=NOTE)
        (listed,) = person.state()["people"]
        assert (listed["name"], listed["locked"]) == (None, True)
        written = b"".join(file.read_bytes() for file in folder().iterdir())
        assert NAME.encode() not in written
        assert NOTE.encode() not in written
        with person.recording() as live:
            tell(live, "session.close")
            heard(live)
        key = person.headers.pop("Emovox-Key")
        for path, method in (("", "GET"), ("sessions/1", "GET"), ("export", "GET"), ("", "DELETE")):
            assert code(person.ask(path, method)) == (423, "locked")
        with pytest.raises(InvalidStatus), person.recording():
            pass
        assert code(person.ask("unlock", "POST", json={"passphrase": "no"})) == (409, "journal")
        unlocked = person.ask("unlock", "POST", json={"passphrase": PASSPHRASE}).json()["key"]
        person.headers["Emovox-Key"] = unlocked
        assert person.overview()["name"] == NAME
        assert person.ask("lock", "POST").status_code == 204
        assert code(person.ask()) == (423, "locked")
        person.headers["Emovox-Key"] = key
        assert person.overview()["sessions"][0]["note"] == NOTE
        monkeypatch.setattr(access, "IDLE_S", 0.0)
        assert code(person.ask()) == (423, "locked")

    def test_unused(self, server, monkeypatch):
        """The key leaves the memory also if nobody asks for anything any more."""
        monkeypatch.setattr(access, "IDLE_S", 0.5)
        person = Person(server, emotion=False, passphrase=PASSPHRASE)
        keys = server.server.config.app.state.journals._unlocked
        handle = person.headers["Emovox-Key"]
        assert handle in keys
        until = time.monotonic() + 10
        while handle in keys:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert code(person.ask()) == (423, "locked")

    def test_changed(self, server):
        """When a command gives the journal another passphrase, the old key opens it no more."""
        person = Person(server, emotion=False, passphrase=PASSPHRASE)
        with Journal.open(journal_files()[0], passphrase=PASSPHRASE) as journal:
            journal.unlock()
        assert person.overview()["locked"] is False
        with Journal.open(journal_files()[0]) as journal:
            journal.lock("another one")
        refused = person.ask()
        assert code(refused) == (409, "journal")
        assert "passphrase was changed" in refused.json()["error"]["message"]
        assert person.ask("unlock", "POST", json={"passphrase": "another one"}).status_code == 200


class TestOthers:
    """Nobody else reaches a journal."""

    @pytest.mark.parametrize("origin", ["https://friend.example", "*"])
    def test_other_pages(self, origin):
        """Pages of other hosts, allowed ones too, names of others and proxies are refused."""
        foreign = [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "https://friend.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Host": "evil.example"},
            {"Host": "friend.example"},
            {"Host": "friend.example", "Origin": "https://friend.example"},
            {"X-Forwarded-For": "203.0.113.5"},
            {"Via": "1.1 proxy"},
        ]
        with running(origins=(origin,)) as server:
            person = Person(server, emotion=False)
            url = f"ws://127.0.0.1:{server.port}/v1/journal/{person.id}/stream"
            for headers in foreign:
                for method in ("GET", "OPTIONS"):
                    answer = person.ask("", method, headers=headers)
                    assert answer.status_code == 403, headers
                    assert "access-control-allow-origin" not in answer.headers
                if "Host" not in headers:
                    with pytest.raises(InvalidStatus), connect(url, additional_headers=headers):
                        pass
            assert person.overview()["name"] == NAME

    def test_mounted(self):
        """Under a path of another app, or with a server's root path, the same are refused."""
        app = create_app(ServerSettings())
        mounted = Starlette(routes=[Mount("/inner", app=app)])
        for outer, root in ((mounted, ""), (app, "/inner")):
            for address, status in (("203.0.113.5", 403), ("127.0.0.1", 200)):
                answer = asyncio.run(state_in(outer, root, "/inner/v1/journal", address))
                assert answer.status_code == status, (root, address)
                assert answer.headers["cross-origin-resource-policy"] == "same-origin"

    def test_own_page(self, server):
        """The service's own page is let in, by the names that it has for itself."""
        for host in ("127.0.0.1", "localhost"):
            headers = {
                "Host": f"{host}:{server.port}",
                "Origin": f"http://{host}:{server.port}",
                "Sec-Fetch-Site": "same-origin",
            }
            answer = httpx.get(f"{server.url}/v1/journal", headers=headers)
            assert answer.json()["on"] is True
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"

    @pytest.mark.parametrize(
        ("settings", "has_journals"),
        [
            ({}, True),
            ({"journal": "off"}, False),
            ({"host": "0.0.0.0"}, False),
            ({"tokens": TOKENS}, False),
            ({"tokens": TOKENS, "journal": "on"}, True),
            ({"tokens": TOKENS, "journal": "on", "host": "0.0.0.0"}, True),
        ],
    )
    def test_when_on(self, settings, has_journals):
        """By default journals are there for this machine alone."""
        assert ServerSettings(**settings).has_journals is has_journals

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"journal": "on", "host": "0.0.0.0"}, "give each person a token"),
            ({"journal": "maybe"}, "expected auto, on, off"),
            ({"tokens": ("a-token-of-some-length=",)}, "expected TOKEN=PERSON"),
            ({"tokens": ("a-token-of-some-length=a/b",)}, "expected TOKEN=PERSON"),
            ({"tokens": ("a-token-of-some-length=a", "a-token-of-some-length=b")}, "one person"),
        ],
    )
    def test_settings_that_cannot_be(self, settings, words):
        """A service that is open to all keeps no journals, and a person is a plain word."""
        with pytest.raises(ConfigError, match=words) as found:
            ServerSettings(**settings)
        assert "a-token" not in str(found.value)

    def test_extra_is_missing(self, server, monkeypatch):
        """Without the extra the page is told how to install it, and the service works on."""
        monkeypatch.setitem(sys.modules, "platformdirs", None)
        state = Person(server).state()
        assert (state["offered"], state["on"]) == (True, False)
        assert "pip install 'emovox[journal]'" in state["why"]

    def test_off(self):
        """Where journals are off, everything but the question whether they are is refused."""
        with running(journal="off") as server:
            person = Person(server)
            state = person.state()
            assert (state["offered"], state["on"], state["people"]) == (False, False, [])
            assert code(person.begin()) == (403, "journal_off")
            person.id = "x"
            assert code(person.ask()) == (403, "journal_off")

    def test_each_token_its_own(self, talk_wav):
        """A token sees its own person's journal alone; one without a person sees none."""
        with running(tokens=TOKENS, journal="on") as server:
            anna = Person(server, "anna-has-this-token", name="Anna", emotion=False)
            bert = Person(server, "bert-has-this-token", name="Bert", emotion=False)
            assert [one["name"] for one in anna.state()["people"]] == ["Anna"]
            assert anna.state()["can_begin"] is False
            assert code(anna.begin(name="Another")) == (409, "journal")
            own, bert.id = bert.id, anna.id
            assert code(bert.ask()) == (404, "not_found")
            assert code(bert.add(talk_wav)) == (404, "not_found")
            bert.id = own
            with bert.recording() as live:
                say(live, speech())
                tell(live, "session.close")
                heard(live)
            assert len(bert.overview()["sessions"]) == 1
            assert anna.overview()["sessions"] == []
            nobody = Person(server, "nobody-has-this-one")
            assert nobody.state()["offered"] is False
            assert code(nobody.begin()) == (403, "journal_off")
            assert httpx.get(f"{server.url}/v1/journal").status_code == 401
        names = " ".join(file.name for file in folder().iterdir()).lower()
        assert not any(word in names for word in ("anna", "bert", "token"))
        with running(tokens=("a-new-token-for-anna=anna",), journal="on") as server:
            assert Person(server, "a-new-token-for-anna").state()["people"][0]["name"] == "Anna"
