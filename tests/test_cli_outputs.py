"""What a command writes is never what it reads, and never written twice."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from emovox.cli import run
from emovox.cli.outputs import check_outputs
from emovox.errors import EmovoxError
from emovox.recognizer import Recognizer

RATE = 16_000
needs_posix = pytest.mark.skipif(os.name == "nt", reason="no such files there")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, voice, model_file) -> Path:
    """Work in a folder with recordings, a table of them, a model and a baseline."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", voice, RATE)
    Path("more").mkdir()
    shutil.copy("a.wav", "more/b.wav")
    Path("calls.csv").write_text("file,caller\na.wav,anna\nmore/b.wav,bea\n")
    shutil.copy(model_file, "own.onnx")
    recognizer = Recognizer.load("own.onnx")
    recognizer.enrol("anna", [voice], RATE).save("anna.json")
    return tmp_path


@pytest.fixture
def error_of(capsys, place):
    """Give a function that runs a command that must refuse, and leave every file as it was."""

    def run_command(line: str) -> str:
        before = contents(place)
        code = run([*line.split(), *([] if "--model" in line else ["--model", "own.onnx"])])
        out, err = capsys.readouterr()
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert contents(place) == before
        return err

    return run_command


def contents(folder: Path) -> dict[str, bytes]:
    """Return what every file holds."""
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


class TestInputs:
    """An output that is an input is refused before any work."""

    @pytest.mark.parametrize(
        ("line", "told"),
        [
            ("predict calls.csv --speaker-by caller --csv calls.csv", "--csv calls.csv"),
            ("predict calls.csv --csv more/b.wav", "the input more/b.wav"),
            (
                "predict . --csv ./more/../a.wav",
                "more/../a.wav would overwrite the input a.wav",
            ),
            ("predict a.wav --baseline anna.json --csv anna.json", "overwrite the input anna.json"),
            ("predict a.wav --csv own.onnx", "the input own.onnx"),
            ("predict a.wav --csv hard.wav", "--csv hard.wav would overwrite the input a.wav"),
            ("predict a.wav --segments --csv a.wav", "--csv a.wav"),
            ("predict a.wav --segments --vtt a.wav", "--vtt a.wav"),
            ("predict a.wav --segments --audacity link.wav", "--audacity link.wav"),
            ("enrol anna a.wav --out a.wav", "--out a.wav"),
            ("enrol anna calls.csv --out calls.csv", "--out calls.csv"),
            ("enrol anna a.wav --out own.onnx", "--out own.onnx"),
            pytest.param(
                "score calls.csv --out scored --with-csv",
                "scored/scores.csv would overwrite the input calls.csv",
                marks=pytest.mark.needs("dask"),
            ),
            ("plot timeline pic.svg --out pic.svg", "pic.svg would overwrite the input pic.svg"),
        ],
    )
    def test_refused(self, error_of, line, told):
        """By its own name, another way to it, a hard link or a symbolic one."""
        Path("scored").mkdir()
        Path("scored/scores.csv").symlink_to("../calls.csv")
        os.link("a.wav", "hard.wav")
        Path("link.wav").symlink_to("a.wav")
        shutil.copy("a.wav", "pic.svg")
        assert told in error_of(line)

    def test_enrolled_again(self, capsys):
        """A baseline of before is written over: that is what enrolling anew is for."""
        assert run(["enrol", "bea", "a.wav", "--out", "anna.json", "--model", "own.onnx"]) == 0
        assert json.loads(Path("anna.json").read_text())["name"] == "bea"

    def test_inputs_that_are_missing(self):
        """What is not there, or no name at all, is no input."""
        check_outputs({"--csv": Path("o.csv")}, [Path("o.csv"), Path("a\0b"), None])
        with pytest.raises(EmovoxError):
            check_outputs({"--csv": Path("a.wav")}, [Path("a\0b"), Path("a.wav")])


class TestPlaces:
    """Where nothing can be written, that is told before any work, too."""

    @pytest.mark.parametrize(
        ("line", "told"),
        [
            ("predict a.wav --csv more", "expected the name of a file, got a directory"),
            ("predict a.wav --csv a.wav/o.csv", "a.wav is not a directory"),
            ("predict a.wav --segments --csv o --vtt o", "--csv and --vtt would both be written"),
            ("predict a.wav --segments --vtt n/o --audacity n/../n/o", "--vtt and --audacity"),
            ("predict a.wav --csv loop", "symbolic links"),
            ("listen --wav a.wav --record o --log o", "--record and --log would both be"),
            ("listen --wav a.wav --record more", "--record more: expected the name of a file"),
            ("listen --wav a.wav --log calls.csv", "calls.csv: already exists"),
        ],
    )
    def test_refused(self, error_of, line, told):
        """The option is named, with what is wrong."""
        Path("loop").symlink_to("loop")
        assert told in error_of(line)

    @needs_posix
    def test_no_permission(self):
        """A folder that is somebody else's is told at once; root may write everywhere."""
        code = (
            "import os; from pathlib import Path; from emovox.cli.outputs import check_outputs\n"
            "os.getuid() or os.setuid(65534)\n"
            "try: check_outputs({'--csv': Path('/usr/o.csv')}, [])\n"
            "except Exception as error: print(error)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
        assert done.stdout == "--csv /usr/o.csv: cannot be written: no permission\n"

    @needs_posix
    def test_devices(self, capfd):
        """Devices and pipes may stand for several files."""
        words = "predict a.wav --segments --vtt /dev/null --audacity /dev/null --model own.onnx"
        assert run(words.split()) == 0
        assert run(["predict", "a.wav", "--csv", "/dev/stdout", "--model", "own.onnx"]) == 0
        assert capfd.readouterr().out.startswith("file,label,score,scores.angry,")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
@pytest.mark.parametrize("options", [[], ["--segments"]])
def test_answers_that_cannot_be_written_are_printed(capsys, options):
    """Where the disk is full after the work, the work is not lost, and the exit code is 1."""
    words = ["predict", "a.wav", "--csv", "/dev/full", "--model", "own.onnx", *options]
    assert run(words) == 1
    out, err = capsys.readouterr()
    assert "a.wav" in out
    assert err == "emovox: /dev/full: cannot be written: No space left on device\n"
