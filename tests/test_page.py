"""The page: a real browser with a made microphone, before a real server."""

import csv
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import matplotlib.image
import numpy as np
import pytest
import soundfile
import soxr

import emovox
from conftest import REPOSITORY
from emovox import Recognizer, load_audio
from emovox.loudness import _FULL as FULL
from emovox.loudness import ADVICE, QUIET_DB

sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright

CHROMIUM = shutil.which("chromium")
PAGE = Path(emovox.__file__).parent / "page"
TEXTS = [file for file in PAGE.iterdir() if file.is_file() and file.suffix != ".png"]
ON_DEVICE = (
    *("device.js", "device-practice.js", "device-worker.js", "decode.js"),
    *("service-worker.js", "manifest.webmanifest"),
)
RATE = 48_000  # of the made microphone
SERVE = "import sys; sys.path[:0] = {!r}; from emovox.cli import main; main()"
AXE = "axe-core@4.14.1"
NOT_REACHED = "ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|response code: 503|status of 503"
EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "pleasant_surprise", "sad")

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


def test_words_on_the_level():
    """The page says of the level what the command line says."""
    script = (PAGE / "live.js").read_text()
    told = re.findall(r'^  "(too \w+)": "(.+)",$', script, re.MULTILINE)
    assert dict(told) == dict(ADVICE)
    meter = (PAGE / "meter.js").read_text()
    assert f"QUIET_DB = {QUIET_DB:g};" in meter
    assert f"FULL = {FULL:g};" in meter


class Service:
    """`emovox serve` in a process of its own, on a port that stays the same over restarts."""

    def __init__(self, *options: object, **settings: object) -> None:
        self.held = socket.socket()  # nobody else is given the port while the server is down
        self.held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # but the server may bind
        self.held.bind(("127.0.0.1", 0))
        self.port = self.held.getsockname()[1]
        self.options = [str(option).replace("PORT", str(self.port)) for option in options]
        self.variables = {f"EMOVOX_{name.upper()}": str(v) for name, v in settings.items()}

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-c", SERVE.format(sys.path), "serve", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, *self.options],
            env=os.environ | self.variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not self.answers():
            assert self.process.poll() is None, "the server did not start"
            time.sleep(0.05)

    def answers(self) -> bool:
        """Tell whether it answers."""
        try:
            with urlopen(f"{self.url}healthz", timeout=5):
                return True
        except HTTPError:
            raise
        except (URLError, ConnectionError, TimeoutError):  # it listens before the model is there
            return False

    def stop(self) -> None:
        """End it, as a service manager would."""
        self.process.terminate()
        self.process.wait(timeout=20)


@contextmanager
def serving(*options: object, **settings: object) -> Iterator[Service]:
    """Run a server until the block ends."""
    service = Service(*options, **settings)
    with service.held:
        try:
            service.start()
            yield service
        finally:
            service.stop()


class Visitor:
    """A user at a page: what they see, and what went on behind it."""

    def __init__(self, context: Any, url: str) -> None:
        self.context, self.url = context, url
        self.errors: list[str] = []
        self.hosts: set[str | None] = set()
        self.page = context.new_page()
        self.page.on("request", lambda one: self.hosts.add(urlsplit(one.url).hostname))
        self.page.on("websocket", lambda one: self.hosts.add(urlsplit(one.url).hostname))
        self.page.on("console", self._log)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(url)

    def _log(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def text(self, selector: str) -> str:
        """Return the text of a part of the page."""
        return self.page.inner_text(selector)

    def wait(self, condition: str, timeout_s: float = 60) -> None:
        """Wait until JavaScript is true; Playwright's own way is refused as `eval`."""
        end = time.monotonic() + timeout_s
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, f"not within {timeout_s} s: {condition}"
            self.page.wait_for_timeout(50)

    def wait_state(self, words: str) -> None:
        """Wait until the live tab is in a state."""
        self.wait(f"document.getElementById('state').textContent.startsWith({words!r})")

    def wait_rows(self, n_rows: int) -> None:
        """Wait until the live tab has so many results."""
        self.wait(f"document.querySelectorAll('#live tbody tr').length >= {n_rows}")

    def live(self) -> None:
        """Press Start, and wait until the session lives."""
        self.page.click("#start")
        self.wait_state("Listening")

    def problem(self, where: str = "#live-problem") -> str:
        """Wait for a problem and return its words."""
        self.page.wait_for_selector(f"{where}:not([hidden])")
        return self.text(where)

    def open(self, file: Path) -> None:
        """Give a recording to the file tab and wait for its answer."""
        self.page.click("#file-tab")
        self.page.set_input_files("#choose", str(file))
        self.wait(
            "document.getElementById('progress').hidden && !(document.getElementById("
            "'file-results').hidden && document.getElementById('file-problem').hidden)"
        )

    def saved(self, where: str, kind: str) -> str:
        """Press a button that saves, and return what it saved."""
        with self.page.expect_download() as download:
            self.page.click(f"{where} >> button[aria-label='Save as {kind}']")
        return Path(download.value.path()).read_bytes().decode()

    def check_clean(self, allowed: str = "^$") -> None:
        """See that the console is clean and that nobody else was asked for anything."""
        assert [error for error in self.errors if not re.search(allowed, error)] == []
        assert self.hosts <= {"127.0.0.1", None}  # None: out of the page's own memory


@pytest.fixture(scope="module")
def chromium() -> Iterator[Callable[..., Any]]:
    """Give what starts a browser whose microphone plays a recording over and over, or none."""
    with sync_playwright() as playwright:
        started = []

        def start(microphone: Path | None = None, *, once: bool = False, ask: bool = False) -> Any:
            flags = ["--no-sandbox", "--host-resolver-rules=MAP emovox.test 127.0.0.1"]
            flags += [] if ask else ["--use-fake-ui-for-media-stream"]
            if microphone:
                sound = f"{microphone}%noloop" if once else str(microphone)
                flags += ["--use-fake-device-for-media-stream"]
                flags += [f"--use-file-for-fake-audio-capture={sound}"]
            started.append(playwright.chromium.launch(executable_path=CHROMIUM, args=flags))
            return started[-1]

        yield start
        for browser in started:
            browser.close()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """Run a server; by another name than localhost, too."""
    with serving("--origin", "http://emovox.test:PORT") as one:
        yield one


def stitched(path: Path, clips: list[np.ndarray], pause_s: float = 0.8) -> Path:
    """Write clips of 16 kHz one after the other, with pauses, as the microphone plays them."""
    parts = [np.zeros(int(pause_s * 16_000), np.float32)]
    for clip in clips:
        parts += [clip, parts[0]]
    soundfile.write(path, soxr.resample(np.concatenate(parts), 16_000, RATE), RATE, "PCM_16")
    return path


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a recording of somebody who says three sentences."""
    names = ("even", "fast-and-high", "man-fast")
    clips = [load_audio(REPOSITORY / "examples" / f"{name}.flac") for name in names]
    return stitched(tmp_path_factory.mktemp("spoken") / "spoken.wav", clips)


@pytest.fixture(scope="module")
def browser(chromium: Callable[..., Any], spoken: Path) -> Any:
    """Start a browser into which somebody talks."""
    return chromium(spoken)


@pytest.fixture
def visit(browser: Any, service: Service) -> Iterator[Callable[..., Visitor]]:
    """Give what opens the page, as another user each time."""
    contexts = []

    def open_page(url: str = service.url, browser: Any = browser, **options: Any) -> Visitor:
        contexts.append(browser.new_context(**options))
        return Visitor(contexts[-1], url)

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def axe(request: pytest.FixtureRequest) -> Callable[[Visitor], None]:
    """Give what scans a page for violations of accessibility; axe-core comes from npm once."""
    folder = Path(request.config.cache.mkdir("axe"))
    source = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not source.exists():
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed, from which axe-core comes")
        install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]
        done = subprocess.run([*install, str(folder), AXE], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"npm cannot fetch {AXE}: {done.stderr[-200:]}")
    code = source.read_text(encoding="utf-8")

    def scan(visitor: Visitor) -> None:
        visitor.page.evaluate(code)
        found = visitor.page.evaluate("axe.run()")["violations"]
        nodes = [(one["id"], node["html"]) for one in found for node in one["nodes"]]
        assert nodes == []

    return scan


def unrepeated(words: list[str]) -> list[str]:
    """Return words without those that repeat the one before."""
    return [word for word, _ in groupby(words)]


def check_picture(visitor: Visitor, tab: str) -> None:
    """Save the picture of a tab, and see that it is opaque and not empty."""
    with visitor.page.expect_download() as download:
        visitor.page.click(f"{tab} >> text=Save picture")
    assert download.value.suggested_filename.endswith(".png")
    pixels = matplotlib.image.imread(download.value.path())
    assert pixels.shape[1] > 300
    assert pixels[..., 3].min() == 1
    assert len(np.unique((255 * pixels[..., :3]).astype(int).reshape(-1, 3), axis=0)) > 10


def overlap(result: dict[str, Any], start: float, end: float) -> float:
    """Return how many seconds of a stretch a result is about."""
    return min(result["end"], end) - max(result["start"], start)


def labels_within(span: tuple[float, float], results: list[dict[str, Any]]) -> list[str]:
    """Return what was heard within a stretch; the page's clock starts a little later."""
    return [one["label"] for one in results if overlap(one, *span) > 0.25]


@needs_browser
class TestLive:
    """Talk, and see."""

    @pytest.mark.corpora
    def test_as_the_file_path(self, chromium, service, corpora_root, tmp_path, visit):
        """Two users at once each see what the same recording gives as a file."""
        clips = []
        for k in range(10):
            emotion = EMOTIONS[(3 * k) % len(EMOTIONS)]
            folder = corpora_root / "tess" / f"{('YAF', 'OAF')[k % 2]}_{emotion}"
            clips.append(load_audio(sorted(folder.iterdir())[17 * k]))
        pause_s = 0.7
        recording = stitched(tmp_path / "clips.wav", clips, pause_s)
        ends = np.cumsum([pause_s + len(clip) / 16_000 for clip in clips])
        spans = [(end - len(clip) / 16_000, end) for clip, end in zip(clips, ends, strict=True)]
        wanted = [one.to_dict() for one in Recognizer.load().segments(recording)]

        visitors = [visit(browser=chromium(recording, once=True)) for _ in range(2)]
        for visitor in visitors:
            visitor.live()
        for visitor in visitors:
            latest = "parseFloat(document.querySelector('#live tbody td')?.textContent)"
            visitor.wait(f"{latest} > {spans[-1][0] - 0.5}")
            visitor.page.click("#finish")
            visitor.wait_state("Finished")
            heard = json.loads(visitor.saved("#live-results", "JSON"))["segments"]
            same = [labels_within(span, heard) == labels_within(span, wanted) for span in spans]
            assert sum(same) >= 9
            assert all(labels_within(span, heard) for span in spans)
            visitor.check_clean()

    def test_what_is_shown(self, visit, axe):
        """Emotion, scores, timeline, latency and voice are filled; finals alone are spoken."""
        visitor = visit()
        assert visitor.text("#emotion") == "nothing yet"
        assert "tell everybody whose voice is heard" in visitor.text("#product")
        axe(visitor)
        visitor.live()
        visitor.wait_rows(1)
        voice, words = visitor.page.evaluate(
            "['share', 'words'].map(of => document.getElementById('voice-' + of))"
            ".map(element => element.value ?? element.textContent)"
        )
        assert f"counts {100 * voice:.0f} %" in words
        labels = Recognizer.load().labels
        assert visitor.text("#live-bars").split("\n")[::2] == list(labels)
        shares = map(int, re.findall(r"(\d+) %", visitor.text("#live-bars")))
        assert 96 <= sum(shares) <= 104
        row = visitor.text("#live tbody tr >> nth=0").split("\t")
        assert visitor.text("#spoken") == f"{row[1].strip()}, {row[2]}"
        assert visitor.text("#emotion") in {*labels, "uncertain"}
        assert re.match(r"The last answer took \d+ ms", visitor.text("#latency"))
        assert visitor.text("#voice-title") == "Getting to know your voice"
        axe(visitor)
        visitor.page.click("#finish")
        visitor.wait_state("Finished")
        rows = list(csv.DictReader(visitor.saved("#live-results", "CSV").splitlines()))
        assert any(one["label"] in row[1] for one in rows)
        assert {f"scores.{label}" for label in labels} < rows[0].keys()
        visitor.check_clean()

    def test_word_is_held(self, chromium, visit, tmp_path):
        """The word changes with what is certain or final; the state tells when somebody spoke."""
        clip = load_audio(REPOSITORY / "examples" / "even.flac")
        parts = [np.zeros(48_000, np.float32), clip, clip[: len(clip) // 2], clip]
        visitor = visit(browser=chromium(stitched(tmp_path / "late.wav", parts), once=True))
        results: list[dict[str, Any]] = []

        def keep(frame: str | bytes) -> None:
            message = json.loads(frame)
            if message["type"] == "result":
                results.append(message["prediction"])

        visitor.page.on("websocket", lambda one: one.on("framereceived", keep))
        visitor.page.evaluate(
            "() => { window.words = []; const shown = document.getElementById('emotion');"
            "new MutationObserver(() => words.push(shown.lastChild.textContent)).observe("
            "shown, {childList: true, subtree: true}); }"
        )
        visitor.live()
        assert visitor.text("#state") == "Listening, nothing heard yet."
        visitor.wait("document.getElementById('state').textContent === 'Listening.'")
        visitor.wait_rows(3)
        visitor.page.click("#finish")
        visitor.wait_state("Finished")
        shown = [one for one in visitor.page.evaluate("words") if one != "nothing yet"]
        wanted = [
            one["label"] if one["certain"] else "uncertain"
            for one in results
            if one["certain"] or one["final"]
        ]
        assert unrepeated(shown) == ["hearing you", *unrepeated(wanted)]
        assert re.match(r"(perhaps \w+, )?score \d+ %", visitor.text("#certainty"))
        visitor.check_clean()

    @pytest.mark.parametrize(("gain", "level"), [(0.004, "quiet"), (60, "loud")])
    def test_meter(self, chromium, visit, tmp_path, gain, level):
        """The meter tells what is too quiet or too loud, as the advice does."""
        clip = np.clip(load_audio(REPOSITORY / "examples" / "even.flac") * gain, -1, 1)
        visitor = visit(browser=chromium(stitched(tmp_path / f"{level}.wav", [clip] * 3)))
        visitor.live()
        visitor.wait(f"document.getElementById('level').dataset.level === '{level}'")
        visitor.wait("!document.getElementById('level-advice').hidden")
        assert visitor.text("#level-advice").startswith(f"too {level}")

    def test_picture(self, visit, spoken):
        """The picture of the timeline can be saved, live and of a file, on the page's ground."""
        visitor = visit()
        visitor.live()
        visitor.wait_rows(1)
        visitor.page.click("#finish")
        visitor.wait_state("Finished")
        check_picture(visitor, "#live")
        visitor.open(spoken)
        visitor.wait("document.querySelector('#charts canvas').height > 200")
        check_picture(visitor, "#file")
        share = json.loads(visitor.saved("#file-results", "JSON"))["summary"]["uncertain"]
        assert f"uncertain of {100 * share:.0f} %" in visitor.text("#file-uncertain")
        visitor.check_clean()

    def test_voice(self, visit):
        """A voice is stored when the user says so, is there again, and is gone when forgotten."""
        visitor = visit()
        stored = "Object.values(localStorage).map(JSON.parse)"
        visitor.live()
        visitor.wait_rows(1)
        visitor.wait("!document.getElementById('keep').disabled")
        assert visitor.page.evaluate(stored) == []
        visitor.page.click("#keep")
        visitor.page.click("#finish")
        visitor.wait_state("Finished")
        (baseline,) = visitor.page.evaluate(stored)
        assert baseline["model"] == Recognizer.load().fingerprint
        visitor.page.reload()
        visitor.wait("document.getElementById('voice-words').textContent.includes('Kept')")
        assert visitor.page.is_visible("#with-voice") is False  # it is in the other tab
        visitor.page.click("#file-tab")
        assert visitor.page.is_visible("#with-voice")
        visitor.page.click("#live-tab")
        visitor.page.click("#forget")
        assert visitor.page.evaluate(stored) == []
        assert visitor.page.is_disabled("#forget")
        visitor.check_clean()

    def test_what_is_asked_of_the_user(self, chromium, visit, tmp_path):
        """The page asks to press Start, then to talk; a new session begins with a clean page."""
        silence = stitched(tmp_path / "silence.wav", [], 5.0)
        visitor = visit(browser=chromium(silence))
        assert visitor.text("#certainty") == "Press Start and talk for a few seconds."
        visitor.live()
        assert visitor.text("#certainty") == "Talk for a few seconds."
        visitor.page.click("#finish")
        visitor.wait_state("Finished")
        assert visitor.text("#certainty") == "Nobody was heard."

    def test_start_again(self, visit):
        """What was heard stays until a new session is started."""
        visitor = visit()
        visitor.live()
        visitor.wait_rows(1)
        visitor.page.click("#finish")
        visitor.wait_state("Finished")
        assert visitor.text("#emotion") != "nothing yet"
        visitor.page.click("#start")
        visitor.wait("document.getElementById('state').textContent !== 'Finished.'")
        visitor.wait("document.getElementById('emotion').innerText === 'nothing yet'")
        assert (
            visitor.text("#live-bars").count(" 0 %") + visitor.text("#live-bars").count("\n0 %")
            == 7
        )

    @pytest.mark.parametrize("model", ["0" * 16, None])
    def test_voice_of_no_use(self, visit, model):
        """A voice of another model, and one that is damaged, are not kept, nor in the way."""
        visitor = visit()
        visitor.page.wait_for_selector("#start")
        voice = Recognizer.load().new_baseline().to_dict()
        voice |= {
            "seconds": 99,
            "total": voice["total"][:-1],
            **({"model": model} if model else {}),
        }
        visitor.page.evaluate(
            "voice => localStorage.setItem('emovox.voice', JSON.stringify(voice))", voice
        )
        visitor.page.reload()
        visitor.page.wait_for_selector("#start")
        if model:
            visitor.wait("localStorage.length === 0")
        visitor.live()
        visitor.wait("localStorage.length === 0")
        visitor.wait_rows(1)
        visitor.check_clean()

    def test_pause(self, visit):
        """Paused, the microphone is off and time stands still; then the session goes on."""
        visitor = visit()
        visitor.live()
        visitor.wait_rows(1)
        visitor.page.click("#start")
        visitor.wait_state("Paused")
        visitor.page.wait_for_timeout(3000)
        visitor.page.click("#start")
        visitor.wait_state("Listening")
        visitor.wait_rows(2)
        visitor.page.click("#finish")
        visitor.wait_state("Finished")
        saved = json.loads(visitor.saved("#live-results", "JSON"))
        assert saved["gaps"] == []
        before, after = saved["segments"][:2]
        assert 0 < after["start"] - before["end"] < 3
        visitor.check_clean()

    def test_restart(self, visit):
        """When the server is restarted the session goes on, with a gap, and with the voice."""
        with serving() as own:
            visitor = visit(own.url)
            visitor.live()
            visitor.wait_rows(2)
            own.stop()
            assert "lost" in visitor.problem()
            heard = float(re.search(r"(\d+) s", visitor.text("#voice-words"))[1])
            own.start()
            visitor.wait_state("Listening")
            visitor.wait("document.getElementById('live-problem').hidden")
            visitor.wait_rows(len(visitor.page.query_selector_all("#live tbody tr")) + 1)
            visitor.page.click("#finish")
            visitor.wait_state("Finished")
            saved = json.loads(visitor.saved("#live-results", "JSON"))
            (gap,) = saved["gaps"]
            assert gap["end"] - gap["start"] > 0.3
            assert not any(overlap(one, **gap) > 1e-6 for one in saved["segments"])
            assert saved["segments"][-1]["start"] >= gap["end"]
            assert float(re.search(r"(\d+) s", visitor.text("#voice-words"))[1]) > heard
            visitor.check_clean(NOT_REACHED)

    def test_busy(self, visit):
        """Who comes when all places are taken is told so, and gets the next free one."""
        with serving(max_sessions=1) as own:
            first, second = visit(own.url), visit(own.url)
            first.live()
            second.page.click("#start")
            second.wait("document.getElementById('live-problem').textContent.includes('busy')")
            first.page.click("#finish")
            second.wait_state("Listening")
            second.wait("document.getElementById('live-problem').hidden")
            second.check_clean(NOT_REACHED)

    def test_start_without_a_server(self, visit):
        """Without a server Start says so, closes the microphone, and can be pressed again."""
        with serving() as own:
            visitor = visit(own.url)
            listen_for_tracks(visitor)
            own.stop()
            visitor.page.click("#start")
            assert "server does not answer" in visitor.problem()
            visitor.wait("!document.getElementById('start').disabled")
            assert visitor.page.evaluate("tracks.map((one) => one.readyState)") == ["ended"]
            own.start()
            visitor.live()
            visitor.check_clean(NOT_REACHED)

    def test_finish_while_the_server_is_gone(self, visit):
        """While the server is gone a session can be paused, gone on with and finished."""
        with serving() as own:
            visitor = visit(own.url)
            listen_for_tracks(visitor)
            visitor.live()
            own.stop()
            assert "lost" in visitor.problem()
            visitor.page.click("#start")
            visitor.wait_state("Paused")
            visitor.page.click("#finish")
            visitor.wait_state("Finished")
            assert visitor.page.evaluate("tracks.map((one) => one.readyState)") == ["ended"]
            own.start()
            visitor.live()
            visitor.check_clean(NOT_REACHED)

    def test_other_model(self, visit, model_file):
        """A server that comes back with another model ends the session; its results stay."""
        with serving() as own:
            visitor = visit(own.url)
            visitor.live()
            visitor.wait_rows(1)
            own.stop()
            own.options = ["--model", str(model_file)]
            own.start()
            visitor.wait_state("Finished")
            assert "another model" in visitor.problem()
            assert visitor.page.is_enabled("#start")
            assert visitor.page.is_visible("#live-results")
            visitor.check_clean(NOT_REACHED)

    def test_browser_that_does_not_resample(self, visit):
        """Where a browser cannot bring the microphone to 16 kHz, the server does."""
        visitor = visit()
        visitor.page.evaluate(
            "() => { const own = AudioContext.prototype.createMediaStreamSource;"
            "AudioContext.prototype.createMediaStreamSource = function (stream) {"
            "if (this.sampleRate === 16000) throw new Error('as in Firefox');"
            "return own.call(this, stream); } }"
        )
        sent: list[str] = []
        visitor.page.on(
            "websocket",
            lambda one: one.on("framesent", lambda frame: sent.append(frame)),
        )
        visitor.live()
        visitor.wait_rows(1)
        assert json.loads(sent[0])["rate"] > 16_000
        visitor.check_clean()


def listen_for_tracks(visitor: Visitor) -> None:
    """Let the page's `tracks` hold what `getUserMedia` gives."""
    visitor.page.evaluate(
        "() => { window.tracks = []; const own = navigator.mediaDevices.getUserMedia;"
        "navigator.mediaDevices.getUserMedia = async function (asked) {"
        "const stream = await own.call(this, asked); tracks.push(...stream.getTracks());"
        "return stream; } }"
    )


@needs_browser
class TestMicrophone:
    """Clear words where there is no microphone."""

    def test_refused(self, chromium, spoken, visit, axe):
        """Who does not allow the microphone is told where to allow it."""
        visitor = visit(browser=chromium(spoken, ask=True))
        visitor.page.click("#start")
        assert "did not allow the microphone" in visitor.problem()
        assert visitor.text("#start") == "Start"
        axe(visitor)
        visitor.check_clean()

    def test_none(self, chromium, visit):
        """A machine without a microphone is told apart from one that keeps it back."""
        visitor = visit(browser=chromium())
        visitor.page.click("#start")
        assert "There is no microphone" in visitor.problem()
        visitor.check_clean()

    def test_not_secure(self, service, visit):
        """On a page that browsers do not trust with sound, the way out is named."""
        visitor = visit(service.url.replace("127.0.0.1", "emovox.test"))
        visitor.page.click("#start")
        assert "over HTTPS" in visitor.problem()


@needs_browser
class TestFile:
    """Choose a recording, and see."""

    def test_long(self, visit, spoken, tmp_path, axe):
        """A long recording gives the segments that Python gives, which can be heard and saved."""
        audio = load_audio(spoken)
        long = tmp_path / "long <b>.flac"
        soundfile.write(long, np.tile(audio, int(300 * 16_000 / len(audio))), 16_000)
        wanted = list(Recognizer.load().segments(long))
        assert len(wanted) > 60
        visitor = visit()
        visitor.open(long)
        assert visitor.text("#file-name") == "long <b>.flac"
        rows = list(csv.DictReader(visitor.saved("#file-results", "CSV").splitlines()))
        assert [one["label"] for one in rows] == [one.label for one in wanted]
        assert [float(one["start"]) for one in rows] == [one.start for one in wanted]
        saved = json.loads(visitor.saved("#file-results", "JSON"))
        assert saved["segments"] == [one.to_dict() for one in wanted]
        best = max(saved["summary"]["shares"].items(), key=lambda item: item[1])[0]
        assert f"mostly {best}" in visitor.text("#summary")
        assert visitor.page.locator("#file-results tbody tr").count() == len(wanted)
        visitor.wait("document.querySelector('#charts canvas').height > 200")
        axe(visitor)
        visitor.page.locator("#file-results tbody button").nth(50).click()
        start, end = wanted[50].start, wanted[50].end
        visitor.wait(f"document.getElementById('player').currentTime > {start}")
        visitor.wait("document.getElementById('player').paused")
        stopped = visitor.page.evaluate("document.getElementById('player').currentTime")
        assert end - 0.01 <= stopped < end + 0.6
        visitor.check_clean()

    def test_chart_plays(self, visit, spoken):
        """A click on a segment of the picture plays that segment."""
        visitor = visit()
        visitor.open(spoken)
        *_, last = Recognizer.load().segments(spoken)
        seconds = soundfile.info(spoken).duration
        visitor.wait("document.querySelector('#charts canvas').height > 200")
        visitor.page.locator("#charts canvas").scroll_into_view_if_needed()
        box = visitor.page.locator("#charts canvas").bounding_box()
        left = 75  # pixels, about, for the names of the emotions
        middle = (last.start + last.end) / 2 / seconds
        visitor.page.mouse.click(
            box["x"] + left + middle * (box["width"] - left), box["y"] + box["height"] / 2
        )
        visitor.wait(f"document.getElementById('player').currentTime >= {last.start}")
        visitor.check_clean()

    def test_channels(self, visit, spoken, tmp_path):
        """A call with a speaker per channel gets a picture per channel."""
        audio, rate = soundfile.read(spoken, dtype="float32")
        call = tmp_path / "call.wav"
        soundfile.write(call, np.stack([audio, audio[::-1] * 0.5], 1), rate)
        visitor = visit()
        visitor.page.click("#file-tab")
        visitor.page.check("#separate")
        visitor.open(call)
        assert visitor.page.locator("#charts canvas").count() == 2
        rows = list(csv.DictReader(visitor.saved("#file-results", "CSV").splitlines()))
        assert {one["channel"] for one in rows} == {"0", "1"}
        visitor.page.uncheck("#separate")
        visitor.wait("document.querySelectorAll('#charts canvas').length === 1")
        visitor.page.check("#separate")
        visitor.wait("document.querySelectorAll('#charts canvas').length === 2")
        visitor.check_clean()

    @pytest.mark.parametrize(
        ("content", "words"),
        [(b"not audio at all" * 99, "The recording was refused: not"), (b"", "refused: ")],
    )
    def test_unsupported(self, visit, tmp_path, axe, content, words):
        """What is no recording is refused in words."""
        file = tmp_path / "notes.wav"
        file.write_bytes(content)
        visitor = visit()
        visitor.open(file)
        assert words in visitor.problem("#file-problem")
        assert not visitor.page.is_visible("#file-results")
        axe(visitor)
        visitor.check_clean("status of 4")

    @pytest.mark.skipif(
        not shutil.which("ffmpeg"), reason="ffmpeg, which makes it, is not installed"
    )
    def test_decoded_by_the_browser(self, visit, tmp_path):
        """What the service does not read is sent as the browser decodes it, channel by channel."""
        recording = tmp_path / "two.webm"
        command = [
            "ffmpeg",
            "-v",
            "error",
            "-i",
            str(REPOSITORY / "examples" / "even.flac"),
            "-ac",
            "2",
        ]
        subprocess.run([*command, str(recording)], check=True)
        visitor = visit()
        visitor.page.click("#file-tab")
        visitor.page.check("#separate")
        visitor.open(recording)
        assert visitor.page.is_visible("#file-results")
        assert "two.webm" in visitor.text("#file-name")
        assert visitor.page.locator("#charts canvas").count() == 2
        visitor.check_clean("status of 415")

    def test_silent(self, visit, tmp_path):
        """A recording in which nobody speaks is no failure."""
        file = tmp_path / "silent.wav"
        soundfile.write(file, np.zeros(32_000), 16_000)
        visitor = visit()
        visitor.open(file)
        assert "no speech" in visitor.text("#summary")
        visitor.check_clean()


@needs_browser
class TestPage:
    """What both tabs share."""

    def test_keyboard(self, visit):
        """Everything can be reached and pressed without a mouse."""
        visitor = visit()
        visitor.page.wait_for_selector("#start")
        visitor.page.keyboard.press("Tab")
        assert visitor.page.evaluate("document.activeElement.id") == "live-tab"
        visitor.page.keyboard.press("ArrowRight")
        assert visitor.page.evaluate("document.activeElement.id") == "file-tab"
        assert visitor.page.is_visible("#file") and not visitor.page.is_visible("#live")
        visitor.page.keyboard.press("Tab")
        assert visitor.page.evaluate("document.activeElement.id") == "choose"
        visitor.page.focus("#file-tab")
        visitor.page.keyboard.press("ArrowLeft")
        visitor.page.keyboard.press("Tab")
        assert visitor.page.evaluate("document.activeElement.id") == "start"
        visitor.page.keyboard.press("Enter")
        visitor.wait_state("Listening")
        assert visitor.page.evaluate("document.activeElement.id") == "start"

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_phone(self, visit, spoken, axe, scheme):
        """On a phone, light and dark, nothing is cut off, and nothing is hard to read."""
        size = {"width": 360, "height": 740}
        visitor = visit(viewport=size, color_scheme=scheme, reduced_motion="reduce")
        for tab in ("#live-tab", "#file-tab"):
            visitor.page.click(tab)
            assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 360
            axe(visitor)
        visitor.open(spoken)
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 360
        axe(visitor)
        visitor.check_clean()

    def test_token(self, visit, tmp_path, axe):
        """A server with a token asks for it once, and then everything works."""
        tokens = tmp_path / "tokens"
        tokens.write_text("open-sesame-0123456789\n")
        tokens.chmod(0o600)
        with serving("--token-file", tokens) as own:
            visitor = visit(own.url)
            visitor.page.fill("#token", "wrong-0123456789")
            visitor.page.click("#sign-in button")
            assert "does not know this token" in visitor.problem("#problem")
            axe(visitor)
            visitor.page.fill("#token", "open-sesame-0123456789")
            visitor.page.click("#sign-in button")
            visitor.live()
            visitor.wait_rows(1)
            own.stop()
            tokens.write_text("another-token-0123456789\n")
            own.start()
            visitor.wait_state("Finished")
            assert "no longer accepts this access token" in visitor.problem()
            visitor.check_clean(f"status of 401|Authentication failed|{NOT_REACHED}")

    def test_token_that_no_browser_can_send(self, visit, tmp_path):
        """A token that is no subprotocol ends Start in words, with the microphone closed."""
        tokens = tmp_path / "tokens"
        tokens.write_text("open-sesame-0123456789\n")
        tokens.chmod(0o600)
        with serving("--token-file", tokens) as own:
            visitor = visit(own.url)
            visitor.page.wait_for_selector("#sign-in:not([hidden])")
            visitor.page.route("**/v1/model", as_if_known)
            listen_for_tracks(visitor)
            visitor.page.fill("#token", "c2VjcmV0/b+c==")
            visitor.page.click("#sign-in button")
            visitor.page.click("#start")
            assert "characters that a browser cannot send" in visitor.problem()
            assert visitor.page.is_enabled("#start")
            assert visitor.page.evaluate("tracks.map((one) => one.readyState)") == ["ended"]
            visitor.check_clean("status of 401")


def as_if_known(route: Any) -> None:
    """Let a request go on with a token that the server knows."""
    known = {"authorization": "Bearer open-sesame-0123456789"}
    route.continue_(headers={**route.request.headers, **known})


class TestFiles:
    """What the page is made of."""

    def test_small(self):
        """The page is under 1,900 lines, without the journal and the client for programs.

        What it needs to recognise on the device, beside the engine, is under 600.
        """
        lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in TEXTS}
        device = {PAGE / name for name in ON_DEVICE}
        others = {file for file in TEXTS if file.name.startswith(("client.js", "journal"))}
        assert sum(lines[file] for file in {*TEXTS} - others - device) < 1_900
        assert sum(lines[file] for file in device) < 600

    def test_nothing_from_elsewhere(self):
        """No other host is named, nothing is inline, and text never becomes markup."""
        for file in [*TEXTS, *PAGE.glob("engine/*.js")]:
            text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            assert not re.search(r"https?://(?!localhost)", text)
            assert not re.search(r"\bon\w+=\"|style=\"|<style|<script>", text)
            assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval", text)

    def test_labels_are_the_model_s(self):
        """No emotion is named but for its colour, which is that of the figures."""
        from emovox.figures.style import DARK_COLOURS, EMOTION_COLOURS, OTHER_COLOURS

        style = (PAGE / "page.css").read_text(encoding="utf-8")
        light, dark = style.split("@media (prefers-color-scheme: dark)")
        told = [dict(re.findall(r"--emotion-(\w+): (#\w+)", part)) for part in (light, dark)]
        assert told[0] == dict(EMOTION_COLOURS)
        assert told[0] | told[1] == dict(DARK_COLOURS)
        others = re.search(r"OTHERS = \[(.*)\]", (PAGE / "results.js").read_text(encoding="utf-8"))
        assert others
        assert tuple(re.findall(r"#\w+", others[1])) == OTHER_COLOURS
        for file in [*PAGE.glob("*.js"), *PAGE.glob("*.html")]:
            assert not re.search("angry|happy|sad|fear", file.read_text(encoding="utf-8"))
