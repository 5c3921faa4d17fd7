"""`emovox plot`: what is written where, what is printed, and what a mistake looks like."""

import importlib.util
import os

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from emovox.audio import RATE
from emovox.cli.plot import plot_app
from emovox.errors import AudioError, CorpusError, MissingExtraError

pytestmark = [pytest.mark.needs("matplotlib"), pytest.mark.needs("librosa")]

needs_posix = pytest.mark.skipif(os.name == "nt", reason="no such names there")


def run(*arguments):
    """Run the command as the shell would, errors passed through."""
    return CliRunner().invoke(plot_app, [str(a) for a in arguments], catch_exceptions=True)


@pytest.fixture
def wav(tmp_path, rng):
    """A second of noise."""
    path = tmp_path / "voice.v1.wav"
    soundfile.write(path, 0.1 * rng.normal(size=RATE), RATE)
    return path


@pytest.fixture
def folder(tmp_path, rng):
    """A user's corpus: two emotions, a folder each."""
    for emotion in ("happy", "sad"):
        for number in range(2):
            path = tmp_path / "own" / emotion / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, 0.1 * rng.normal(size=RATE // 2), RATE)
    return tmp_path / "own"


def test_recording_goes_to_the_current_folder(wav, tmp_path, monkeypatch):
    """Without --out both files lie here, named for the recording, and are printed."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    result = run("recording", wav)
    assert result.exit_code == 0, result.exception
    assert result.stdout.split() == ["voice.v1.recording.png", "voice.v1.recording.svg"]
    assert {p.name for p in (tmp_path / "here").iterdir()} == set(result.stdout.split())


@pytest.mark.parametrize(
    ("out", "names"),
    [("a.png", {"a.png"}), ("a.b.SVG", {"a.b.svg"}), ("sub/a", {"sub/a.png", "sub/a.svg"})],
)
def test_out_chooses_the_format(wav, tmp_path, out, names):
    """A suffix asks for that one file, no suffix for both; folders are made."""
    result = run("recording", wav, "--out", tmp_path / "made" / out)
    assert result.exit_code == 0, result.exception
    made = tmp_path / "made"
    assert {str(p.relative_to(made)) for p in made.rglob("*") if p.is_file()} == names
    assert result.stdout.split() == sorted(str(made / name) for name in names)


def test_out_may_be_a_folder(wav, tmp_path):
    """In a folder that is there the files are named for the recording and the picture."""
    (tmp_path / "pictures.png").mkdir()
    result = run("recording", wav, "--out", tmp_path / "pictures.png")
    names = sorted(path.name for path in (tmp_path / "pictures.png").iterdir())
    assert names == ["voice.v1.recording.png", "voice.v1.recording.svg"], result.exception


def test_each_kind_has_its_own_names(wav, folder, tmp_path, model_file, monkeypatch):
    """A recording, its timeline and a corpus of the same name do not take each other's place."""
    monkeypatch.chdir(tmp_path)
    assert run("recording", wav).exit_code == 0
    result = run("timeline", wav, "--model", model_file, "--no-explain")
    assert result.exit_code == 0, result.exception
    assert run("corpus", f"voice={folder}").exit_code == 0
    names = {path.name for suffix in ("png", "svg") for path in tmp_path.glob(f"*.{suffix}")}
    kinds = ("voice.v1.recording", "voice.v1.timeline", "voice.corpus")
    assert names == {f"{kind}.{suffix}" for kind in kinds for suffix in ("png", "svg")}


@pytest.mark.parametrize("name", ["a.png", "a.svg"])
def test_another_picture_is_left_alone(wav, folder, tmp_path, name):
    """What is there and was not made by the same kind of plot is not written over."""
    out = tmp_path / name
    assert run("recording", wav, "--out", out).exit_code == 0
    before = out.read_bytes()
    assert run("corpus", f"own={folder}", "--out", out).exit_code == 1
    error = run("corpus", f"own={folder}", "--out", tmp_path / "a").exception
    assert f"{out}: exists and is not a picture by `emovox plot corpus`" in str(error)
    assert out.read_bytes() == before
    out.write_bytes(b"a photograph of mine")
    assert run("recording", wav, "--out", out).exit_code == 1
    assert out.read_bytes() == b"a photograph of mine"


def test_the_same_kind_is_drawn_anew(wav, tmp_path):
    """A picture of the same kind is replaced, which is said."""
    out = tmp_path / "a.png"
    assert run("recording", wav, "--out", out).stderr == ""
    result = run("recording", wav, "--out", out)
    assert (result.exit_code, result.stdout) == (0, f"{out}\n")
    assert result.stderr == f"replaced {out}\n"


@needs_posix
def test_any_name_is_drawn(wav, tmp_path, model_file):
    """Names with newlines, emoji, formulas or bytes in another encoding are drawn, quietly."""
    odd = wav.with_name("a\nb\x1b[31m\udcff$x^$😀.wav")
    wav.rename(odd)
    for kind, options in (("recording", []), ("timeline", ["--no-explain", "--model", model_file])):
        result = run(kind, odd, "--out", tmp_path / "a b" / kind, *options)
        assert result.exit_code == 0, result.exception
        assert result.stderr == ""


def test_corpus_is_drawn(folder, tmp_path):
    """A user's own corpus is read, measured and drawn."""
    result = run("corpus", f"own={folder}", "--out", tmp_path / "own.png")
    assert result.exit_code == 0, result.exception
    assert (tmp_path / "own.png").read_bytes().startswith(b"\x89PNG")


def test_mistakes_are_plain_errors(tmp_path):
    """A missing file and a missing corpus end in emovox's own errors."""
    assert isinstance(run("recording", tmp_path / "none.wav").exception, AudioError)
    assert isinstance(run("corpus", f"tess={tmp_path / 'none'}").exception, CorpusError)
    assert isinstance(run("corpus", "tess").exception, CorpusError)


@pytest.mark.parametrize(("library", "extra"), [("matplotlib", "report"), ("librosa", "train")])
def test_missing_library_is_named(wav, tmp_path, monkeypatch, library, extra):
    """Where an optional library is not installed, the error says what to install."""
    import builtins

    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.split(".")[0] == library:
            raise ModuleNotFoundError(name=library)
        return real(name, *arguments, **options)

    assert importlib.util.find_spec(library)
    monkeypatch.setattr(builtins, "__import__", without)
    error = run("recording", wav, "--out", tmp_path / "a").exception
    assert isinstance(error, MissingExtraError)
    assert library in str(error)
    assert f"pip install 'emovox[{extra}]'" in str(error)


@pytest.mark.corpora
def test_tess_is_drawn(corpora_root, tmp_path):
    """The real TESS, with its quirks, is drawn: a file that is AIFF inside a .wav name as well."""
    odd = next((corpora_root / "tess").rglob("YAF_germ_angry.*"))
    assert run("recording", odd, "--out", tmp_path / "odd.png").exit_code == 0
    result = run("corpus", f"tess={corpora_root / 'tess'}", "--out", tmp_path / "tess.svg")
    assert result.exit_code == 0, result.exception
    assert np.all([(tmp_path / name).stat().st_size > 50_000 for name in ("odd.png", "tess.svg")])
