"""The page without a server in Chromium: offline after the first visit, or beside a server."""

import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from conftest import REPOSITORY
from emovox import Prediction, load_audio

pytest.importorskip("playwright.sync_api")
pytest.importorskip("uvicorn")

from running_server import running
from test_page import Visitor, axe, chromium, needs_browser, serving, spoken  # noqa: F401
from test_page_practice import (  # noqa: F401
    even,
    keep_spoken,
    microphone,
    wait_spoken,
    wait_step,
)

EXAMPLE = REPOSITORY / "examples" / "even.flac"
OTHER = REPOSITORY / "examples" / "man-fast.flac"
LARGE = ("model.onnx", "voice.onnx", "onnxruntime.wasm")
LOADED = "document.getElementById('here-words').textContent.includes('is loaded')"


@pytest.fixture
def host(written) -> Iterator[SimpleNamespace]:
    """Serve the folder as a static host would, with a note of what was asked for."""
    with hosting(written[0]) as one:
        yield one


@contextmanager
def hosting(folder: Path) -> Iterator[SimpleNamespace]:
    """Serve a folder until the block ends."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, _: str, line: str, *others: object) -> None:
            asked.append(str(line).split(" ")[1])

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()

    try:
        yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}/", asked=asked, stop=stop)
    finally:
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

    def test_practice(self, chromium, host, even, axe, tmp_path):  # noqa: F811
        """The usual voice and takes are judged offline, by measurements and by the model."""
        high = load_audio(REPOSITORY / "examples" / "fast-and-high.flac")
        recording = microphone(tmp_path / "said.wav", even, [even, high])
        visitor = Visitor(chromium(recording, once=True).new_context(), host.url)
        visitor.wait(LOADED)
        host.stop()
        visitor.page.reload()
        visitor.wait(LOADED)
        visitor.page.click("#practice-tab")
        visitor.wait("!document.getElementById('practice-start').disabled")
        keep_spoken(visitor)
        visitor.page.select_option("#practice-target", label="happy")
        visitor.page.click("#practice-start")
        wait_step(visitor, "First your usual voice")
        visitor.wait("document.getElementById('practice-heard').value > 0.2")
        axe(visitor)
        wait_step(visitor, "Say it happy")
        told = wait_spoken(visitor, "Not counted: the emotion was uncertain")
        assert re.search(r"Hint: speak (louder|higher), by about \d+ (dB|st)\.", told)
        assert re.match(r"Take 1 of 3: 5\d\s%", wait_spoken(visitor, "Take 1 of 3"))
        assert "sounded fear" in visitor.text("#practice-changes")
        axe(visitor)
        visitor.page.select_option("#practice-target", label="angry")
        wait_step(visitor, "Say it angry")
        assert not visitor.page.is_visible("#practice-results")
        visitor.page.click("#practice-start")
        assert not visitor.page.is_visible("#practice-stage")
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
def test_two_pages(chromium, written, tmp_path):  # noqa: F811
    """Two pages of one host, of different versions, keep their files apart."""
    for name in ("one", "two"):
        shutil.copytree(written[0], tmp_path / name)
    worker = tmp_path / "two" / "service-worker.js"
    worker.write_text(worker.read_text().replace('VERSION = "', 'VERSION = "f'))
    context = chromium().new_context()
    with hosting(tmp_path) as host:
        for name in ("one", "two"):
            visitor = Visitor(context, f"{host.url}{name}/")
            visitor.wait(LOADED)
        host.stop()
        for name in ("one", "two"):
            visitor.page.goto(f"{host.url}{name}/")
            visitor.page.wait_for_selector("#product:visible", timeout=10_000)
        visitor.page.goto(f"{host.url}one/index.html")
        visitor.page.wait_for_selector("#product:visible", timeout=10_000)
        visitor.page.goto(f"{host.url}one/NOTICE.txt")
        assert visitor.text("body").startswith("What this page is made of")


@needs_browser
def test_server_instead(chromium, host):  # noqa: F811
    """Where a server takes the place of the page alone, its own page is shown, not the kept one."""
    visitor = Visitor(chromium().new_context(), host.url)
    visitor.wait(LOADED)
    host.stop()
    with running(port=urlsplit(host.url).port):
        visitor.page.reload()
        visitor.page.wait_for_selector("[data-server]:visible", timeout=20_000)
        visitor.page.reload()
        visitor.page.wait_for_selector("[data-server]:visible", timeout=20_000)
        assert visitor.page.evaluate("caches.keys()") == []


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


@needs_browser
def test_practice_beside_a_server(chromium, written, even, tmp_path):  # noqa: F811
    """With the switch, practice needs no session of the server; without it, the server judges."""
    recording = microphone(tmp_path / "said.wav", even, [])
    with serving("--page", written[0]) as service:
        visitor = Visitor(chromium(recording).new_context(), service.url)
        opened: list[str] = []
        visitor.page.on("websocket", lambda one: opened.append(one.url))
        for here in (True, False):
            visitor.page.set_checked("#here", here)
            if here:
                visitor.wait(LOADED)
                assert "Practice: sound stays on this device" in visitor.text("footer")
            visitor.page.click("#practice-tab")
            visitor.wait("!document.getElementById('practice-start').disabled")
            visitor.page.click("#practice-start")
            visitor.wait("document.getElementById('practice-state').textContent.includes('heard')")
            assert bool(opened) != here
            visitor.page.click("#practice-start")
            visitor.wait("document.getElementById('practice-stage').hidden")
        visitor.check_clean()
