"""Speakers on the command line: enrol one, or learn them from folders and tables."""

import csv
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emovox.audio import load_audio
from emovox.baseline import Baseline
from emovox.cli import run
from emovox.recognizer import Recognizer

RATE = 16_000
HEARD = re.compile(r"(\w+): heard [\d.]+ s of speech in (\d of \d recordings?), ([\d.]+) s long\n")
INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from emovox.cli import main
from emovox.recognizer import Recognizer

read = Recognizer.read

def telling(self, *arguments, **options):
    print("learning", file=sys.stderr, flush=True)
    return read(self, *arguments, **options)

Recognizer.read = telling
main()
"""


@pytest.fixture
def voices(tmp_path, voice, monkeypatch) -> Path:
    """Give the folders of two speakers with three recordings each, and work beside them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    for speaker, gain in (("anna", 1.0), ("bea", 0.3)):
        (tmp_path / "voices" / speaker).mkdir(parents=True)
        for number in range(3):
            noise = rng.normal(0, 0.004 * (number + 1), len(voice))
            clip = np.roll(voice, 3_000 * number) * gain + noise
            soundfile.write(tmp_path / "voices" / speaker / f"{number}.wav", clip, RATE)
    return Path("voices")


@pytest.fixture
def call(capsys, model_file):
    """Give a function that runs a command with the tiny model: exit code, stdout, stderr."""

    def run_command(*arguments: object) -> tuple[int, str, str]:
        code = run([*map(str, arguments), "--model", str(model_file)])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run_command


def files_of(folder: Path) -> list[Path]:
    """List a speaker's recordings in order."""
    return sorted(folder.glob("*.wav"))


def expected(recognizer: Recognizer, files: list[Path], baseline: Baseline | None) -> list[float]:
    """Return the scores of one label as Python gives them."""
    clips = [load_audio(file) for file in files]
    return [recognizer.predict(clip, RATE, baseline=baseline).scores["angry"] for clip in clips]


def angry(out: str) -> list[float]:
    """Return the scores of the same label as JSON has them."""
    return [answer["scores"]["angry"] for answer in json.loads(out)]


class TestEnrol:
    """Learn one speaker."""

    def test_equals_python(self, call, voices, recognizer):
        """The file holds what Python learns from the same recordings in the same order."""
        code, out, err = call("enrol", "anna", voices / "anna", "--out", "new/anna.json")
        assert code == 0
        assert HEARD.fullmatch(out).groups() == ("anna", "3 of 3 recordings", "3.0")
        assert err.splitlines() == [
            f"wrote {Path('new') / 'anna.json'}",
            "emovox: little speech heard; 20 s or more is recommended",
        ]
        clips = [load_audio(file) for file in files_of(voices / "anna")]
        assert Baseline.load("new/anna.json") == recognizer.enrol("anna", clips, RATE)

    def test_enough(self, call, voices, voice):
        """From 20 s of speech on, nothing is warned of."""
        soundfile.write("long.wav", np.tile(voice, 23), RATE)
        code, out, err = call("enrol", "anna", "long.wav", "--out", "anna.json")
        assert (code, err) == (0, "wrote anna.json\n")
        assert HEARD.fullmatch(out).groups() == ("anna", "1 of 1 recording", "23.0")

    def test_pauses_are_no_speech(self, call, voices, voice):
        """What is told is the speech, not the pauses of the recording."""
        rng = np.random.default_rng(3)
        pause = rng.normal(0, 0.002, 30 * RATE)  # of breath: not silent
        soundfile.write("long.wav", np.concatenate((voice, pause, voice)), RATE)
        code, out, err = call("enrol", "anna", "long.wav", "--out", "anna.json")
        assert code == 0
        seconds = float(re.search(r"heard ([\d.]+) s of speech", out)[1])
        assert 1.0 < seconds < 3.0
        assert "1 of 1 recording, 32.0 s long" in out
        assert "little speech heard" in err

    def test_faint_speech_counts(self, call, voices, voice):
        """A faint recording is heard, and its speech is counted, as that of a loud one."""
        soundfile.write("loud.wav", voice, RATE, "FLOAT")
        soundfile.write("faint.wav", voice * 0.01, RATE, "FLOAT")
        heard = [call("enrol", "a", f"{name}.wav", "--out", "a")[1] for name in ("loud", "faint")]
        seconds = [float(re.search(r"heard ([\d.]+) s", out)[1]) for out in heard]
        assert seconds[1] == pytest.approx(seconds[0], abs=0.3)

    @pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a process there")
    def test_interrupted(self, voices, voice, model_file):
        """Ctrl-C keeps what was heard, says how much that was, and ends with exit code 130."""
        for number in range(3, 3_000):
            Path(f"voices/anna/{number}.wav").hardlink_to("voices/anna/0.wav")
        words = ["enrol", "anna", "voices/anna", "--out", "anna.json", "--model", str(model_file)]
        process = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTIBLE, *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert [process.stderr.readline() for _ in range(2)] == ["learning\n"] * 2
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "wrote anna.json" in err
        n_heard = int(re.search(r"interrupted; ([\d,]+) of 3,000 recordings were heard", err)[1])
        assert Baseline.load("anna.json").seconds == pytest.approx(n_heard, abs=0.01 * n_heard)
        assert f" {n_heard} of 3,000 recordings" in out

    def test_name_in_another_encoding(self, call, voices):
        """A name that is no text is refused before any work; one that can be read is read."""
        code, out, err = call("enrol", "\udcff", voices / "anna", "--out", "a.json")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert err.startswith("emovox: expected a speaker's name in UTF-8, got \\udcff")
        assert call("enrol", "Zo\udcc3\udcab", voices / "anna", "--out", "a.json")[0] == 0
        assert Baseline.load("a.json").name == "Zoë"

    @pytest.mark.skipif(sys.platform == "win32", reason="no such modes there")
    def test_private(self, call, voices):
        """The baseline can be read by its owner alone, and so can the folder made for it."""
        call("enrol", "anna", voices / "anna", "--out", "new/anna.json")
        assert Path("new/anna.json").stat().st_mode & 0o777 == 0o600
        assert Path("new").stat().st_mode & 0o777 == 0o700

    def test_given_twice(self, call, voices):
        """A recording given twice is heard once."""
        file = voices / "anna" / "0.wav"
        _, out, _ = call("enrol", "anna", file, file, "--out", "anna.json")
        assert HEARD.fullmatch(out).groups() == ("anna", "1 of 1 recording", "1.0")

    def test_bad_among_good(self, call, voices):
        """What cannot be heard is told, the others are learned, and the exit code is 1."""
        soundfile.write("silent.wav", np.zeros(RATE), RATE)
        code, out, err = call("enrol", "a", "no.wav", "silent.wav", voices / "bea", "--out", "b")
        assert code == 1
        assert HEARD.fullmatch(out).groups() == ("a", "3 of 5 recordings", "3.0")
        assert err.splitlines()[2] == "emovox: no.wav: no such file"
        assert err.splitlines()[3].startswith("emovox: silent.wav: no sound above the noise floor")
        assert err.splitlines()[4] == "emovox: 2 of 5 recordings could not be heard"
        assert Baseline.load("b").seconds == pytest.approx(3, abs=0.01)

    def test_nothing_heard(self, call, voices):
        """Where nothing was heard, nothing is written."""
        code, out, err = call("enrol", "anna", "none.wav", "--out", "anna.json")
        assert (code, out, err) == (1, "", "emovox: none.wav: no such file\n")
        assert not Path("anna.json").exists()

    def test_unwritable(self, call, voices):
        """Where the baseline cannot be written, the error names it."""
        Path("file").touch()
        code, _, err = call("enrol", "anna", voices / "anna", "--out", "file/anna.json")
        assert code == 1
        assert err.startswith("emovox: --out file/anna.json: cannot be written: ")

    @pytest.mark.parametrize("arguments", [[], ["anna"], ["anna", "a.wav"], ["--out", "b.json"]])
    def test_wrong_usage(self, call, arguments):
        """Without name, recordings or a place to write to, usage is wrong."""
        assert call("enrol", *arguments)[0] == 2


class TestBaselineFile:
    """`predict --baseline`."""

    def test_equals_python(self, call, voices, recognizer):
        """Every recording is recognised with the baseline, as from Python."""
        call("enrol", "anna", voices / "anna", "--out", "anna.json")
        files = files_of(voices / "anna")
        code, out, err = call("predict", *files, "--baseline", "anna.json", "--json")
        assert (code, err) == (0, "")
        assert {answer["baseline"] for answer in json.loads(out)} == {"file"}
        known = Baseline.load("anna.json")
        assert angry(out) == pytest.approx(expected(recognizer, files, known), abs=1e-4)
        _, plain, _ = call("predict", *files, "--json")
        assert np.abs(np.array(angry(out)) - angry(plain)).max() > 1e-3

    def test_of_another_model(self, call, voices):
        """A baseline of another model is refused in one line that names both."""
        Baseline("0123456789abcdef", np.zeros(59), 0.0, "anna").save("other.json")
        code, out, err = call("predict", voices, "--baseline", "other.json")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "anna was learned with the model 0123456789abcdef, this is tiny (" in err

    def test_no_baseline(self, call, voices):
        """A file that is none, or not there, is named in one line."""
        Path("text.json").write_text("hello")
        for name in ("none.json", "text.json", "voices"):
            code, out, err = call("predict", voices, "--baseline", name)
            assert (code, out, err.count("\n")) == (1, "", 1)
            assert err.startswith(f"emovox: {name}: ")


class TestSpeakerByFolder:
    """`predict --speaker-by folder`."""

    def test_equals_python(self, call, voices, recognizer):
        """Each folder is learned alone, whatever the order; the results keep the order given."""
        anna, bea = files_of(voices / "anna"), files_of(voices / "bea")
        given = [file for pair in zip(bea, anna, strict=True) for file in pair]
        code, out, err = call("predict", *given, "--speaker-by", "folder", "--json")
        assert (code, err) == (0, "")
        answers = json.loads(out)
        assert [answer["file"] for answer in answers] == [str(file) for file in given]
        assert {answer["baseline"] for answer in answers} == {"speaker"}
        for files, found in ((bea, angry(out)[::2]), (anna, angry(out)[1::2])):
            baseline = recognizer.enrol("", files)
            assert found == pytest.approx(expected(recognizer, files, baseline), abs=1e-4)

    def test_one_folder_by_two_names(self, call, voices):
        """A folder is the same however its path is written; a file given twice is heard once."""
        file, other = voices / "anna" / "0.wav", voices / "anna" / "1.wav"
        _, once, _ = call("predict", file, other, "--speaker-by", "folder", "--json")
        _, twice, _ = call(
            "predict", file, other.resolve(), file, "--speaker-by", "folder", "--json"
        )
        assert angry(twice) == pytest.approx([*angry(once), angry(once)[0]], abs=1e-4)

    def test_bad_among_good(self, call, voices):
        """A bad recording is told once, and does not spoil its speaker."""
        _, good, _ = call("predict", voices, "--speaker-by", "folder", "--json")
        (voices / "anna" / "bad.wav").write_text("hello")
        code, out, err = call("predict", voices, "--speaker-by", "folder", "--json")
        assert code == 1
        assert angry(out) == pytest.approx(angry(good), abs=1e-4)
        assert err.count("bad.wav") == 1

    def test_csv(self, call, voices):
        """In the CSV, too, each row says what was known of the speaker."""
        assert call("predict", voices, "--speaker-by", "folder", "--csv", "out.csv")[0] == 0
        with Path("out.csv").open(newline="") as file:
            assert [row["baseline"] for row in csv.DictReader(file)] == ["speaker"] * 6


class TestTables:
    """Tables of files, and `predict --speaker-by COLUMN`."""

    @pytest.fixture
    def table(self, voices) -> Path:
        """Give a table beside the voices that names five recordings of two and a nameless one."""
        rows = ["Caller,file,note", "B,bea/0.wav,x", "A,anna/0.wav,x", "B,bea/1.wav,",
                "A,anna/1.wav,", ",anna/2.wav,"]  # fmt: skip
        path = voices / "calls.csv"
        path.write_text("\n".join(rows) + "\n")
        return path

    def test_column(self, call, table, voices, recognizer):
        """Rows of the same speaker are learned together; rows without one have no baseline."""
        code, out, err = call("predict", table, "--speaker-by", "caller", "--json")
        assert (code, err) == (0, "")
        answers = json.loads(out)
        files = [voices / name for name in
                 ("bea/0.wav", "anna/0.wav", "bea/1.wav", "anna/1.wav", "anna/2.wav")]  # fmt: skip
        assert [answer["file"] for answer in answers] == [str(file) for file in files]
        assert [answer["baseline"] for answer in answers] == ["speaker"] * 4 + ["none"]
        for speaker in (0, 1):
            own = files[:4][speaker::2]
            baseline = recognizer.enrol("", own)
            found = angry(out)[:4][speaker::2]
            assert found == pytest.approx(expected(recognizer, own, baseline), abs=1e-4)
        assert angry(out)[4:] == pytest.approx(expected(recognizer, files[4:], None), abs=1e-4)

    def test_without_speakers(self, call, table, voices):
        """A table alone stands for the files it names, and so it does when enrolling."""
        _, out, _ = call("predict", table, "--json")
        assert [answer["baseline"] for answer in json.loads(out)] == ["none"] * 5
        _, out, _ = call("enrol", "all", table, "--out", "all.json")
        assert HEARD.fullmatch(out).groups() == ("all", "5 of 5 recordings", "5.0")

    def test_by_folder(self, call, table, voices):
        """In a table, too, the folder can be the speaker."""
        _, by_table, _ = call("predict", table, "--speaker-by", "folder", "--json")
        files = [answer["file"] for answer in json.loads(by_table)]
        _, by_files, _ = call("predict", *files, "--speaker-by", "folder", "--json")
        assert json.loads(by_table) == json.loads(by_files)

    def test_missing_recording(self, call, table):
        """A file that is not there is reported like any other, and the rest is done."""
        table.write_text("file,who\nnone.wav,A\nanna/0.wav,A\n")
        code, out, err = call("predict", table, "--speaker-by", "who", "--json")
        assert (code, len(json.loads(out))) == (1, 1)
        assert "none.wav: no such file" in err

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", 'expected a column "file"'),
            ("file\nanna/0.wav\n", 'expected a column "who"'),
            ("file,who\n", "has a header but no rows"),
            ("file,who\n,A\n", "no file name in line 2 of"),
            ("file,who\nanna/0.wav\n", "expected 2 cells in line 2"),
        ],
    )
    def test_bad_table(self, call, table, text, reason):
        """A table that cannot be understood is refused in one line."""
        table.write_text(text)
        code, out, err = call("predict", table, "--speaker-by", "who")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert reason in err
        assert "calls.csv" in err


class TestWrongUsage:
    """What cannot be asked for."""

    def test_both(self, call, voices):
        """One baseline for all and one for each speaker exclude each other."""
        code, out, err = call("predict", voices, "--baseline", "a.json", "--speaker-by", "folder")
        assert (code, out) == (2, "")
        assert "--baseline" in err

    @pytest.mark.parametrize("column", ["speaker", ""])
    def test_column_without_table(self, call, voices, column):
        """A column needs tables, and the error says what goes without them."""
        code, out, err = call("predict", voices, "--speaker-by", column)
        assert (code, out) == (2, "")
        assert "expected tables (.csv)" in err
        assert "--speaker-by folder" in err
