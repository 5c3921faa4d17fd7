"""A journal keeps what a person agreed to, loses nothing, and forgets what it is told to."""

import io
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import TINY
from emovox.cli import run
from emovox.errors import EmovoxError, JournalError
from emovox.journal import folder
from emovox.journal.adding import Recording, add
from emovox.journal.records import (
    CheckIn,
    Conditions,
    Consent,
    Inferred,
    Practised,
    Segment,
    Session,
)
from emovox.journal.report import strongest_turns
from emovox.journal.schema import MIGRATIONS, check, migrate
from emovox.journal.store import Journal
from emovox.prosody import Prosody
from emovox.vad import read_speech

pytestmark = [pytest.mark.needs("platformdirs"), pytest.mark.needs("cryptography")]

NOW = datetime(2026, 3, 2, 18, 30, tzinfo=UTC)
NAME, NOTE, PASSPHRASE = "Zdeňka Nováková", "called my sister in Brno", "correct horse"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="no such permissions there")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, talk) -> Path:
    """Work in a folder with a recording of talk, and keep journals there, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    soundfile.write("talk.wav", talk, 16_000, "PCM_16")
    return tmp_path


@pytest.fixture(params=["open", "sealed"])
def secret(request) -> str | None:
    """Give no passphrase, and one."""
    return PASSPHRASE if request.param == "sealed" else None


def made(path: Path = Path("a.journal"), secret: str | None = None, **consent: object) -> Journal:
    """Make a journal of a person who agreed to everything, unless told otherwise."""
    agreed = {"emotion": True, "sound": True, **consent}
    return Journal.create(path, NAME, Consent(NOW, **agreed), passphrase=secret)


def segment(start: float = 1.5, label: str | None = "b") -> Segment:
    """Make a segment of three seconds."""
    inferred = Inferred(label, 0.6, True, (0.4, 0.6)) if label else None
    prosody = Prosody(21.25, 4.5, -31.4159, 4.2, 0.125, 0.75)
    return Segment(start, start + 3.0, prosody, inferred)


def filled(journal: Journal) -> Session:
    """Add a session of two segments with sound, a check-in, and a session of practice."""
    session = Session(NOW, "recording", "headset", model="f00d", labels=("a", "b"), note=NOTE)
    session = journal.begin(replace(session, tags=("phone",), digest="d1"))
    for n in range(2):
        journal.keep(session, n, segment(4.0 * n), flac=b"fLaC not really sound %d" % n)
    journal.check_in(CheckIn(NOW, "daily", -0.625, ("drained", "calm"), "slept badly"))
    journal.keep_practised(Practised(NOW, "cheerful", True, 3, 1, (0.7125,)))
    return journal.finish(replace(session, conditions=Conditions(9.0, 6.0, 31.5, 7_000.0)))


class TestStore:
    """The file gives back what was written, with and without a passphrase."""

    def test_everything_comes_back(self, secret):
        """A journal that is opened again holds the same entries."""
        with made(secret=secret) as journal:
            session = filled(journal)
        with Journal.open(Path("a.journal"), passphrase=secret) as journal:
            assert journal.name == NAME
            assert journal.consent == Consent(NOW, True, True, True)
            assert journal.sessions() == [session]
            assert list(journal.segments(session.id)) == [segment(0.0), segment(4.0)]
            assert [n for n, _ in journal.sounds(session.id)] == [0, 1]
            (check_in,) = journal.check_ins()
            assert check_in.labels == ("drained", "calm")
            assert journal.practised() == [Practised(NOW, "cheerful", True, 3, 1, (0.7125,), 1)]
            totals = journal.totals(session.id)
            assert totals.speech_s == 6.0
            assert totals.share("b") == 1.0
            assert totals.means["pitch_st"] == 21.25

    @POSIX
    def test_private(self):
        """Nobody else may read the file, its log, or the folder."""
        path = Path("data/new/a.journal")
        with made(path) as journal:
            filled(journal)
            for file in path.parent.iterdir():
                assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_no_emotion_without_consent(self):
        """Where the person did not agree to it, no label can be kept, nor sound."""
        with made(emotion=False, sound=False) as journal:
            with pytest.raises(JournalError, match="not agreed"):
                journal.begin(Session(NOW, "recording", model="f00d"))
            session = journal.begin(Session(NOW, "recording"))
            with pytest.raises(JournalError, match="not agreed"):
                journal.keep(session, 0, segment())
            with pytest.raises(JournalError, match="not agreed"):
                journal.keep_practised(Practised(NOW, "cheerful", True))
            journal.keep_practised(Practised(NOW, "cheerful", False))
            journal.keep(session, 0, segment(label=None), flac=b"sound")
            assert [one.inferred for one in journal.segments(session.id)] == [None]
            assert not list(journal.sounds(session.id))

    def test_withdrawn_sound_goes(self):
        """Sound is deleted when the person withdraws the consent to it."""
        with made() as journal:
            session = filled(journal)
            journal.agree(Consent(NOW, True, True, False))
            assert not list(journal.sounds(session.id))
            assert len(list(journal.segments(session.id))) == 2

    def test_wrong_passphrase(self):
        """Another passphrase opens nothing, and none is asked for in vain."""
        made(secret=PASSPHRASE).close()
        for given in ("another", None):
            with pytest.raises(JournalError, match="passphrase"):
                Journal.open(Path("a.journal"), passphrase=given)

    def test_foreign_database_is_left_alone(self):
        """A database of another program is refused, and not changed."""
        with sqlite3.connect("other.db") as other:
            other.execute("CREATE TABLE mine (x)")
        other.close()
        before = Path("other.db").read_bytes()
        with pytest.raises(JournalError, match="another program"):
            Journal.open(Path("other.db"))
        assert Path("other.db").read_bytes() == before

    @pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\0" + bytes(200)])
    def test_damaged(self, content):
        """What is no journal is an error of one line."""
        Path("x.journal").write_bytes(content)
        with pytest.raises(JournalError, match=r"x\.journal: no journal"):
            Journal.open(Path("x.journal"))

    def test_older_version(self):
        """A journal from before practice was kept gets a place for it, and keeps the rest."""
        with made() as journal:
            session = filled(journal)
        with closing(sqlite3.connect("a.journal")) as database:
            database.executescript("DROP TABLE practice; PRAGMA user_version = 1;")
        with Journal.open(Path("a.journal")) as journal:
            assert journal.practised() == []
            assert journal.keep_practised(Practised(NOW, "cheerful", False)).id == 1
            assert journal.sessions() == [session]

    def test_two_at_once(self):
        """A journal of an older version opens where another process updates it meanwhile."""
        made().close()
        with closing(sqlite3.connect("a.journal", isolation_level=None)) as database:
            database.executescript("DROP TABLE practice; PRAGMA user_version = 1;")
            version = check(database)
            Journal.open(Path("a.journal")).close()
            migrate(database, version)
            assert check(database) == len(MIGRATIONS)

    def test_newer_version(self):
        """A journal of a newer version is not touched."""
        made().close()
        with sqlite3.connect("a.journal") as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
        with pytest.raises(JournalError, match="update emovox"):
            Journal.open(Path("a.journal"))


class TestForget:
    """What is forgotten leaves no byte."""

    SECRETS = (NAME, NOTE, "slept badly", "drained", "headset", "phone", "-31.4159", "fLaC not",
               "cheerful", "0.7125")  # fmt: skip

    def test_session(self, secret, place):
        """After a session and a check-in are forgotten, no byte of them is in any file."""
        with made(Path("data/a.journal"), secret) as journal:
            session = filled(journal)
            journal.forget_session(session.id)
            journal.forget_check_in(1)
            journal.forget_practised(1)
            with pytest.raises(JournalError, match="no session of practice 1"):
                journal.forget_practised(1)
            rest = b"".join(file.read_bytes() for file in Path("data").rglob("*.journal*"))
            assert rest
            for word in self.SECRETS[1:]:
                assert word.encode() not in rest, word
            assert [n for _, n in journal.forgotten()] == [1, 1, 1]

    def test_everything(self, secret):
        """After the journal is erased, nothing is left in the folder."""
        with made(Path("data/a.journal"), secret) as journal:
            filled(journal)
            journal.erase()
        assert not list(Path("data").iterdir())

    def test_in_use(self):
        """While another program has it open, a journal is not erased."""
        with made() as journal, Journal.open(Path("a.journal")) as other:
            filled(journal)
            with pytest.raises(JournalError, match="another program"):
                journal.erase()
            assert other.check_ins()

    def test_sealed_while_open(self):
        """With a passphrase, nothing can be read in the files of the open journal either."""
        with made(Path("data/a.journal"), PASSPHRASE) as journal:
            filled(journal)
            files = list(Path("data").iterdir())
            assert len(files) > 1  # the write-ahead log, too
            content = b"".join(file.read_bytes() for file in files)
            for word in (*self.SECRETS, "2026", PASSPHRASE, "neutral", "d1"):
                assert word.encode() not in content, word

    def test_lock_and_unlock(self):
        """Sealed later, no entry stays readable; opened again, all of them are as before."""
        with made(Path("data/a.journal")) as journal:
            session = filled(journal)
            before = list(journal.segments(session.id)), list(journal.sounds(session.id))
            journal.lock(PASSPHRASE)
            content = b"".join(file.read_bytes() for file in Path("data").iterdir())
            for word in self.SECRETS:
                assert word.encode() not in content, word
            assert journal.sessions() == [session]
        with Journal.open(Path("data/a.journal"), passphrase=PASSPHRASE) as journal:
            journal.unlock()
        with Journal.open(Path("data/a.journal")) as journal:
            after = list(journal.segments(session.id)), list(journal.sounds(session.id))
            assert after == before

    def test_retention(self):
        """`purge` deletes what is older than the days agreed to, and nothing else."""
        with made(retention_days=30) as journal:
            session = filled(journal)
            assert journal.purge(NOW + timedelta(days=30)).n_all == 0
            assert journal.purge(NOW + timedelta(days=31)) == ([1], [1], [1])
            assert journal.practised() == []
            with pytest.raises(JournalError, match="no session"):
                journal.session(session.id)


class TestAdd:
    """Recordings are added once, and as `segments` hears them."""

    def test_read_aside(self, monkeypatch):
        """No thread that Ctrl-C interrupts reads: libsndfile would take the interruption for the
        end of a damaged file, and the session would count as whole.
        """
        threads, read = set(), soundfile.SoundFile.read

        def noting(file, *arguments, **options):
            threads.add(threading.current_thread())
            return read(file, *arguments, **options)

        monkeypatch.setattr(soundfile.SoundFile, "read", noting)
        with made() as journal:
            assert add(journal, Recording(Path("talk.wav"), NOW), None).session.is_whole
        assert threads
        assert threading.main_thread() not in threads

    def test_as_segments(self, recognizer):
        """The segments, labels and scores are those of `Recognizer.segments`."""
        with made() as journal:
            session = add(journal, Recording(Path("talk.wav"), NOW), recognizer).session
            kept = list(journal.segments(session.id))
        heard = list(recognizer.segments("talk.wav"))
        assert len(kept) == len(heard) >= 4
        for one, other in zip(kept, heard, strict=True):
            assert one.inferred is not None
            assert one.inferred.label == other.label
            assert (one.start, one.end) == pytest.approx((other.start, other.end), abs=1e-4)
            assert one.inferred.scores == pytest.approx(tuple(other.scores.values()), abs=1e-4)
            assert one.prosody.level_db == pytest.approx(other.level_db, abs=0.06)

    def test_measured_alone(self, monkeypatch):
        """Without consent to emotion no model runs; the segments and measurements are the same."""
        from emovox.model import Model
        from emovox.recognizer import Recognizer

        with made(Path("b.journal")) as journal:
            both = add(journal, Recording(Path("talk.wav"), NOW), Recognizer.load(TINY)).session
            expected = [replace(one, inferred=None) for one in journal.segments(both.id)]
        monkeypatch.setattr(Model, "infer", None)
        monkeypatch.setattr(Model, "load", None)
        with made(emotion=False, sound=False) as journal:
            session = add(journal, Recording(Path("talk.wav"), NOW), None).session
            assert list(journal.segments(session.id)) == expected
            assert session.model is None

    def test_once(self, recognizer):
        """The same content is added once, whatever its name."""
        os.link("talk.wav", "same.wav")
        with made() as journal:
            assert add(journal, Recording(Path("talk.wav"), NOW), recognizer).is_new
            assert not add(journal, Recording(Path("same.wav"), NOW), recognizer).is_new
            assert len(journal.sessions()) == 1

    @pytest.mark.parametrize("pauses", [True, False])
    @pytest.mark.parametrize("n_before", [1, 2])
    def test_resumed(self, recognizer, talk, pauses, n_before):
        """A recording that was added in part goes on as if it had never stopped."""
        sound = talk if pauses else read_speech(talk, 16_000).samples
        soundfile.write("long.wav", np.concatenate([sound] * 3), 16_000)
        recording = Recording(Path("long.wav"), NOW)
        with made(Path("whole.journal")) as journal:
            whole = add(journal, recording, recognizer).session
            expected = list(journal.segments(whole.id))
            usual = journal.baseline(recognizer.fingerprint)
        with made() as journal:

            def stop(_done: int, _all: int) -> None:
                if (
                    sum(1 for one in journal.sessions() for _ in journal.segments(one.id))
                    >= n_before
                ):
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                add(journal, recording, recognizer, stop)
            added = add(journal, recording, recognizer)
            assert added.resumed_s >= expected[n_before - 1].end
            assert list(journal.segments(added.session.id)) == expected
            assert journal.baseline(recognizer.fingerprint) == usual
            assert added.session.conditions == whole.conditions

    def test_quiet_recording(self):
        """A recording in which nobody speaks is a session without segments."""
        soundfile.write("noise.wav", np.random.default_rng(1).normal(0, 1e-3, 32_000), 16_000)
        with made(emotion=False) as journal:
            session = add(journal, Recording(Path("noise.wav"), NOW), None).session
            assert session.is_whole
            assert journal.totals(session.id).n_segments == 0

    def test_unreadable(self):
        """What cannot be read adds nothing."""
        Path("bad.wav").write_bytes(b"RIFF no")
        with made(emotion=False) as journal:
            with pytest.raises(EmovoxError):
                add(journal, Recording(Path("bad.wav"), NOW), None)
            assert not journal.sessions()


class TestFolder:
    """Journals are found by whose they are."""

    def test_names_are_not_told(self):
        """No file's name has the person's in it, and a name may be typed in either Unicode form."""
        from unicodedata import normalize

        for name in (NAME, "Omar"):
            Journal.create(folder.new_file(), name, Consent(NOW)).close()
        assert all("Zde" not in file.name for file in folder.journal_files())
        with folder.find(normalize("NFD", NAME)) as journal:
            assert journal.name == NAME
        with pytest.raises(JournalError, match="--person"):
            folder.find(None)
        with pytest.raises(JournalError, match="no journal of Eve"):
            folder.find("Eve")

    def test_sealed(self):
        """A sealed journal is found with its passphrase."""
        for name, secret in ((NAME, PASSPHRASE), ("Omar", None)):
            Journal.create(folder.new_file(), name, Consent(NOW), passphrase=secret).close()
        with folder.find(NAME, lambda: PASSPHRASE) as journal:
            assert journal.name == NAME


class TestCommands:
    """The commands, with the real program."""

    def test_round(self, capsys):
        """A journal is made, filled, read and deleted."""
        Path("pass").write_text(PASSPHRASE + "\n")
        key = ["--passphrase-file", "pass"]
        assert run(["journal", "new", NAME, "--emotion", "--agree"]) == 0
        assert run(["journal", "add", "talk.wav", "--model", str(TINY), "--at", "2026-03-01"]) == 0
        assert "sounded" in capsys.readouterr().out
        assert run(["journal", "add", "talk.wav", "--model", str(TINY)]) == 0
        assert "is in the journal" in capsys.readouterr().out
        assert run(["journal", "checkin", "-0.5", "sad", "--note", NOTE]) == 0
        assert run(["journal", "lock", *key]) == 0
        assert run(["journal", "list", *key]) == 0
        assert NOTE in capsys.readouterr().out
        assert run(["journal", "show", "1", *key, "--json"]) == 0
        assert run(["journal", "forget", "--session", "1", *key]) == 0
        assert run(["journal", "show", "1", *key]) == 1
        assert "no session 1" in capsys.readouterr().err
        assert run(["journal", "unlock", *key]) == 0
        assert run(["journal", "forget", "--everything", "--yes"]) == 0
        assert not list(Path("data").rglob("*.journal*"))

    @pytest.mark.parametrize(
        ("module", "arguments"),
        [
            ("cryptography.hazmat.primitives.ciphers.aead", ["lock", "--passphrase-file", "pass"]),
            ("platformdirs", ["list", "--people"]),
            ("scipy.special", ["trend", "--journal", "a.journal"]),
        ],
    )
    def test_missing_library(self, module, arguments, monkeypatch, capsys):
        """Without a library, the error names the journal's extra, not another that brings it."""
        Path("pass").write_text(PASSPHRASE)
        with made() as journal:
            for n in range(4):
                session = journal.begin(Session(NOW, "recording"))
                journal.keep(session, 0, Segment(0.0, 70.0 + n, segment().prosody))
        monkeypatch.setitem(sys.modules, module, None)
        where = (
            []
            if "--people" in arguments or "--journal" in arguments
            else ["--journal", "a.journal"]
        )
        assert run(["journal", *arguments, *where]) == 1
        assert "emovox[journal]" in capsys.readouterr().err

    @pytest.mark.parametrize("when", ["yesterday", "0001-01-01"])
    def test_times(self, when, capsys):
        """What is no time, or none that this machine's offset fits, is one line."""
        made().close()
        assert run(["journal", "trend", "--journal", "a.journal", "--since", when]) == 2
        assert "expected a time" in capsys.readouterr().err

    def test_no_consent(self):
        """Without agreement no journal is made."""
        done = subprocess.run(
            [sys.executable, "-m", "emovox.cli", "journal", "new", NAME],
            input="n\n", capture_output=True, text=True,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        assert not folder.journal_files()

    @pytest.mark.parametrize(
        "arguments",
        [["checkin", "2"], ["checkin", "0", "gloomy"], ["checkin", "nan"], ["show", "7"]],
    )
    def test_refused(self, arguments, capsys):
        """What does not fit is refused in one line."""
        assert run(["journal", "new", "Omar", "--agree"]) == 0
        capsys.readouterr()
        assert run(["journal", *arguments]) in (1, 2)
        assert "Traceback" not in capsys.readouterr().err


class TestRecord:
    """`record` keeps each segment as it ends."""

    def recorded(self, *options: str) -> int:
        """Play the talk into a new journal."""
        made(secret=None).close()
        wav = ["--wav", "talk.wav", "--speed", "0", "--model", str(TINY)]
        return run(["journal", "record", "--journal", "a.journal", *wav, *options])

    def test_as_added(self, capsys):
        """A file that is played gives the segments that `add` finds in it, each with its sound."""
        assert self.recorded("--note", NOTE, "--tag", "walk") == 0
        printed = capsys.readouterr().out.splitlines()
        assert (
            run(["journal", "add", "talk.wav", "--journal", "a.journal", "--model", str(TINY)]) == 0
        )
        with Journal.open(Path("a.journal")) as journal:
            recorded, added = sorted(journal.sessions(), key=lambda one: one.id)
            assert (recorded.note, recorded.tags, recorded.is_whole) == (NOTE, ("walk",), True)
            segments = list(journal.segments(recorded.id))
            assert [one.start for one in segments] == [
                one.start for one in journal.segments(added.id)
            ]
            assert recorded.conditions.seconds == pytest.approx(added.conditions.seconds, abs=0.1)
            assert len(printed) == len(segments) + 1
            for (_, flac), segment in zip(journal.sounds(recorded.id), segments, strict=True):
                sound, rate = soundfile.read(io.BytesIO(flac))
                assert len(sound) / rate == pytest.approx(segment.seconds, abs=0.01)

    @POSIX
    def test_killed(self):
        """What was printed before a kill is in the journal, which opens and is whole."""
        made(secret=None).close()
        command = [sys.executable, "-c", "from emovox.cli import main; main()", "journal", "record"]
        wav = ["--wav", "talk.wav", "--speed", "2", "--model", str(TINY)]
        process = subprocess.Popen(
            [*command, "--journal", "a.journal", *wav], stdout=subprocess.PIPE, text=True
        )
        printed = [process.stdout.readline() for _ in range(2)]
        process.kill()
        process.communicate()
        assert all(line.startswith("00:") for line in printed)
        with Journal.open(Path("a.journal")) as journal:
            (session,) = journal.sessions()
            assert not session.is_whole
            assert journal.totals(session.id).n_segments >= 2
        with sqlite3.connect("a.journal") as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()

    @POSIX
    def test_full_disk(self):
        """Where files may not grow, one line says so, and what was kept until then stays."""
        made(secret=None).close()
        code = (
            "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (110_000, 110_000)); "
            "from emovox.cli import main; main()"
        )
        command = [sys.executable, "-c", code, "journal", "add", "talk.wav", "--model", str(TINY)]
        done = subprocess.run([*command, "--journal", "a.journal"], capture_output=True, text=True)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "may be full" in done.stderr
        with sqlite3.connect("a.journal") as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()


@pytest.mark.needs("jinja2")
@pytest.mark.needs("matplotlib")
class TestReport:
    """Pages on a session, and on two."""

    def test_pages(self, recognizer, capsys):
        """A page holds what it shows, only its owner may read it, and a note cannot be markup."""
        with made() as journal:
            add(journal, Recording(Path("talk.wav"), NOW, note="<b>&"), recognizer)
            filled(journal)
        for numbers in (["1"], ["1", "2"]):
            page = Path(f"page-{len(numbers)}.html")
            assert run(["journal", "report", str(page), *numbers, "--journal", "a.journal"]) == 0
            text = page.read_text()
            assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")
            assert "<b>&" not in text
            assert stat.S_IMODE(page.stat().st_mode) == 0o600
        assert "too little" in text
        assert run(["journal", "report", "no.html", "9", "--journal", "a.journal"]) == 1

    def test_turning_points(self):
        """At most ten are told, the surest, in the order of their time; uncertain ones never."""
        labels = ["a", "b"] * 20
        segments = [
            Segment(
                float(n), n + 0.9, segment().prosody, Inferred(label, 0.5 + n / 100, n != 39, ())
            )
            for n, label in enumerate(labels)
        ]
        turns = strongest_turns(segments)
        assert [turn.at for turn in turns] == [float(n) for n in range(29, 39)]
        assert not strongest_turns([segment(label=None)] * 3)
