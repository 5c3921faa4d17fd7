"""Malformed inputs, all in one place: each ends in one clear line, none in a traceback.

Everything goes through the command line, as a user's files do; next to the bad inputs stand the
unusual ones that must work.
"""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
import soxr
from onnx import TensorProto, helper

from emovox.audio import load_audio
from emovox.cli import run
from emovox.model import METADATA_KEY
from made_corpus import make_corpus

RATE = 16_000
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "even.flac"


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """Work in a folder of its own, without the user's cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path / "cache"))


def sound(rate: int = RATE, n_channels: int = 1) -> np.ndarray:
    """Make half a second of a tone, shape (n_samples, n_channels)."""
    tone = 0.3 * np.sin(2 * np.pi * 300 * np.arange(rate // 2) / rate)
    return np.tile(tone[:, None], n_channels)


def speech(rate: int = RATE, n_channels: int = 1) -> np.ndarray:
    """Return half a second of an example's speech, shape (n_samples, n_channels)."""
    spoken = soxr.resample(load_audio(EXAMPLE)[RATE : RATE + RATE // 2], RATE, rate)
    return np.tile(spoken[:, None], n_channels)


def encoded(samples: np.ndarray, rate: int = RATE, container="WAV", subtype=None) -> bytes:
    """Encode samples to the bytes of a file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=subtype)
    return file.getvalue()


def half(content: bytes) -> bytes:
    """Cut a file off in the middle."""
    return content[: len(content) // 2]


def with_nan() -> bytes:
    """Make a float WAV with one sample that is no number."""
    samples = sound()
    samples[100] = np.nan
    return encoded(samples, subtype="FLOAT")


def error_of(capsys, *arguments: object) -> str:
    """Run a command that must fail with exit code 1, and return its last line of error."""
    code = run([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert code == 1
    assert out == ""
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("emovox: ")
    return last


BAD_RECORDINGS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "empty file": ("a.wav", lambda: b"", "empty (0 bytes)"),
    "text": ("a.wav", lambda: b"This is no sound. " * 99, "not a readable audio file"),
    "text named mp3": ("a.mp3", lambda: b"This is no sound. " * 99, "not a readable audio file"),
    "text named raw": ("a.raw", lambda: b"This is no sound. " * 99, "not a readable audio file"),
    "text named vox": ("a.vox", lambda: b"This is no sound. " * 99, "not a readable audio file"),
    "image": ("a.wav", lambda: b"\x89PNG\r\n\x1a\n" + bytes(999), "not a readable audio file"),
    "zip": ("a.wav", lambda: b"PK\x03\x04" + bytes(999), "not a readable audio file"),
    "truncated WAV": ("a.wav", lambda: half(encoded(sound())), "the file is cut off"),
    "truncated AIFF": ("a.aif", lambda: half(encoded(sound(), container="AIFF")), "is cut off"),
    "truncated FLAC": ("a.flac", lambda: half(encoded(sound(), container="FLAC")), "is cut off"),
    "truncated Ogg": ("a.ogg", lambda: half(encoded(sound(), container="OGG")), "a.ogg: "),
    "WAV header alone": ("a.wav", lambda: encoded(sound())[:44], "is cut off"),
    "half a WAV header": ("a.wav", lambda: encoded(sound())[:30], "not a readable audio file"),
    "zero samples": ("a.wav", lambda: encoded(np.zeros(0)), "expected audio, got zero samples"),
    "zero samples in FLAC": ("a.flac", lambda: encoded(np.zeros(0), container="FLAC"), "a.flac: "),
    "NaN": ("a.wav", with_nan, "1 that are NaN or infinite"),
    "infinite": (
        "a.wav",
        lambda: encoded(sound() + np.inf, subtype="DOUBLE"),
        "8000 that are NaN or infinite",
    ),
    "16-bit values in floats": (
        "a.wav",
        lambda: encoded(sound() * 32768, subtype="FLOAT"),
        "expected samples in [-1, 1], got up to 9830",
    ),
    "silence": ("a.wav", lambda: encoded(np.zeros(RATE)), "no sound above the noise floor"),
    "absurd rate": ("a.wav", lambda: encoded(sound(), 900), "expected a sample rate of 1000"),
    "too many channels": (
        "a.wav",
        lambda: encoded(np.tile(sound()[:99], 65)),
        "at most 64 channels",
    ),
}

GOOD_RECORDINGS: dict[str, Callable[[], bytes]] = {
    "8-bit": lambda: encoded(speech(), subtype="PCM_U8"),
    "24-bit": lambda: encoded(speech(), subtype="PCM_24"),
    "float64": lambda: encoded(speech(), subtype="DOUBLE"),
    "6 channels": lambda: encoded(speech(n_channels=6)),
    "8 kHz": lambda: encoded(speech(8_000), 8_000),
    "192 kHz": lambda: encoded(speech(192_000), 192_000),
    "AIFF": lambda: encoded(speech(), container="AIFF"),
    "Opus": lambda: encoded(speech(), container="OGG", subtype="OPUS"),
    "MP3": lambda: encoded(speech(), container="MP3"),
}


class TestRecordings:
    """Recordings given to `emovox predict`."""

    @pytest.mark.parametrize(
        ("name", "make", "reason"), BAD_RECORDINGS.values(), ids=BAD_RECORDINGS.keys()
    )
    def test_bad(self, capsys, model_file, name, make, reason):
        """A bad recording is refused in one line that names it and says why."""
        Path(name).write_bytes(make())
        error = error_of(capsys, "predict", name, "--model", model_file)
        assert name in error
        assert reason in error

    @pytest.mark.parametrize("make", GOOD_RECORDINGS.values(), ids=GOOD_RECORDINGS.keys())
    def test_unusual_but_good(self, capsys, model_file, make):
        """An unusual recording, in a name that says WAV, has an answer of the same length."""
        Path("a.wav").write_bytes(make())
        assert run(["predict", "a.wav", "--model", str(model_file), "--json"]) == 0
        (answer,) = json.loads(capsys.readouterr().out)
        assert answer["end"] == pytest.approx(0.5, abs=0.01)
        assert sum(answer["scores"].values()) == pytest.approx(1)

    def test_missing_file(self, capsys, model_file):
        """A missing file is named."""
        error = error_of(capsys, "predict", "none.wav", "--model", model_file)
        assert error == "emovox: none.wav: no such file"

    def test_folder_without_audio(self, capsys, model_file):
        """A folder without recordings is named."""
        Path("folder").mkdir()
        Path("folder/notes.txt").touch()
        error = error_of(capsys, "predict", "folder", "--model", model_file)
        assert error == "emovox: folder: no audio files in this folder"

    def test_impossible_name(self, capsys, model_file):
        """A name too long for any file is an error like any other, and stops no other file."""
        Path("a.wav").write_bytes(encoded(speech()))
        name = "x" * 300
        assert run(["predict", name, "a.wav", "--model", str(model_file), "--json"]) == 1
        out, err = capsys.readouterr()
        assert [answer["file"] for answer in json.loads(out)] == ["a.wav"]
        assert err.splitlines()[0] == f"emovox: {name}: cannot be read: File name too long"

    @pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a device")
    def test_device(self, capsys, model_file):
        """A device is not read, which might never end."""
        error = error_of(capsys, "predict", "/dev/zero", "--model", model_file)
        assert "got a pipe or device" in error

    def test_bad_in_a_corpus(self, capsys, model_file):
        """Bad recordings in a corpus are told, and the others are measured."""
        table = make_corpus(Path("made"), n_speakers=1, n_sentences=2)
        Path("made/s0-sad-0.wav").write_bytes(half(encoded(sound())))
        Path("made/s0-sad-1.wav").write_bytes(encoded(np.zeros(RATE)))
        assert run(["evaluate", str(model_file), "--corpus", f"made={table}"]) == 0
        report = json.loads(Path("evaluation/report.json").read_text())
        assert report["n_test"] == 4
        problems = " ".join(report["problems"])
        assert "s0-sad-0.wav: the file is cut off" in problems
        assert "s0-sad-1.wav: no sound above the noise floor" in problems


def foreign_graph() -> bytes:
    """Make somebody else's ONNX model."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])], "relu",
        [value("x", TensorProto.FLOAT, [1])], [value("y", TensorProto.FLOAT, [1])],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def with_card(content: bytes, change: Callable[[dict], object]) -> bytes:
    """Change the card of a model file, in the way that is wanted."""
    model = onnx.load_from_string(content)
    (entry,) = (one for one in model.metadata_props if one.key == METADATA_KEY)
    card = json.loads(entry.value)
    change(card)
    entry.value = json.dumps(card)
    return model.SerializeToString()


BAD_MODELS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda good: b"", "not a readable ONNX model"),
    "text": (lambda good: b"hello", "not a readable ONNX model"),
    "recording": (lambda good: encoded(sound()), "not a readable ONNX model"),
    "truncated": (half, "m.onnx: "),
    "corrupt": (lambda good: good[:2_000] + bytes(2_000) + good[4_000:], "m.onnx: "),
    "foreign": (lambda good: foreign_graph(), "not a model of emovox: it holds no model card"),
    "unknown key": (
        lambda good: with_card(good, lambda card: card.update(gain=2)),
        "the model card has unknown keys: gain",
    ),
    "missing key": (
        lambda good: with_card(good, lambda card: card.pop("labels")),
        "the model card lacks labels",
    ),
    "wrong type": (
        lambda good: with_card(good, lambda card: card.update(temperature="warm")),
        "temperature is of the wrong type",
    ),
    "other version": (
        lambda good: with_card(good, lambda card: card.update(schema=99)),
        "expected a card of schema 2, got 99",
    ),
    "a label too few": (
        lambda good: with_card(good, lambda card: card["labels"].pop()),
        "expected 6 numbers in the output logits",
    ),
    "corpus without a licence": (
        lambda good: with_card(good, lambda card: card["corpora"][0].pop("licence")),
        "expected name, title, licence",
    ),
}


class TestModels:
    """Model files."""

    @pytest.mark.parametrize(("spoil", "reason"), BAD_MODELS.values(), ids=BAD_MODELS.keys())
    def test_bad(self, capsys, model_file, spoil, reason):
        """A bad model file is refused by every command in one line that says why."""
        Path("m.onnx").write_bytes(spoil(model_file.read_bytes()))
        Path("a.wav").write_bytes(encoded(sound()))
        for command in (["predict", "a.wav", "-m", "m.onnx"], ["info", "m.onnx"]):
            error = error_of(capsys, *command)
            assert "m.onnx: " in error
            assert reason in error

    def test_missing(self, capsys):
        """A missing model is named."""
        for command in (["predict", "a.wav", "-m", "none.onnx"], ["info", "none.onnx"]):
            assert "none.onnx: no such model file" in error_of(capsys, *command)

    def test_folder(self, capsys):
        """A folder is no model."""
        Path("folder").mkdir()
        assert "expected a model file (.onnx), got a folder" in error_of(capsys, "info", "folder")


BAD_TABLES: dict[str, tuple[str, str]] = {
    "empty": ("", "table.csv"),
    "header alone": ("file,emotion\n", "table.csv"),
    "no column file": ("emotion\nsad\n", "file"),
    "no column emotion": ("file\na.wav\n", "emotion"),
    "unknown labels alone": ("file,emotion\na.wav,blue\nb.wav,green\n", "blue"),
    "one emotion alone": ("file,emotion\na.wav,sad\nb.wav,sad\n", "at least two emotions, got sad"),
    "missing recordings": ("file,emotion\nc.wav,sad\nd.wav,happy\n", "c.wav"),
    "an unknown part": ("file,emotion,split\na.wav,sad,train\nb.wav,happy,trial\n", "trial"),
}


class TestCorpora:
    """Corpora given to `emovox train` and `emovox evaluate`."""

    @pytest.mark.parametrize(("table", "reason"), BAD_TABLES.values(), ids=BAD_TABLES.keys())
    @pytest.mark.parametrize("command", ["train", "evaluate"])
    def test_bad_table(self, capsys, model_file, command, table, reason):
        """A bad table is refused in one line that names what is wrong with it."""
        for number, name in enumerate(("a.wav", "b.wav")):
            Path(name).write_bytes(encoded(sound() * (1 - number / 2)))
        Path("table.csv").write_text(table)
        model = [model_file] if command == "evaluate" else []
        error = error_of(capsys, command, *model, "--corpus", "own=table.csv", "--out", "out")
        assert reason in error

    def test_table_that_is_no_text(self, capsys):
        """A table in another encoding is refused."""
        Path("table.csv").write_bytes("file,emotion\né.wav,sad\n".encode("utf-16"))
        assert "table.csv" in error_of(capsys, "train", "--corpus", "own=table.csv", "--out", "out")

    @pytest.mark.parametrize("source", ["own=none", "tess=none", "own=none.csv", "own=", "=x", "x"])
    def test_no_corpus(self, capsys, source):
        """A corpus that is not there, or not named, is refused."""
        error_of(capsys, "train", "--corpus", source, "--out", "out")

    def test_folder_without_recordings(self, capsys):
        """A corpus without recordings is refused."""
        Path("empty/sad").mkdir(parents=True)
        assert "empty" in error_of(capsys, "train", "--corpus", "own=empty", "--out", "out")

    def test_one_emotion(self, capsys):
        """A corpus with one emotion teaches nothing."""
        Path("own/sad").mkdir(parents=True)
        for number in range(4):
            Path(f"own/sad/{number}.wav").write_bytes(encoded(sound() * (1 - number / 9)))
        error = error_of(capsys, "train", "--corpus", "own=own", "--out", "out")
        assert "expected recordings of at least two emotions, got sad" in error


class TestFolders:
    """Where results go."""

    def test_folder_that_cannot_be_made(self, capsys, model_file):
        """A file in the place of the folder is named."""
        Path("file").touch()
        table = make_corpus(Path("made"), n_speakers=2, n_sentences=4)
        for out in ("file", "file/run"):
            assert "file" in error_of(capsys, "train", "--corpus", f"made={table}", "--out", out)

    @pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder nobody can write to")
    @pytest.mark.parametrize("command", ["train", "evaluate"])
    def test_unwritable_folder(self, capsys, model_file, command):
        """A folder that cannot be written to is named."""
        table = make_corpus(Path("made"), n_speakers=2, n_sentences=4)
        model = [model_file] if command == "evaluate" else []
        source = ["--corpus", f"made={table}"]
        error = error_of(capsys, command, *model, *source, "--out", "/proc/out")
        assert "/proc/out" in error

    def test_resume_of_another_run(self, capsys):
        """A run with other settings is not gone on with, and what differs is named."""
        table = make_corpus(Path("made"), n_speakers=1, n_sentences=2)
        Path("run").mkdir()
        Path("run/config.toml").write_text("seed = 1\n")
        source = ["--corpus", f"made={table}", "--out", "run"]
        error = error_of(capsys, "train", *source, "--resume")
        assert "holds another run, with different corpora, seed" in error
        assert "already holds a run; use --resume" in error_of(capsys, "train", *source)

    @pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
    @pytest.mark.parametrize("n_bytes", [200, 4_000, 40_000])
    def test_disk_that_fills_up(self, n_bytes):
        """When no more can be written in the middle of a run, one line says so."""
        table = make_corpus(Path("made"), n_speakers=2, n_sentences=4)
        code = (
            "import resource, sys\n"
            f"resource.setrlimit(resource.RLIMIT_FSIZE, ({n_bytes}, {n_bytes}))\n"
            "from emovox.cli import main\nmain()"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "train", "--corpus", f"made={table}", "--out", "run",
             "--epochs", "1"],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (1, "")
        assert "Traceback" not in done.stderr
        last = done.stderr.splitlines()[-1]
        assert last.startswith("emovox: ")
        assert "run" in last
        assert "File too large" in last
        assert not list(Path("run").rglob(".part-*"))
