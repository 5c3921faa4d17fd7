"""The practice tab: a real browser with a made microphone, before a real server."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import REPOSITORY
from emovox import load_audio
from emovox.journal.folder import new_file
from emovox.journal.records import Consent, Practised
from emovox.journal.store import Journal
from emovox.practice.aims import emotion_aim, known_changes
from test_page import (
    NOT_REACHED,
    Service,
    Visitor,
    axe,
    chromium,
    listen_for_tracks,
    needs_browser,
    serving,
    stitched,
)

pytestmark = [needs_browser, pytest.mark.usefixtures("axe", "chromium", "service")]
__all__ = ["axe", "chromium"]
PHONE = {"width": 390, "height": 800}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a server for a user without journals."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("home")))
        with serving() as one:
            yield one


@pytest.fixture
def annas(service: Service) -> Iterator[Path]:
    """Make the journal of somebody who agreed to measuring alone, and practised once before."""
    agreed = Consent(datetime(2026, 1, 1, tzinfo=UTC), True, False, False)
    with Journal.create(new_file(), "Anna", agreed) as journal:
        at = datetime(2026, 3, 3, 9, tzinfo=UTC)
        journal.keep_practised(Practised(at, "loudness +6 dB", False, 3, 0, (0.5,)))
        yield journal.path
        journal.erase()


@pytest.fixture(scope="module")
def even() -> np.ndarray:
    """Read a sentence of an even voice, without the silence around it."""
    audio = load_audio(REPOSITORY / "examples" / "even.flac")
    loud = np.flatnonzero(np.abs(audio) > 0.01)
    return audio[loud[0] : loud[-1]]


def microphone(path: Path, even: np.ndarray, takes: list[np.ndarray], pause_s: float = 1.4) -> Path:
    """Write what is said: the usual voice, then takes, each with a pause behind it."""
    n = int(np.ceil(12.6 * 16_000 / len(even)))
    reading = np.concatenate([part for _ in range(n) for part in (even, np.zeros(3_200))])
    return stitched(path, [reading.astype(np.float32), *takes, np.zeros(0, np.float32)], pause_s)


@pytest.fixture
def visit(service: Service) -> Iterator[Callable[..., Visitor]]:
    """Give what opens the practice tab, as another user each time."""
    contexts = []

    def open_page(browser: Any, url: str = service.url, **options: Any) -> Visitor:
        contexts.append(browser.new_context(**options))
        visitor = Visitor(contexts[-1], url)
        visitor.page.click("#practice-tab")
        visitor.wait("!document.getElementById('practice-start').disabled")
        return visitor

    yield open_page
    for context in contexts:
        context.close()


def wait_step(visitor: Visitor, words: str) -> None:
    """Wait until the person is asked for something."""
    visitor.wait(f"document.getElementById('practice-step').textContent.startsWith({words!r})")


def keep_spoken(visitor: Visitor) -> None:
    """Let the page's `said` hold all that is said to screen readers."""
    visitor.page.evaluate(
        "() => { window.said = []; const spoken = document.getElementById('spoken');"
        "new MutationObserver(() => said.push(spoken.textContent)).observe("
        "spoken, {childList: true}); }"
    )


def wait_spoken(visitor: Visitor, words: str) -> str:
    """Wait until something was said to screen readers, and return all of it."""
    visitor.wait(f"said.some((one) => one.startsWith({words!r}))")
    return visitor.page.evaluate(f"said.find((one) => one.startsWith({words!r}))")


def test_three_takes(chromium, visit, axe, even, tmp_path):
    """The usual voice, then takes with hints; a distorted one costs none; the best is named.

    All of it by keyboard, on a phone, dark and light.
    """
    takes = [even, np.clip(60 * even, -1, 1), 2 * even, 1.2 * even]
    recording = microphone(tmp_path / "said.wav", even, takes)
    visitor = visit(chromium(recording, once=True), viewport=PHONE, color_scheme="dark")
    page = visitor.page
    sent: list[dict[str, Any]] = []
    page.on(
        "websocket",
        lambda one: one.on(
            "framesent", lambda data: isinstance(data, str) and sent.append(json.loads(data))
        ),
    )
    keep_spoken(visitor)
    axe(visitor)
    page.focus("#file-tab")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "practice-tab"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "practice-target"
    page.keyboard.type("louder")
    assert page.is_disabled("#practice-emotion")
    assert "nothing infers" in visitor.text("#practice-switch")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "practice-start"
    page.keyboard.press("Enter")
    wait_step(visitor, "First your usual voice")
    visitor.wait("document.getElementById('practice-heard').value > 0.2")
    axe(visitor)
    wait_step(visitor, "Say it louder")
    sentence = visitor.text("#practice-words")

    assert wait_spoken(visitor, "Take 1 of 3").endswith("Hint: speak louder, by about 6 dB.")
    assert "it was too loud" in wait_spoken(visitor, "Not counted")
    assert wait_spoken(visitor, "Take 2 of 3: 100").endswith(
        "Nothing is missing that would be noticed."
    )
    assert wait_spoken(visitor, "Take 3 of 3").endswith("The best was take 2.")
    assert "loudness +1." in visitor.text("#practice-changes")
    takes_told = visitor.text("#practice-takes").splitlines()
    assert [one.split(":")[0] for one in takes_told] == ["take 1", "take 2", "take 3"]
    assert takes_told[1] == "take 2: 100 %, the best"
    assert page.evaluate("document.activeElement.id") == "practice-next"
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    axe(visitor)
    page.emulate_media(color_scheme="light")
    axe(visitor)

    page.keyboard.press("Enter")
    wait_step(visitor, "Say it louder")
    assert visitor.text("#practice-words") != sentence
    assert not page.is_visible("#practice-results")
    assert [one["type"] for one in sent if one["type"] != "ping"] == ["session.update", "practice"]
    assert sent[0]["emotion"] is False
    page.click("#practice-start")
    assert not page.is_visible("#practice-stage")
    assert page.evaluate("localStorage.length") == 0
    visitor.check_clean()


@pytest.mark.needs("platformdirs")
@pytest.mark.needs("cryptography")
def test_kept_in_the_journal(chromium, visit, axe, even, annas, tmp_path):
    """What the person ticks is kept, as far as they agreed, and is an entry of their journal."""
    recording = microphone(tmp_path / "said.wav", even, [2 * even], pause_s=1.1)
    visitor = visit(chromium(recording, once=True), viewport=PHONE)
    page = visitor.page
    page.on("dialog", lambda dialog: dialog.accept())
    page.wait_for_selector("#practice-keep")
    assert visitor.text("#practice-keep-line").strip() == "Keep progress in Anna's journal"
    assert not page.is_checked("#practice-keep")
    for word, may_keep, may_infer in (
        ("happy", True, False),
        ("sad", False, False),  # only the model can judge it, and it may not listen
        ("louder, by 6 dB", True, False),
    ):
        page.select_option("#practice-target", label=word)
        assert page.is_enabled("#practice-keep") == may_keep
        if may_keep:
            page.check("#practice-keep")
        assert page.is_enabled("#practice-emotion") == may_infer
        assert page.is_checked("#practice-emotion") == (not may_keep)
        assert visitor.text("#practice-kept").startswith("Kept" if may_keep else "Not kept: only")
    page.click("#practice-start")
    page.wait_for_selector("#practice-progress tbody tr")
    assert visitor.text("#practice-progress tbody").split("\t")[1:] == ["50 %", "3"]
    visitor.wait("document.querySelectorAll('#practice-progress tbody tr').length === 2")
    assert visitor.text("#practice-of").endswith("take 1 of 3")
    with Journal.open(annas) as journal:  # while the session goes on
        kept = journal.practised()[-1]
        assert (kept.target, kept.is_inferred, kept.n_takes) == ("loudness +6 dB", False, 1)
        assert kept.best[0] > 0.9
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    axe(visitor)

    page.click("#journal-tab")
    page.click("#journal nav >> text=Calendar")
    row = page.locator("[aria-label=Practice] tbody tr")
    assert "loudness +6 dB" in row.inner_text()
    assert "1 take counted, measured alone" in row.inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    axe(visitor)
    row.get_by_role("button").click()
    row.wait_for(state="detached")
    page.click("#journal nav >> text=Your data")
    page.wait_for_selector("#journal-holds")
    assert visitor.text("#journal-holds").endswith("1 session of practice.")
    page.click("text=Other people")
    page.click("#practice-tab")
    assert "The journal is closed" in visitor.problem("#practice-problem")
    assert not page.is_visible("#practice-keep")
    visitor.check_clean()


def test_what_can_be_chosen(chromium, visit):
    """Emotions that can be judged at all; the switch is free where both ways are possible."""
    visitor = visit(chromium())
    page = visitor.page
    told = page.eval_on_selector_all(
        "#practice-target optgroup:first-child option", "all => all.map(one => one.textContent)"
    )
    assert set(told) <= set(known_changes())
    for word, enabled, checked in (
        ("happy", True, True),
        ("sad", False, True),
        ("calm", False, False),
    ):
        page.select_option("#practice-target", label=word)
        assert page.is_enabled("#practice-emotion") == enabled
        assert page.is_checked("#practice-emotion") == checked
    assert not emotion_aim("sad").wanted
    page.select_option("#practice-target", label="happy")
    page.uncheck("#practice-emotion")
    page.select_option("#practice-target", label="higher, by 3 semitones")
    page.select_option("#practice-target", label="happy")
    assert not page.is_checked("#practice-emotion")  # the wish is kept
    page.click("#practice-start")
    assert "There is no microphone" in visitor.problem("#practice-problem")
    assert visitor.text("#practice-start") == "Start"
    visitor.check_clean()


def test_lost_connection(chromium, visit, even, tmp_path):
    """When the server comes back, the usual voice is asked for again; Stop closes all."""
    recording = microphone(tmp_path / "said.wav", even, [])
    with serving() as own:
        visitor = visit(chromium(recording), own.url)
        listen_for_tracks(visitor)
        visitor.page.select_option("#practice-target", label="higher, by 3 semitones")
        visitor.page.click("#practice-start")
        visitor.wait("document.getElementById('practice-heard').value > 0")
        own.stop()
        assert "lost" in visitor.problem("#practice-problem")
        own.start()
        visitor.wait(
            "document.getElementById('practice-state').textContent.startsWith('Listening')"
        )
        visitor.wait("document.getElementById('practice-problem').hidden")
        visitor.page.click("#practice-start")
        visitor.wait("tracks.every((one) => one.readyState === 'ended')")
        visitor.check_clean(NOT_REACHED)
