"""The practice tab: a real browser with a made microphone, before a real server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import REPOSITORY
from emovox import load_audio
from emovox.practice.aims import emotion_aim, known_changes
from test_page import (
    NOT_REACHED,
    Service,
    Visitor,
    axe,
    chromium,
    listen_for_tracks,
    needs_browser,
    service,
    serving,
    stitched,
)

pytestmark = [needs_browser, pytest.mark.usefixtures("axe", "chromium", "service")]
__all__ = ["axe", "chromium", "service"]
PHONE = {"width": 390, "height": 800}


@pytest.fixture(scope="module")
def even() -> np.ndarray:
    """Read a sentence of an even voice, without the silence around it."""
    audio = load_audio(REPOSITORY / "examples" / "even.flac")
    loud = np.flatnonzero(np.abs(audio) > 0.01)
    return audio[loud[0] : loud[-1]]


def microphone(path: Path, even: np.ndarray, takes: list[np.ndarray]) -> Path:
    """Write what is said: the usual voice, then takes, each with a pause behind it."""
    n = int(np.ceil(12.6 * 16_000 / len(even)))
    reading = np.concatenate([part for _ in range(n) for part in (even, np.zeros(3_200))])
    return stitched(path, [reading.astype(np.float32), *takes, np.zeros(0, np.float32)], 1.4)


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
