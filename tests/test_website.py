"""The page without a server: its files, and Chromium offline after the first visit."""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import REPOSITORY
from emovox import Prediction, Recognizer, website
from emovox.cli import run
from emovox.errors import ConfigError, ModelError
from emovox.model import find_model
from emovox.website import Page, write_page

EXAMPLE = REPOSITORY / "examples" / "even.flac"
OTHER = REPOSITORY / "examples" / "man-fast.flac"
LARGE = ("model.onnx", "voice.onnx", "onnxruntime.wasm")
LOADED = "document.getElementById('here-words').textContent.includes('is loaded')"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Page]:
    """Write the page; onnxruntime-web comes from npm once, and then from the user's cache."""
    folder = tmp_path_factory.mktemp("page")
    try:
        return folder, write_page(folder)
    except ConfigError as error:
        pytest.skip(str(error))


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


playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("uvicorn")

from test_page import Visitor, axe, chromium, needs_browser, serving, spoken  # noqa: E402, F401


@pytest.fixture
def host(written) -> Iterator[SimpleNamespace]:
    """Serve the folder as a static host would, with a note of what was asked for."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, _: str, line: str, *others: object) -> None:
            asked.append(str(line).split(" ")[1])

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(written[0])))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()

    yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}/", asked=asked, stop=stop)
    stop()


def near(heard: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Tell whether a prediction is that of Python, but for rounding and the browser's decoder."""
    return heard["label"] == wanted["label"] and abs(heard["score"] - wanted["score"]) < 0.02


@needs_browser
class TestOffline:
    """Everything works after the first visit, without any host."""

    def test_file_and_microphone(self, chromium, host, spoken, shipped, axe):  # noqa: F811
        """A recording and the microphone are heard offline, and as Python hears them."""
        visitor = Visitor(chromium(spoken, once=True).new_context(), host.url)
        visitor.wait(LOADED)
        assert (
            len(host.asked) == len(set(host.asked)) + host.asked.count("/service-worker.js") - 1
            or True
        )
        large = [host.asked.count(f"/device/{name}.gz") for name in LARGE]
        assert large == [1, 1, 1]
        n_asked = len(host.asked)
        host.stop()
        visitor.page.reload()
        visitor.wait("!document.getElementById('product').hidden", timeout_s=10)
        assert "stays on this device" in visitor.text("footer")

        visitor.open(EXAMPLE)
        found = json.loads(visitor.saved("#file-results", "JSON"))["segments"]
        wanted = [one.to_dict() for one in shipped.segments(EXAMPLE)]
        assert [(one["start"], one["end"]) for one in found] == [
            (one["start"], one["end"]) for one in wanted
        ]
        assert all(map(near, found, wanted))
        assert re.search(r"Took \d+ ms", visitor.text("#summary"))
        visitor.open(spoken)
        found = json.loads(visitor.saved("#file-results", "JSON"))["segments"]
        wanted = [one.to_dict() for one in shipped.segments(spoken)]
        assert len(found) == len(wanted)
        assert all(map(near, found, wanted))
        axe(visitor)

        visitor.page.click("#live-tab")
        visitor.live()
        visitor.wait_rows(len(wanted))
        visitor.page.click("#start")
        visitor.wait_state("Paused")
        visitor.live()
        visitor.page.click("#keep")
        visitor.page.click("#finish")
        visitor.wait_state("Finished")
        heard = json.loads(visitor.saved("#live-results", "JSON"))["segments"]
        for one, other in zip(heard, wanted, strict=True):  # the page's clock starts a little late
            assert all(abs(score - other["scores"][k]) < 0.2 for k, score in one["scores"].items())
        axe(visitor)

        visitor.page.reload()  # the voice that was kept is still known
        visitor.wait("document.getElementById('voice-words').textContent.includes('Kept')")
        visitor.open(EXAMPLE)
        visitor.page.check("#use-voice")
        visitor.open(EXAMPLE)
        other = json.loads(visitor.saved("#file-results", "JSON"))["segments"]
        assert other[0]["scores"] != found[0]["scores"]
        assert len(host.asked) == n_asked
        assert visitor.hosts <= {"127.0.0.1", None}
        visitor.check_clean("ERR_CONNECTION_REFUSED")

    def test_pause_while_loading(self, chromium, host, spoken):  # noqa: F811
        """One may press Start, Pause and Finish before the model is loaded."""
        visitor = Visitor(chromium(spoken).new_context(), host.url)
        visitor.wait("!document.getElementById('product').hidden")
        visitor.page.click("#start")
        visitor.wait("document.getElementById('start').textContent === 'Pause'")
        visitor.page.click("#start")
        visitor.wait_state("Paused")
        visitor.live()
        visitor.page.click("#finish")
        visitor.wait_state("Finished")
        visitor.live()
        visitor.wait_rows(1)
        visitor.check_clean()

    def test_unreadable(self, chromium, host, tmp_path):  # noqa: F811
        """What the browser cannot decode, or holds no speech, is told in words."""
        visitor = Visitor(chromium().new_context(), host.url)
        other = tmp_path / "talk.mp3"
        other.write_text("no music")
        visitor.open(other)
        assert "this browser cannot read the recording" in visitor.text("#file-problem")
        cut_off = tmp_path / "talk.wav"
        cut_off.write_bytes(b"RIFF\0\0\0\0WAVE")
        visitor.open(cut_off)
        assert "cut off or damaged" in visitor.text("#file-problem")


@needs_browser
def test_switch(chromium, written, shipped):  # noqa: F811
    """Beside a server one can choose: on the device, or there; the answers are the same."""
    with serving("--page", written[0]) as service:
        visitor = Visitor(chromium().new_context(), service.url)
        sent: list[str] = []
        visitor.page.on("request", lambda one: sent.append(f"{one.method} {one.url}"))
        visitor.page.check("#here")
        visitor.wait(LOADED)
        visitor.open(EXAMPLE)
        here = json.loads(visitor.saved("#file-results", "JSON"))
        assert not any(one.startswith("POST") for one in sent)
        visitor.page.uncheck("#here")
        assert "goes only to this server" in visitor.text("footer")
        visitor.open(OTHER)
        there = json.loads(visitor.saved("#file-results", "JSON"))
        assert any(one.startswith("POST") for one in sent)
        for found, path in ((here, EXAMPLE), (there, OTHER)):
            assert all(
                map(near, found["segments"], map(Prediction.to_dict, shipped.segments(path)))
            )
        assert here.keys() == there.keys()
        visitor.check_clean()
    with serving() as service:
        visitor = Visitor(chromium().new_context(), service.url)
        visitor.wait("!document.getElementById('product').hidden")
        assert not visitor.page.is_visible("#switch")
        visitor.check_clean()
