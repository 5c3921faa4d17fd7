"""The page without a server: its files, and the runtime that comes from npm."""

import gzip
import json
import re
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from conftest import REPOSITORY
from emovox import Recognizer, website
from emovox.cli import run
from emovox.errors import ConfigError, ModelError
from emovox.model import find_model
from emovox.practice.aims import emotion_aim
from emovox.practice.changes import DIMENSIONS
from emovox.practice.choices import choices_with_words
from emovox.website import write_page


class TestFiles:
    """What `emovox page` writes."""

    def test_are_complete(self, written):
        """The service worker keeps every file but itself, and every script that one imports."""
        folder, _ = written
        names = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
        script = (folder / "service-worker.js").read_text(encoding="utf-8")
        (kept,) = re.findall(r"^const FILES = (.+);$", script, re.MULTILINE)
        assert {*json.loads(kept)} - {"./"} == names - {"index.html", "service-worker.js"}
        for path in folder.glob("page/**/*.js"):
            for name in re.findall(r'from "(\.[^"]+)"', path.read_text(encoding="utf-8")):
                assert (path.parent / name).is_file()
        text = (folder / "index.html").read_text(encoding="utf-8")
        for name in re.findall(r'(?:href|src)="([^"]+)"', text):
            assert name == "docs" or (folder / name).is_file()

    def test_models(self, written):
        """The models are those of Python, and the card says whose fingerprint it is."""
        folder, _ = written
        packed = (folder / "device" / "model.onnx.gz").read_bytes()
        assert gzip.decompress(packed) == find_model(None).read_bytes()
        card = json.loads((folder / "device" / "model.json").read_text(encoding="utf-8"))
        assert card["fingerprint"] == Recognizer.load().fingerprint

    def test_practice(self, written, shipped):
        """What can be practised, and the words for it, are those of Python."""
        folder, _ = written
        told = json.loads((folder / "device" / "practice.json").read_text(encoding="utf-8"))
        assert told == choices_with_words(shipped.labels)
        assert {*told["hints"]} == {*told["dimensions"]} == {*DIMENSIONS}
        for one in told["targets"]:
            assert one["wanted"] == emotion_aim(one["target"]).to_dict()["wanted"]

    def test_terms(self, written, shipped):
        """The terms of the model, and of others' work, lie beside the page."""
        text = (written[0] / "NOTICE.txt").read_text(encoding="utf-8")
        assert shipped.card.licence in text
        for name in ("emovox maintainers", "OpenAI", "Silero", "Microsoft"):
            assert name in text

    def test_size(self, written):
        """A first visit transfers at most 20 MB, even where the host packs nothing."""
        folder, page = written
        assert page.n_bytes == sum(one.stat().st_size for one in folder.rglob("*.*"))
        assert page.n_first_visit <= page.n_bytes <= 20_000_000

    def test_policy(self, written):
        """The page runs its own scripts alone, and nothing is made of text but WebAssembly."""
        text = (written[0] / "index.html").read_text(encoding="utf-8")
        (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
        assert "script-src 'self' 'wasm-unsafe-eval';" in policy
        assert policy.startswith("default-src 'none';")
        assert "'unsafe" not in policy

    def test_are_replaced(self, written, tmp_path):
        """A folder with a page is written again, here with another model."""
        again = tmp_path / "again"
        (again / "device").mkdir(parents=True)
        (again / "device" / "model.json").write_text("of an older page")
        write_page(again, model="acoustic")
        assert (again / "index.html").read_bytes() == (written[0] / "index.html").read_bytes()
        card = json.loads((again / "device" / "model.json").read_text(encoding="utf-8"))
        assert card["name"] == "acoustic"


class TestRuntime:
    """onnxruntime-web, which comes from npm."""

    def test_is_that_of_the_package(self):
        """The version and the checksum are those of packages/emovox."""
        path = REPOSITORY / "packages" / "emovox" / "package-lock.json"
        lock = json.loads(path.read_text(encoding="utf-8"))
        runtime = lock["packages"]["node_modules/onnxruntime-web"]
        assert f"onnxruntime-web-{runtime['version']}" == website.RUNTIME
        assert runtime["integrity"] == f"sha512-{website._SHA512}"

    def test_another_file(self, tmp_path, capsys):
        """Another file than the pinned one is refused."""
        other = tmp_path / "other.tgz"
        other.write_bytes(b"something else")
        assert run(["page", "--out", str(tmp_path / "page"), "--runtime", str(other)]) == 1
        assert "expected the npm package onnxruntime-web-1.30.0.tgz" in capsys.readouterr().err
        assert not (tmp_path / "page").exists()

    def test_no_network(self, tmp_path, monkeypatch):
        """Where npm cannot be reached, the error says what to do."""
        monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(website, "_SOURCE", "http://127.0.0.1:9/runtime.tgz")
        with pytest.raises(ConfigError, match=r"cannot fetch .*--runtime"):
            write_page(tmp_path / "page")
        assert not any(tmp_path.iterdir())

    def test_without_end(self, tmp_path, monkeypatch):
        """A host that sends without end does not fill the memory."""
        endless = SimpleNamespace(headers={}, read=bytes)
        monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(website, "urlopen", lambda *_, **__: nullcontext(endless))
        monkeypatch.setattr(website, "_MAX_BYTES", 1_000_000)
        with pytest.raises(ConfigError, match="another file"):
            write_page(tmp_path / "page")

    def test_of_the_cache(self, written, tmp_path, monkeypatch):
        """A damaged file in the cache is fetched anew, and one of another content refused."""
        monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path))
        (tmp_path / f"{website.RUNTIME}.tgz").write_bytes(b"damaged")
        monkeypatch.setattr(website, "_fetch", lambda on_progress: b"from somebody else")
        with pytest.raises(ConfigError, match="expected checksum"):
            write_page(tmp_path / "page")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: (folder / "notes.txt").write_text("mine"), "expected an empty folder"),
        (lambda folder: folder.rmdir() or folder.write_text("a file"), "expected a folder"),
    ],
)
def test_another_folder(tmp_path, capsys, make, words):
    """A folder with something else in it is left alone."""
    folder = tmp_path / "mine"
    folder.mkdir()
    make(folder)
    assert run(["page", "--out", str(folder)]) == 1
    assert words in capsys.readouterr().err


def test_another_model(tmp_path):
    """A file that is no model of emovox is refused before anything is written."""
    other = tmp_path / "other.onnx"
    other.write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"other\.onnx"):
        write_page(tmp_path / "page", model=other)


def test_served_folder(tmp_path, capsys):
    """`emovox serve --page` takes only a folder that `emovox page` wrote."""
    pytest.importorskip("fastapi")
    assert run(["serve", "--port", "0", "--page", str(tmp_path)]) == 1
    assert "expected a folder that `emovox page --out` wrote" in capsys.readouterr().err
