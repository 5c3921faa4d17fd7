"""`emovox listen`: the same answers as from a file, and nothing that was heard is ever lost."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import soundfile
from rich.console import Console

from conftest import LABELS
from emovox import Baseline, load_audio
from emovox.cli import run
from emovox.live import recorder
from emovox.live.keeper import SessionOutput
from emovox.live.recorder import WavRecorder
from emovox.live.session import LiveSession, Now
from emovox.live.source import LiveBlock
from emovox.live.speakers import speaker_file
from emovox.live.view import Status, View, clock
from emovox.recognizer import Prediction

pytestmark = pytest.mark.needs("platformdirs")

RATE = 16_000
MAIN = "from emovox.cli import main; main()"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="no such signals and terminals there")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, talk) -> Path:
    """Work in a folder with a recording of talk, and keep speakers there, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    soundfile.write("talk.wav", talk, RATE, "FLOAT")
    return tmp_path


@pytest.fixture
def listen(capsys, model_file):
    """Give a function that listens to a file as fast as it goes: exit code, stdout, stderr."""

    def run_command(*arguments: object, wav: str = "talk.wav") -> tuple[int, str, str]:
        played = ["--wav", wav, "--speed", "0"] if wav else []
        code = run(["listen", *played, "--model", str(model_file), *map(str, arguments)])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run_command


def start(*arguments: object, **kwargs) -> subprocess.Popen:
    """Start listening in a process of its own."""
    command = [sys.executable, "-c", MAIN, "listen", *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **kwargs)
    threading.Thread(target=_killed_after, args=(process, 120), daemon=True).start()
    return process


def _killed_after(process: subprocess.Popen, seconds: float) -> None:
    """Have no test wait for ever for what a process does not print."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
        return
    process.kill()


def lines(out: str) -> tuple[list[dict], dict]:
    """Return the decisions and the summary of what `--json` printed."""
    *decisions, last = map(json.loads, out.splitlines())
    return decisions, last["summary"]


def finals(decisions: list[dict]) -> list[dict]:
    """Return the final decisions."""
    return [decision for decision in decisions if decision["final"]]


class TestPlayed:
    """A file, played through the microphone's path."""

    @pytest.mark.parametrize("learn", [True, False])
    def test_equals_segments(self, listen, recognizer, learn):
        """Final decisions are those of the recording's segments, with a baseline that learns."""
        code, out, err = listen("--json", *([] if learn else ["--no-learn"]))
        assert (code, err) == (0, "")
        expected = list(recognizer.segments("talk.wav", learn=learn))
        found = finals(lines(out)[0])
        assert len(found) == len(expected) > 2
        for one, other in zip(found, expected, strict=True):
            assert one == {**other.to_dict(), "scores": one["scores"], "score": one["score"]}
            assert one["scores"] == pytest.approx(other.scores, abs=1e-4)

    def test_summary(self, listen, talk):
        """The last line of JSON sums up: time, time per emotion, decisions, dropped sound."""
        decisions, summary = lines(listen("--json")[1])
        assert summary["seconds"] == pytest.approx(len(talk) / RATE, abs=0.001)
        assert (summary["dropped_seconds"], summary["overflows"]) == (0, 0)
        assert (summary["gone_seconds"], summary["incomplete"]) == (0, [])
        assert (
            summary["decisions"] == len(decisions) > summary["segments"] == len(finals(decisions))
        )
        lengths = [one["end"] - one["start"] for one in finals(decisions)]
        assert summary["speech_seconds"] == pytest.approx(sum(lengths), abs=0.01)
        assert sum(summary["emotions"].values()) == pytest.approx(sum(lengths), abs=0.01)
        assert set(summary["emotions"]) <= {*LABELS, "uncertain"}

    def test_text(self, listen):
        """Where stdout is no terminal, final decisions are a line each, then comes the summary."""
        decisions, _ = lines(listen("--json")[1])
        code, out, err = listen()
        assert (code, err) == (0, "")
        shown = re.findall(r"^ *([\d.]+) - +([\d.]+) s  (\w+)", out, re.MULTILINE)
        assert [line[2] for line in shown] == [one["label"] for one in finals(decisions)]
        assert float(shown[0][1]) == pytest.approx(finals(decisions)[0]["end"], abs=0.01)
        assert re.search(r"listened 1\d\.\d s, speech .* decisions, nothing dropped\n$", out)

    def test_nobody_speaks(self, listen):
        """Without speech nothing is decided; long digital silence is told once."""
        soundfile.write("silent.wav", np.zeros(7 * RATE), RATE)
        code, out, _ = listen("--json", wav="silent.wav")
        assert (code, lines(out)[0], lines(out)[1]["emotions"]) == (0, [], {})
        code, out, err = listen(wav="silent.wav")
        assert out == "listened 7.0 s, speech 0.0 s in 0 segments, 0 decisions, nothing dropped\n"
        assert err.count("only digital silence comes from silent.wav") <= 1

    def test_cut_off(self, listen, recognizer):
        """What was said before a break is answered, then the break is told."""
        whole = Path("talk.wav").read_bytes()
        Path("half.wav").write_bytes(whole[: len(whole) // 2])
        code, out, err = listen("--json", wav="half.wav")
        assert code == 1
        assert len(finals(list(map(json.loads, out.splitlines())))) > 1
        assert err.count("\n") == 1
        assert "half.wav: the file is cut off" in err

    @pytest.mark.parametrize("name", ["none.wav", "text.wav", "data"])
    def test_no_recording(self, listen, name):
        """What is no recording is told in one line, and no file is begun."""
        Path("text.wav").write_text("hello")
        code, out, err = listen("--record", "out.wav", "--log", "out.jsonl", wav=name)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert not list(Path().glob("out*"))


class TestKept:
    """`--log` and `--record`."""

    def test_log(self, listen):
        """The log holds the lines of `--json`, but for the summary."""
        code, out, err = listen("--json", "--log", "logs/out.jsonl")
        assert (code, err) == (0, f"wrote {Path('logs/out.jsonl')}\n")
        assert Path("logs/out.jsonl").read_text().splitlines() == out.splitlines()[:-1]

    def test_record(self, listen, talk):
        """The recording is what was heard, in 16 bits."""
        code, _, err = listen("--record", "out.wav")
        assert (code, err) == (0, "wrote out.wav\n")
        assert soundfile.info("out.wav").subtype == "PCM_16"
        assert load_audio("out.wav") == pytest.approx(talk, abs=1 / 32_768)

    @POSIX
    def test_private(self, listen):
        """Both, and the folders made for them, can be read by their owner alone."""
        listen("--record", "new/out.wav", "--log", "logs/out.jsonl", "--speaker", "anna")
        files = [Path("new/out.wav"), Path("logs/out.jsonl"), *Path("data").rglob("*.json")]
        assert len(files) == 3
        for file in files:
            assert file.stat().st_mode & 0o777 == 0o600
            assert file.parent.stat().st_mode & 0o777 == 0o700

    @POSIX
    def test_link(self, listen):
        """A link to a file that is not there yet is followed."""
        Path("link.wav").symlink_to("new/out.wav")
        assert listen("--record", "link.wav")[0] == 0
        assert Path("link.wav").is_symlink()
        assert len(load_audio("new/out.wav")) > RATE

    @POSIX
    @pytest.mark.parametrize("as_json", [True, False])
    def test_full_disk(self, model_file, talk, recognizer, as_json):
        """A disk that takes no more ends the files, not the session; each is named once."""
        limited = ["sh", "-c", 'ulimit -f 6; exec "$@"', "sh", sys.executable, "-c", MAIN]
        words = ["listen", "--wav", "talk.wav", "--speed", "0", "--model", str(model_file)]
        files = ["--record", "out.wav", "--log", "out.jsonl", "--speaker", "anna"]
        command = [*limited, *words, *files, *(["--json"] if as_json else [])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 1
        assert [line for line in done.stderr.splitlines() if "still listening" in line] == [
            line
            for line in done.stderr.splitlines()
            if re.match(r"emovox: out\.\w+: File too large; everything after 00:", line)
        ]
        assert done.stderr.count("out.wav: File too large") == 1
        heard = load_audio("out.wav")
        assert 0 < len(heard) < len(talk)
        assert heard == pytest.approx(talk[: len(heard)], abs=1 / 32_768)
        logged = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
        assert Baseline.load(speaker_file("anna", recognizer.fingerprint)).seconds > 3
        if not as_json:
            assert done.stdout.count("\nincomplete: out.") == 2
            return
        decisions, summary = lines(done.stdout)
        assert len(finals(decisions)) == len(list(recognizer.segments("talk.wav")))
        assert logged == decisions[: len(logged)]
        assert [one["file"] for one in summary["incomplete"]] == ["out.wav", "out.jsonl"]
        since = {one["file"]: one["since"] for one in summary["incomplete"]}
        assert since["out.wav"] == pytest.approx(len(heard) / RATE, abs=0.01)
        assert since["out.jsonl"] == pytest.approx(logged[-1]["end"], abs=0.01)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
    def test_full_disk_for_decisions(self, model_file, recognizer):
        """Where stdout takes no more, the files are written all the same, and one line says so."""
        words = ("--wav", "talk.wav", "--speed", "0", "--log", "out.jsonl", "--model", model_file)
        with Path("/dev/full").open("w") as full:
            process = start(*words, "--json", stdout=full)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        failure, written = err.splitlines()
        assert failure.startswith("emovox: standard output: No space left on device; everything")
        assert written == "wrote out.jsonl"
        logged = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
        assert len(finals(logged)) == len(list(recognizer.segments("talk.wav")))

    @pytest.mark.parametrize("option", ["--log", "--record"])
    def test_not_over(self, listen, option):
        """A file that is there already is never written over."""
        Path("out").write_text("precious")
        code, out, err = listen(option, "out")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert err.startswith("emovox: out: already exists")
        assert Path("out").read_text() == "precious"


class TestRecorder:
    """The recording, block by block."""

    def test_gap(self):
        """A gap is silence, so that time stays that of the session."""
        ones = np.ones(RATE, np.float32)
        recording = WavRecorder(Path("out.wav"))
        recording.write(LiveBlock(ones, RATE, 0.0))
        recording.write(LiveBlock(ones, RATE, 4.5, 3.5))
        recording.close()
        heard = load_audio("out.wav")
        assert len(heard) == 5.5 * RATE
        assert np.flatnonzero(heard == 0).tolist() == list(range(RATE, round(4.5 * RATE)))

    def test_rate(self):
        """A device of another rate continues in a second file, which begins at its own time."""
        recording = WavRecorder(Path("out.wav"))
        recording.write(LiveBlock(np.full(100, 2.0, np.float32), 100, 0.0))
        recording.write(LiveBlock(np.full(400, -2.0, np.float32), 200, 1.0))
        recording.close()
        assert recording.paths == [Path("out.wav"), Path("out-2.wav")]
        first, second = (soundfile.read(path, dtype="int16") for path in recording.paths)
        assert (first[1], second[1]) == (100, 200)
        assert first[0].tolist() == [32_767] * 100
        assert second[0].tolist() == [-32_768] * 400

    def test_next_file_exists(self):
        """If the next file would replace an existing one, the recording ends, and only that."""
        Path("out-2.wav").write_text("precious")
        recording = WavRecorder(Path("out.wav"))
        output = SessionOutput("out.wav", recording.write, recording.close)
        for rate, start in ((100, 0.0), (200, 1.0), (200, 2.0)):
            output.write(start + 1, LiveBlock(np.zeros(rate, np.float32), rate, start))
        output.close()
        assert str(output.incomplete).startswith("out.wav: out-2.wav: already exists")
        assert output.incomplete.since == 1.0
        assert Path("out-2.wav").read_text() == "precious"
        assert soundfile.info("out.wav").frames == 100

    def test_full(self, monkeypatch):
        """Before a WAV file is too long for its header, the next one is begun."""
        monkeypatch.setattr(recorder, "MAX_BYTES", 1000)
        recording = WavRecorder(Path("out.wav"))
        for second in range(3):
            recording.write(LiveBlock(np.ones(600, np.float32), 600, float(second)))
        recording.close()
        assert [soundfile.info(path).frames for path in recording.paths] == [600, 600, 600]


class TestSession:
    """Blocks to predictions."""

    def test_gap(self, recognizer, talk):
        """After a gap the same is heard, later by the gap, and also at another rate."""
        session = LiveSession(recognizer, recognizer.new_baseline(), learn=False)
        decisions = session.feed(LiveBlock(talk, RATE, 0.0))
        gap_s = 100 - len(talk) / RATE
        decisions += session.feed(LiveBlock(np.repeat(talk, 2), 2 * RATE, 100.0, gap_s))
        decisions += session.flush()
        segments = [decision.prediction for decision in decisions if decision.prediction.final]
        half = len(segments) // 2
        assert half > 2
        for before, after in zip(segments[:half], segments[half:], strict=True):
            assert after.start == pytest.approx(before.start + 100, abs=0.1)
            assert after.end == pytest.approx(before.end + 100, abs=0.1)
        assert session.now.seconds == pytest.approx(100 + len(talk) / RATE)

    def test_baseline_continues(self, recognizer, talk):
        """A gap does not make the session forget the voice."""
        session = LiveSession(recognizer, recognizer.new_baseline("anna"))
        session.feed(LiveBlock(talk, RATE, 0.0))
        session.flush()
        before = session.baseline.seconds
        session.feed(LiveBlock(talk, RATE, 50.0, 37.0))
        session.flush()
        assert session.baseline.seconds == pytest.approx(2 * before)
        assert session.baseline.name == "anna"


class TestSpeaker:
    """`--speaker` and `--forget`."""

    def test_kept(self, listen, recognizer):
        """The baseline learns over runs, and is the one that Python would have."""
        first = finals(lines(listen("--json", "--speaker", "anna")[1])[0])
        file = speaker_file("anna", recognizer.fingerprint)
        after_one = Baseline.load(file)
        assert after_one.name == "anna"
        assert 0 < after_one.seconds <= sum(one["end"] - one["start"] for one in first)
        second = finals(lines(listen("--json", "--speaker", "anna")[1])[0])
        assert Baseline.load(file).seconds == pytest.approx(2 * after_one.seconds, rel=1e-6)
        expected = list(recognizer.segments("talk.wav", baseline=after_one))
        assert [one["score"] for one in second] == pytest.approx(
            [one.score for one in expected], abs=1e-4
        )

    def test_no_learning(self, listen, recognizer):
        """Without learning, what is kept stays as it is."""
        listen("--speaker", "anna")
        file = speaker_file("anna", recognizer.fingerprint)
        before = file.read_text()
        assert listen("--speaker", "anna", "--no-learn")[0] == 0
        assert file.read_text() == before

    def test_forget(self, listen, recognizer):
        """What is kept of a speaker is deleted, of no other, and nothing is listened to."""
        listen("--speaker", "anna")
        listen("--speaker", "bea")
        assert listen("--forget", "--speaker", "anna", wav="") == (0, "forgot anna\n", "")
        again = listen("--forget", "--speaker", "anna", wav="")
        assert again == (0, "no baseline of anna is saved\n", "")
        assert not speaker_file("anna", recognizer.fingerprint).exists()
        assert speaker_file("bea", recognizer.fingerprint).exists()

    @pytest.mark.parametrize("name", ["../../anna", "a/b", "..", "Ænne 安娜", "CON*?"])
    def test_names(self, listen, recognizer, place, name):
        """Any name does, and none leads out of the folder."""
        assert listen("--speaker", name)[0] == 0
        file = speaker_file(name, recognizer.fingerprint)
        assert file.resolve().parent == (
            place / "data" / "emovox" / "speakers" / recognizer.fingerprint
        )
        assert Baseline.load(file).name == name

    def test_composed(self, listen, recognizer):
        """A name is the same in whichever form its letters come, and so is one of before."""
        composed, decomposed = "jos\u00e9", "jose\u0301"
        listen("--speaker", decomposed)
        file = speaker_file(composed, recognizer.fingerprint)
        assert Baseline.load(file).name == composed
        older = file.with_name(quote(decomposed) + ".json")
        file.rename(older)
        before = Baseline.load(older).seconds
        listen("--speaker", composed)
        assert [one.name for one in file.parent.iterdir()] == [older.name]
        assert Baseline.load(older).seconds > before
        file.write_text(older.read_text())
        forgotten = listen("--forget", "--speaker", decomposed, wav="")
        assert forgotten == (0, f"forgot {composed}\n", "")
        assert not list(file.parent.iterdir())

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("\udcff", "expected a speaker's name in UTF-8, got \\udcff"),
            ("a" * 999, "a shorter name"),
        ],
    )
    @pytest.mark.parametrize("options", [[], ["--forget"]])
    def test_impossible_names(self, listen, name, reason, options):
        """A name that is no text, or too long for a file, is refused in one line."""
        code, out, err = listen("--speaker", name, *options, wav="" if options else "talk.wav")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert reason in err

    def test_no_home(self, listen, monkeypatch):
        """Without a home directory there is no place for speakers, which one line says."""

        def nowhere(path: str) -> str:
            return path

        for name in ("HOME", "XDG_DATA_HOME"):
            monkeypatch.delenv(name)
        monkeypatch.setattr(os.path, "expanduser", nowhere)  # a user whom the system does not know
        for options in (["--speaker", "anna"], ["--speaker", "anna", "--forget"]):
            code, out, err = listen(*options, wav="" if "--forget" in options else "talk.wav")
            assert (code, out, err.count("\n")) == (1, "", 1)
            assert "you have no home directory; set HOME or XDG_DATA_HOME" in err

    def test_damaged(self, listen, recognizer):
        """A damaged file is named in one line, and left as it is."""
        file = speaker_file("anna", recognizer.fingerprint)
        file.parent.mkdir(parents=True)
        file.write_text("hello")
        code, out, err = listen("--speaker", "anna")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert str(file) in err
        assert file.read_text() == "hello"

    @pytest.mark.parametrize("arguments", [["--speaker", "anna"], ["--speaker", "a", "--forget"]])
    def test_missing_extra(self, listen, monkeypatch, arguments):
        """Without platformdirs, one line says what to install."""
        monkeypatch.setitem(sys.modules, "platformdirs", None)
        code, out, err = listen(*arguments, wav="")
        assert (code, out, err.count("\n")) == (1, "", 1)


class TestEnd:
    """Every way in which listening ends."""

    @POSIX
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_signal(self, model_file, number):
        """Ctrl-C and SIGTERM end in good order: last decisions, summary, whole files, exit 0."""
        process = start(
            "--wav", "talk.wav", "--json", "--model", model_file, "--log", "out.jsonl",
            "--record", "out.wav", stdout=subprocess.PIPE,
        )  # fmt: skip
        first = process.stdout.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        decisions, summary = lines(first + out)
        assert decisions[-1]["final"]
        assert summary["decisions"] == len(decisions)
        assert 0 < summary["seconds"] < 10
        assert Path("out.jsonl").read_text() == "".join((first + out).splitlines(True)[:-1])
        assert len(load_audio("out.wav")) / RATE == pytest.approx(summary["seconds"], abs=0.01)

    @POSIX
    def test_kill(self, model_file):
        """Killed at once, it leaves a recording and a log that can be read."""
        process = start(
            "--wav", "talk.wav", "--json", "--model", model_file, "--log", "out.jsonl",
            "--record", "out.wav", stdout=subprocess.PIPE,
        )  # fmt: skip
        process.stdout.readline()
        process.kill()
        process.communicate(timeout=60)
        assert len(load_audio("out.wav")) > RATE / 4
        assert all(json.loads(line) for line in Path("out.jsonl").read_text().splitlines())

    @POSIX
    def test_closed_pipe(self, model_file):
        """When nobody reads any more, it ends, says nothing, and what it keeps is whole."""
        process = start(
            "--wav", "talk.wav", "--speed", 5, "--json", "--model", model_file,
            "--log", "out.jsonl", stdout=subprocess.PIPE,
        )  # fmt: skip
        first = process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr.read() == ""
        process.stderr.close()
        logged = Path("out.jsonl").read_text().splitlines()
        assert logged[0] + "\n" == first
        assert json.loads(logged[-1])["final"]

    @POSIX
    def test_terminal(self, model_file):
        """On a terminal the view is drawn, and the summary stays after it."""
        import pty

        ours, theirs = pty.openpty()
        size = {"COLUMNS": "90", "LINES": "30", "TERM": "xterm-256color"}
        arguments = ("--wav", "talk.wav", "--speed", "0", "--model", model_file)
        process = start(*arguments, stdout=theirs, env=os.environ | size)
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65_536):
                shown += piece
        except OSError:  # how Linux says that the other side is closed
            pass
        _, err = process.communicate(timeout=60)
        os.close(ours)
        assert (process.returncode, err) == (0, "")
        text = shown.decode()
        assert all(text.index(label) > 0 for label in LABELS)
        assert text.rindex("Ctrl-C ends") < text.rindex("decisions, nothing dropped")


class TestView:
    """What is drawn on a terminal."""

    def drawn(self, view: View, console: Console, status: Status) -> list[str]:
        """Return the lines that are drawn."""
        with console.capture() as captured:
            console.print(view.drawn(status))
        return captured.get().splitlines()

    @pytest.fixture(params=[20, 60, 200])
    def console(self, request) -> Console:
        """Give a narrow, a middling and a wide terminal."""
        return Console(file=io.StringIO(), width=request.param, force_terminal=False)

    def test_lines(self, console):
        """Every emotion has its line, in the model's order; none is wider than the screen."""
        view = View(LABELS, console)
        status = Status("a microphone with a very long name " * 9, Now(), "1.0 s dropped", "")
        scores = dict.fromkeys(LABELS, 0.1) | {"fear": 0.4}
        for decided in (False, True):
            if decided:
                view.add(Prediction("fear", 0.4, scores, 0.0, 4.0, True))
            shown = self.drawn(view, console, status)
            assert [line.split()[0] for line in shown[4 : 4 + len(LABELS)]] == list(LABELS)
            assert max(map(len, shown)) <= console.width

    def test_timeline(self):
        """The timeline has the emotions where they were, scrolls, and marks the uncertain."""
        console = Console(file=io.StringIO(), width=40, force_terminal=False)
        view = View(LABELS, console)
        scores = dict.fromkeys(LABELS, 1 / len(LABELS))
        view.add(Prediction("sad", 0.9, scores, 0.5, 1.0, True, final=False))
        view.add(Prediction("angry", 0.9, scores, 1.0, 4.0, True))
        view.add(Prediction("happy", 0.3, scores, 5.0, 9.0, False))
        shown = self.drawn(view, console, Status("", Now(seconds=10.0), "", ""))
        assert shown[-3] == "·sangry ··?happy  ···".replace("·", shown[-3][0])
        assert shown[-2].split() == ["0:00", "0:10"]
        later = self.drawn(view, console, Status("", Now(seconds=26.0), "", ""))
        assert later[-3] == "?happ" + 35 * shown[-3][0]
        assert later[-2].split() == ["0:10", "0:20"]

    def test_uncertain(self):
        """Where the model abstains, that is what stands there, with its best guess."""
        console = Console(file=io.StringIO(), width=80, force_terminal=False)
        view = View(LABELS, console)
        scores = dict.fromkeys(LABELS, 0.1) | {"fear": 0.4}
        view.add(Prediction("fear", 0.4, scores, 0.0, 4.0, False))
        shown = self.drawn(view, console, Status("", Now(9.0, speaking=True), "", ""))
        assert shown[3] == "uncertain (perhaps fear, 40%)"

    def test_level(self):
        """What to do about the level stands at the foot while the last two decisions ask for it."""
        console = Console(file=io.StringIO(), width=80, force_terminal=False)
        view, feet = View(LABELS, console), []
        for level in ("good", "too quiet", "too quiet", "too loud", "too loud", "good"):
            scores = dict.fromkeys(LABELS, 0.1)
            view.add(Prediction("sad", 0.9, scores, 0.0, 1.0, True, level=level))
            feet.append(self.drawn(view, console, Status("", Now(), "", ""))[-1])
        assert [foot.partition(":")[0] for foot in feet[2:5:2]] == ["too quiet", "too loud"]
        assert [foot.endswith("Ctrl-C ends") for foot in feet] == [
            True,
            True,
            False,
            True,
            False,
            True,
        ]
        gone = self.drawn(view, console, Status("", Now(), "", "gone"))
        assert gone[-1] == "gone"

    def test_notes(self):
        """Dropped sound, and a device that is gone, are shown."""
        console = Console(file=io.StringIO(), width=80, force_terminal=False)
        shown = self.drawn(View(LABELS, console), console, Status("x", Now(), "2 lost", "gone"))
        assert shown[0].endswith("2 lost")
        assert shown[-1] == "gone"

    def test_ascii(self):
        """A terminal without Unicode gets ASCII."""
        file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        console = Console(file=file, width=80, force_terminal=False)
        view = View(LABELS, console)
        view.add(Prediction("sad", 0.9, dict.fromkeys(LABELS, 0.5), 0.0, 1.0, True))
        assert "".join(self.drawn(view, console, Status("", Now(), "", ""))).isascii()

    def test_long(self):
        """Hours of decisions do not fill the memory."""
        view = View(LABELS, Console(file=io.StringIO()))
        scores = dict.fromkeys(LABELS, 0.1)
        for second in range(0, 7200, 2):
            view.add(Prediction("sad", 0.9, scores, second, second + 1.5, True))
        assert len(view._cells) < 1000

    @pytest.mark.parametrize(
        ("seconds", "text"), [(0, "0:00"), (59.9, "0:59"), (61, "1:01"), (3723, "1:02:03")]
    )
    def test_clock(self, seconds, text):
        """Seconds are written as a clock does."""
        assert clock(seconds) == text


class TestUsage:
    """What cannot be asked for."""

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--forget"],
            ["--speaker", ""],
            ["--wav", "talk.wav", "--device", "0"],
            ["--speed", "2"],
            ["--wav", "talk.wav", "--speed", "-1"],
        ],
    )
    def test_wrong(self, listen, arguments):
        """Wrong usage is 2, before anything is done."""
        assert listen(*arguments, wav="")[0] == 2

    def test_no_sounddevice(self, listen, monkeypatch):
        """Without the extra, one line says what to install."""
        monkeypatch.setitem(sys.modules, "sounddevice", None)
        for arguments in ([], ["--list-devices"], ["--device", "0"]):
            code, out, err = listen(*arguments, wav="")
            assert (code, out, err.count("\n")) == (1, "", 1)
            assert "pip install 'emovox[live]'" in err


def test_pulled_out(server, place, model_file):
    """A device that is gone is reported, waited for and used again; Ctrl-C ends at any time."""
    import live

    process = start(
        "--json", "--record", "heard.wav", "--model", model_file,
        env=server.environment, stdout=subprocess.PIPE,
    )  # fmt: skip
    live.wait_for_sound(Path("heard.wav"), process)
    server.stop()
    assert "is gone; waiting for it" in next_message(process)
    server.start()
    assert next_message(process) == "emovox: sound is coming in again\n"
    server.stop()
    assert "is gone; waiting for it" in next_message(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "emovox:" not in err
    assert err.endswith("wrote heard.wav\n")
    seconds = lines(out)[1]["seconds"]
    assert 0 < lines(out)[1]["gone_seconds"] < seconds
    assert len(load_audio("heard.wav")) / RATE == pytest.approx(seconds, abs=0.01)
    assert seconds > 1


def next_message(process: subprocess.Popen) -> str:
    """Return emovox's next line on stderr; PortAudio writes there, too, when a device is gone."""
    return next(line for line in process.stderr if line.startswith("emovox:"))


@pytest.mark.corpora
def test_sound_path(server, corpora_root, place):
    """Clips played into a sound server are heard as from their files, and nothing is dropped."""
    import live

    clips = live.stitch(live.choose(12.0, corpora_root), place / "played.wav")
    out = live.listen(place / "played.wav", place / "heard.wav", server)
    assert (place / "heard.wav").stat().st_size > 500_000
    delay_s = live.delay(place / "played.wav", place / "heard.wav")
    found = live.compare(clips, out, delay_s)
    assert found["heard"] == found["clips"] > 2
    assert found["equal"] >= found["clips"] - 1
    assert out[-1]["summary"]["dropped_seconds"] == 0
