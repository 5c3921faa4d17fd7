"""The command line: results on stdout, one clear line for each error, the right exit code."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import emovox
from conftest import LABELS, REPOSITORY
from emovox.baseline import Baseline
from emovox.cli import app, run
from emovox.loudness import ADVICE
from emovox.recognizer import Recognizer
from made_corpus import make_corpus

RATE = 16_000
JUDGED = ["certain", "final", "level_db", "level", "baseline"]
COLUMNS = ["file", "label", "score", "scores", "start", "end", *JUDGED]
START = "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
TELLING = """
from emovox.recognizer import Recognizer

own = Recognizer.predict

def telling(self, *arguments, **options):
    answer = own(self, *arguments, **options)
    print("an answer", file=sys.stderr, flush=True)
    return answer

Recognizer.predict = telling
"""
MAIN = "from emovox.cli import main\nprint('started', file=sys.stderr, flush=True)\nmain()\n"


@pytest.fixture
def clips(tmp_path, voice, monkeypatch) -> Path:
    """Give a folder with two recordings, one of them further down, and work in it."""
    folder = tmp_path / "clips"
    (folder / "more").mkdir(parents=True)
    soundfile.write(folder / "a.wav", voice, RATE, "FLOAT")
    soundfile.write(folder / "more" / "b.flac", voice[:8_000], RATE)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def call(capsys):
    """Give a function that runs a command and returns exit code, stdout and stderr."""

    def run_command(*arguments: object) -> tuple[int, str, str]:
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run_command


@pytest.fixture
def error_of(call):
    """Give a function that runs a command that must fail, and returns its one line of error."""

    def run_command(*arguments: object) -> str:
        code, out, err = call(*arguments)
        assert (code, out) == (1, "")
        assert err.startswith("emovox: ")
        assert err.count("\n") == 1
        return err

    return run_command


def start(*arguments: object, before: str = "", **kwargs) -> subprocess.Popen:
    """Start the command line in a process of its own."""
    code = [sys.executable, "-c", START + before + MAIN, *map(str, arguments)]
    return subprocess.Popen(code, stderr=subprocess.PIPE, text=True, **kwargs)


class TestPredict:
    """Recognise recordings."""

    def test_table(self, call, clips, model_file):
        """A person gets a table: file, emotion, score, what else it may be, length."""
        code, out, err = call("predict", clips / "a.wav", "--model", model_file)
        assert (code, err) == (0, "")
        assert all(word in out for word in ("emotion", "score", "a.wav", "1.00", "%"))
        label = Recognizer.load(model_file).predict(clips / "a.wav").label
        assert label in out

    @pytest.mark.parametrize("options", [[], ["--segments"]])
    @pytest.mark.parametrize(("gain", "level"), [(0.005, "too quiet"), (20.0, "too loud")])
    def test_level(self, call, clips, voice, model_file, options, gain, level):
        """Where the level is at fault, the table says which one, and what to do about it."""
        right, wrong = "clips/a.wav", "clips/wrong.wav"
        soundfile.write(wrong, np.clip(gain * voice, -1, 1), RATE, "FLOAT")
        code, out, err = call("predict", right, wrong, "-m", model_file, *options)
        assert (code, err) == (0, "")
        assert out.count(f"{level} ") == 1
        assert out.count(f"{level}: {ADVICE[level]}\n") == 1
        assert "level" not in call("predict", right, "-m", model_file, *options)[1]

    def test_json(self, call, clips, model_file):
        """A program gets an array, the same numbers as from Python, in the order asked for."""
        files = [clips / "more" / "b.flac", clips / "a.wav"]
        code, out, err = call("predict", *files, "-m", model_file, "--json")
        assert (code, err) == (0, "")
        answers = json.loads(out)
        assert [list(answer) for answer in answers] == [COLUMNS] * 2
        recognizer = Recognizer.load(model_file)
        for file, answer in zip(files, answers, strict=True):
            expected = {"file": str(file), **recognizer.predict(file).to_dict()}
            assert answer["baseline"] == "none"
            assert answer["scores"] == pytest.approx(expected["scores"], abs=1e-4)
            for key in ("file", "label", "start", "end", "certain"):
                assert answer[key] == expected[key]

    def test_csv(self, call, clips, model_file, tmp_path):
        """A table for a spreadsheet: one row a file, one column a label."""
        out_file = tmp_path / "new" / "out.csv"
        code, out, err = call("predict", clips, "-m", model_file, "--csv", out_file)
        assert (code, out, err) == (0, "", f"wrote {out_file}\n")
        with out_file.open(newline="") as file:
            rows = list(csv.DictReader(file))
        scores = [f"scores.{label}" for label in LABELS]
        last = ["start", "end", "certain", "level_db", "level", "baseline"]
        assert list(rows[0]) == ["file", "label", "score", *scores, *last]
        assert [row["file"] for row in rows] == [
            str(clips / "a.wav"),
            str(clips / "more" / "b.flac"),
        ]
        for row in rows:
            scores = [float(row[f"scores.{label}"]) for label in LABELS]
            assert sum(scores) == pytest.approx(1, abs=1e-5)
            assert float(row["score"]) == max(scores)
            assert row["certain"] in ("true", "false")
            assert row["baseline"] == "none"
        assert (rows[0]["start"], rows[0]["end"]) == ("0.0", "1.0")

    def test_csv_and_json(self, call, clips, model_file, tmp_path):
        """With both, stdout holds the JSON alone."""
        code, out, _ = call(
            "predict", clips, "-m", model_file, "--json", "--csv", tmp_path / "o.csv"
        )
        assert code == 0
        assert len(json.loads(out)) == 2
        assert (tmp_path / "o.csv").exists()

    def test_folder(self, call, clips, model_file):
        """A folder stands for all recordings below it; what is no recording is left alone."""
        (clips / "notes.txt").write_text("hello")
        code, out, _ = call("predict", clips, "-m", model_file, "--json")
        assert code == 0
        assert [Path(answer["file"]).name for answer in json.loads(out)] == ["a.wav", "b.flac"]

    def test_many(self, call, clips, model_file):
        """Many files, some given twice: one answer each, in order."""
        files = [clips / "a.wav", clips / "more" / "b.flac", clips / "a.wav"] * 15
        code, out, _ = call("predict", *files, "-m", model_file, "--json")
        assert code == 0
        assert [answer["file"] for answer in json.loads(out)] == [str(file) for file in files]

    def test_bad_among_good(self, call, clips, model_file):
        """Bad files are reported at the end, the others are done, and the exit code is 1."""
        (clips / "text.wav").write_text("hello")
        soundfile.write(clips / "silent.wav", np.zeros(RATE), RATE)
        (clips / "empty").mkdir()
        files = [clips / "empty", clips / "none.wav", clips]
        code, out, err = call("predict", *files, "-m", model_file, "--json")
        assert code == 1
        assert [Path(answer["file"]).name for answer in json.loads(out)] == ["a.wav", "b.flac"]
        lines = err.splitlines()
        assert lines[0] == f"emovox: {clips / 'empty'}: no audio files in this folder"
        assert lines[1] == f"emovox: {clips / 'none.wav'}: no such file"
        assert lines[2].startswith(f"emovox: {clips / 'silent.wav'}: no sound above the noise")
        assert lines[3].startswith(f"emovox: {clips / 'text.wav'}: not a readable audio file")
        assert lines[4:] == ["emovox: 4 of 6 recordings could not be recognised"]

    def test_bad_among_good_in_a_table(self, call, clips, model_file):
        """So in the table for a person, and in the CSV."""
        code, out, _ = call("predict", clips / "none.wav", clips / "a.wav", "-m", model_file)
        assert code == 1
        assert "a.wav" in out
        assert "none.wav" not in out
        code, _, _ = call("predict", "none.wav", clips, "-m", model_file, "--csv", "o.csv")
        assert code == 1
        assert len(Path("o.csv").read_text().splitlines()) == 3

    @pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file with bad sectors")
    @pytest.mark.parametrize(
        "words",
        [
            ["predict", "--csv", "o"],
            ["predict", "--speaker-by", "folder", "--csv", "o"],
            ["predict", "--segments", "--csv", "o"],
            ["enrol", "anna", "--out", "o"],
        ],
    )
    def test_bad_sector(self, call, clips, model_file, words):
        """A file that opens and cannot be read costs its own line, and no other's answer."""
        files = (clips / "a.wav", "/proc/self/mem", clips / "more" / "b.flac")
        code, _, err = call(*words, *files, "-m", model_file)
        assert code == 1
        assert [line for line in err.splitlines() if line.startswith("emovox: /proc/self/mem: ")]
        if words[0] == "enrol":
            assert Baseline.load("o").seconds == pytest.approx(1.5, abs=0.02)
        else:
            named = {row["file"] for row in csv.DictReader(Path("o").read_text().splitlines())}
            assert named == {str(files[0]), str(files[2])}

    @pytest.mark.skipif(sys.platform == "win32", reason="no such measure there")
    def test_memory(self, clips, voice, model_file):
        """Memory does not grow with the number of recordings: one is decoded at a time."""
        soundfile.write("long.wav", np.tile(voice, 100), RATE)
        files = [Path(f"long-{number}.wav") for number in range(12)]
        for file in files:
            file.hardlink_to("long.wav")
        peaks = []
        for n in (2, 12):
            words = ["predict", *files[:n], "-m", model_file, "--json"]
            process = start(*words, stdout=subprocess.DEVNULL)
            assert process.stderr.read() == "started\n"
            process.stderr.close()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0
            peaks.append(usage.ru_maxrss / (1 if sys.platform == "darwin" else 1024))
        assert peaks[1] - peaks[0] < 30  # MB; ten clips more hold 64

    def test_only_bad(self, call, error_of, clips, model_file):
        """With nothing to show, nothing is shown; as JSON that is an empty array."""
        error_of("predict", "none.wav", "-m", model_file)
        code, out, _ = call("predict", "none.wav", "-m", model_file, "--json")
        assert (code, json.loads(out)) == (1, [])

    def test_max_seconds(self, call, error_of, clips, model_file):
        """A limit on the length is kept, and the error says how to raise it."""
        error = error_of("predict", clips / "a.wav", "-m", model_file, "--max-seconds", 0.5)
        assert "at most 0.5 s of audio, got 1.0 s; raise the limit (max_seconds, --max-s" in error
        code, _, _ = call("predict", clips / "a.wav", "-m", model_file, "--max-seconds", 1)
        assert code == 0

    def test_names_of_other_encodings(self, call, clips, model_file):
        """File names that are no UTF-8 come through JSON and CSV."""
        name = "b\udcff.wav"
        try:
            shutil.copy(clips / "a.wav", clips / name)
        except (OSError, UnicodeError):
            pytest.skip("this file system takes no such names")
        done = start(
            "predict", clips, "-m", model_file, "--json", "--csv", "o.csv",
            stdout=subprocess.PIPE,
        )  # fmt: skip
        out, _ = done.communicate(timeout=60)
        assert done.returncode == 0
        assert str(clips / name) in [answer["file"] for answer in json.loads(out)]
        assert r"b\udcff.wav" in Path("o.csv").read_text()


class TestPredictErrors:
    """What can be wrong besides the recordings."""

    def test_missing_model(self, error_of, clips):
        """A model that is not there is named."""
        error = error_of("predict", clips / "a.wav", "--model", "none.onnx")
        assert "none.onnx: no such model file" in error

    def test_recording_as_model(self, error_of, clips):
        """A recording is no model."""
        error = error_of("predict", clips / "a.wav", "--model", clips / "a.wav")
        assert "not a readable ONNX model" in error

    def test_unwritable_output(self, error_of, clips, model_file):
        """Where the CSV cannot be written, the error names it."""
        Path("file").touch()
        error = error_of("predict", clips, "-m", model_file, "--csv", "file/out.csv")
        assert "file" in error

    def test_output_is_a_folder(self, error_of, clips, model_file):
        """A folder is no place for a CSV."""
        assert "directory" in error_of("predict", clips, "-m", model_file, "--csv", clips)

    @pytest.mark.parametrize(
        "arguments",
        [
            ["predict"],
            ["predict", "a.wav", "--bogus"],
            ["predict", "a.wav", "--max-seconds", "long"],
            ["predict", "a.wav", "--max-seconds", "0"],
            ["predict", "a.wav", "--max-seconds", "nan"],
            ["predict", "a.wav", "--model"],
            ["info", "a", "b"],
            ["train"],
            ["train", "--out", "x", "--seed", "one"],
            ["train", "--out", "x", "--epochs", "1.5"],
            ["train", "--out", "x", "extra"],
            ["evaluate", "--bogus"],
            ["bogus"],
            ["--bogus"],
            [],
        ],
    )
    def test_wrong_usage(self, call, arguments):
        """Wrong usage is exit code 2, with a word on how to use it."""
        code, out, err = call(*arguments)
        assert code == 2
        assert "Usage" in out + err or "Error: " in err


class TestInfo:
    """Show the model card."""

    def test_words(self, call, model_file):
        """A person reads labels, data, figures and terms."""
        code, out, err = call("info", model_file)
        assert (code, err) == (0, "")
        for words in (
            "tiny  tiny.onnx, ",
            "labels: angry, disgust, fear, happy, neutral, sad, surprise",
            "measured (speaker): test_uar 0.5",
            "  Made-up noise: 10 utterances, 20 speakers (free)",
            "licence: free",
            "made by: emovox 0.1.0 abc",
            "An untrained model for tests.",
        ):
            assert words in out

    def test_json(self, call, model_file, recognizer):
        """A program reads the whole card."""
        code, out, _ = call("info", model_file, "--json")
        assert code == 0
        assert json.loads(out) == json.loads(recognizer.card.to_json())

    def test_missing(self, error_of):
        """A missing model is one line."""
        assert "no such model file" in error_of("info", "none.onnx")


@pytest.mark.needs("torch")
class TestTrainArguments:
    """`emovox train` refuses what no run can be made of, before it touches the folder."""

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            ([], "expected at least one corpus"),
            (["--features", "magic"], "features: expected acoustic or speech, got 'magic'"),
            (["--protocol", "none"], "protocol: expected random"),
            (["--seed", "-1"], "seed: expected 0 to"),
            (["--epochs", "0"], "epochs: expected 1 or more, got 0"),
            (["--n-groups", "-1"], "n_groups: expected 0 or more"),
            (["--label", "a;b"], "labels: expected labels of letters and digits"),
            (["--config", "none.toml"], "none.toml: cannot read the settings"),
            (["--config", "bad.toml"], "bad.toml: unknown setting seeed"),
            (["--corpus", "tess"], "expected a corpus as NAME=PATH"),
            (["--corpus", "tess=none"], "none"),
            (["--corpus", "x=."], ""),
            (["--resume"], "there is no run to resume"),
        ],
    )
    def test_refusals(self, error_of, clips, tmp_path, arguments, reason):
        """One line says what was expected."""
        (tmp_path / "bad.toml").write_text("seeed = 3")
        assert reason in error_of("train", "--out", "run", *arguments)

    def test_out_is_a_file(self, error_of, clips):
        """A file is no folder for a run."""
        Path("run").touch()
        error = error_of("train", "--out", "run", "--corpus", "x=clips")
        assert "expected a folder for the run, got a file" in error

    def test_out_holds_something(self, error_of, clips):
        """A folder with other things in it is not written into."""
        error = error_of("train", "--out", "clips", "--corpus", "x=clips")
        assert "not empty" in error

    def test_missing_extra(self, tmp_path):
        """Without torch, the error says what to install."""
        process = start("train", "--out", tmp_path / "x", before="sys.modules['torch'] = None\n")
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert err == "started\nemovox: this needs torch; install it with: pip install " + (
            "'emovox[train]'\n"
        )


@pytest.mark.needs("jinja2")
@pytest.mark.needs("matplotlib")
class TestEvaluate:
    """Measure a model on a corpus."""

    def test_report(self, call, tmp_path, model_file, monkeypatch):
        """The figures are printed, and the report lies where it says."""
        monkeypatch.chdir(tmp_path)
        table = make_corpus(tmp_path / "made", n_speakers=2, n_sentences=2)
        code, out, _ = call(
            "evaluate", model_file, "--corpus", f"made={table}",
            "--out", "result", "--label", "sad", "--label", "happy",
        )  # fmt: skip
        assert code == 0
        assert "accuracy" in out
        assert "UAR" in out
        assert f"report: {Path('result') / 'report.html'}" in out
        report = json.loads(Path("result/report.json").read_text())
        assert report["n_test"] == 8
        assert Path("result/report.html").exists()

    @pytest.mark.parametrize("command", [["evaluate"], ["audit", "--limit", 1, "--only", "tilt"]])
    def test_needs_the_extra_report_alone(self, tmp_path, model_file, command):
        """A model is measured where nothing is installed that only the extra `train` brings."""
        table = make_corpus(tmp_path / "made", n_speakers=2, n_sentences=1)
        project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
        train = project["project"]["optional-dependencies"]["train"]
        names = [re.match(r"\w+", one)[0] for one in train if not one.startswith("emovox")]
        blocked = "".join(f"sys.modules[{name!r}] = None\n" for name in names)
        process = start(
            *command, model_file, "--corpus", f"made={table}", "--out", tmp_path / "result",
            before=blocked,
        )  # fmt: skip
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert [*(tmp_path / "result").glob("*.html")]

    @pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
    def test_missing_extra(self, tmp_path, model_file, library):
        """Without a library of reports, the error says so before anything is read."""
        process = start(
            "evaluate", model_file, "--corpus", "x=none", "--out", tmp_path / "result",
            before=f"sys.modules[{library!r}] = None\n",
        )  # fmt: skip
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert err == (
            f"started\nemovox: this needs {library}; install it with: "
            "pip install 'emovox[report]'\n"
        )

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            ([], "expected at least one corpus"),
            (["--corpus", "x=none"], "none"),
            (["--corpus", "none"], "expected a corpus as NAME=PATH"),
            (["--corpus", "x=clips", "--label", "blue"], "labels: the model knows angry"),
            (["none.onnx", "--corpus", "x=clips"], "no such model file"),
        ],
    )
    def test_refusals(self, error_of, clips, model_file, arguments, reason):
        """One line says what was expected."""
        model = [] if "none.onnx" in arguments else [model_file]
        assert reason in error_of("evaluate", *model, *arguments)

    def test_not_over_a_corpus(self, error_of, model_file, tmp_path, monkeypatch):
        """The table of a corpus is not written over by the report."""
        monkeypatch.chdir(tmp_path)
        table = make_corpus(tmp_path / "made", n_speakers=2, n_sentences=1)
        table = table.rename(table.with_name("predictions.csv"))
        before = table.read_text()
        error = error_of("evaluate", model_file, "--corpus", f"m={table}", "--out", "made")
        assert "would overwrite the input" in error
        assert table.read_text() == before

    def test_not_into_a_run(self, error_of, clips, model_file):
        """The folder of a training run is not written over."""
        Path("run").mkdir()
        Path("run/config.toml").touch()
        error = error_of("evaluate", model_file, "--corpus", "x=clips", "--out", "run")
        assert "holds a training run" in error


class TestWhole:
    """The program as a whole."""

    def test_version(self, call):
        """The version is that of the package."""
        assert call("--version") == (0, f"{emovox.__version__}\n", "")

    @pytest.mark.parametrize("command", ["", "predict", "enrol", "info", "train", "evaluate"])
    @pytest.mark.parametrize("flag", ["--help", "-h"])
    def test_help(self, command, flag):
        """Every command explains itself."""
        result = CliRunner().invoke(app, [*command.split(), flag])
        assert result.exit_code == 0
        assert "Usage" in result.stdout

    @pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a process there")
    def test_interrupt(self, clips, model_file):
        """Ctrl-C ends the work: the answers so far are written and printed, exit code 130."""
        for number in range(5_000):
            (clips / f"{number}.wav").hardlink_to(clips / "a.wav")
        process = start(
            "predict", clips, "-m", model_file, "--json", "--csv", "o.csv",
            stdout=subprocess.PIPE, before=TELLING,
        )  # fmt: skip
        told = [process.stderr.readline() for _ in range(3)]
        assert told == ["started\n", "an answer\n", "an answer\n"]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130
        answers = json.loads(out)
        assert 0 < len(answers) < 5_000
        assert len(Path("o.csv").read_text().splitlines()) == 1 + len(answers)
        assert err.replace("an answer\n", "").splitlines() == [
            "wrote o.csv",
            f"emovox: interrupted; {len(answers):,} of 5,002 recordings were recognised",
        ]

    @pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a process there")
    def test_interrupt_before_the_first_answer(self, clips, model_file):
        """Ctrl-C while speakers are learned leaves no answers, and says so."""
        for number in range(5_000):
            (clips / f"{number}.wav").hardlink_to(clips / "a.wav")
        process = start(
            "predict", clips, "-m", model_file, "--speaker-by", "folder",
            stdout=subprocess.PIPE, before=TELLING.replace("predict", "predict_and_learn"),
        )  # fmt: skip
        assert [process.stderr.readline() for _ in range(2)] == ["started\n", "an answer\n"]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (130, "")
        told = err.replace("an answer\n", "")
        assert told == "emovox: interrupted; 0 of 5,002 recordings were recognised\n"

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
    def test_full_disk_for_results(self, clips, model_file):
        """Results that cannot be written are an error, not a success."""
        with Path("/dev/full").open("w") as full:
            process = start("predict", clips, "-m", model_file, "--json", stdout=full)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert err.startswith("started\nemovox: ")
        assert "No space left" in err
        assert err.count("\n") == 2

    @pytest.mark.skipif(sys.platform == "win32", reason="pipes are different there")
    def test_closed_pipe(self, clips, model_file):
        """A reader that went away, as `head` does, is no reason for noise."""
        process = start("predict", clips, "-m", model_file, "--json", stdout=subprocess.PIPE)
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        assert process.wait(timeout=60) == 1
        assert err == "started\n"
