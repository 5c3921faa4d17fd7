"""The page's journal: a real browser with a made microphone, before a real server."""

import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from conftest import REPOSITORY
from emovox import load_audio
from emovox.journal.adding import Recording, add
from emovox.journal.folder import file_of, folder, journal_files, new_file
from emovox.journal.records import CheckIn, Consent
from emovox.journal.store import Journal
from test_page import PAGE, Service, Visitor, axe, browser, chromium, needs_browser, serving, spoken
from test_server_journals import NAME, NOTE, PASSPHRASE, keep_session

__all__ = ["axe", "browser", "chromium", "spoken"]  # fixtures of the page's other tests

pytestmark = [needs_browser, pytest.mark.needs("platformdirs"), pytest.mark.needs("cryptography")]

EXAMPLES = REPOSITORY / "examples"
PHONE = {"width": 360, "height": 740}
TOKENS = "anna-has-this-token=anna\nnobody-has-this-one\n"


class Owner(Visitor):
    """A visitor who opens the journal tab."""

    def __init__(self, context: Any, url: str) -> None:
        super().__init__(context, url)
        self.page.on("dialog", lambda dialog: dialog.accept())

    def open_journal(self) -> None:
        """Choose the tab."""
        self.page.click("#journal-tab")

    def begin(self, *switches: str, passphrase: str = "") -> None:
        """Read the consent, agree to parts of it, and begin a journal."""
        self.page.fill("#journal-name", NAME)
        for switch in switches:
            self.page.check(f"#journal-{switch}")
        self.page.fill("#journal-new-passphrase", passphrase)
        self.page.fill("#journal-again", passphrase)
        self.page.check("#journal-agree")
        self.page.click("#journal button:text-is('Begin')")
        self.page.wait_for_selector("#journal-start")

    def view(self, name: str, shows: str) -> None:
        """Choose a view, and wait until it is there."""
        self.page.click(f"#journal nav >> text={name}")
        self.page.wait_for_selector(shows)

    def add(self, *files: Path) -> None:
        """Add recordings, each at the time of its file."""
        self.page.set_input_files("#journal-choose", [str(file) for file in files])
        self.page.click("#journal-add")
        self.wait("document.getElementById('journal-add').hidden", 120)

    def record(self, n_kept: int) -> None:
        """Record until so many segments are kept."""
        self.page.click("#journal-start")
        self.wait(f"document.querySelectorAll('#journal tbody tr').length >= {n_kept}")
        self.page.click("#journal-start")
        self.wait("document.getElementById('journal-start').textContent === 'Start again'")

    def fits(self) -> bool:
        """Whether nothing is wider than the page."""
        width = self.page.viewport_size["width"]
        return self.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the servers of this file a user of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("home")))
        yield Path(os.environ["XDG_DATA_HOME"])


@pytest.fixture(scope="module")
def service(home: Path) -> Iterator[Service]:
    """Run a server for this machine's user."""
    with serving() as one:
        yield one


@pytest.fixture
def visit(browser: Any, service: Service) -> Iterator[Callable[..., Owner]]:
    """Give what opens the page; a journal that a test leaves is deleted."""
    contexts = []

    def open_page(url: str = service.url, **options: Any) -> Owner:
        contexts.append(browser.new_context(**options))
        return Owner(contexts[-1], url)

    yield open_page
    for context in contexts:
        context.close()
    if folder().is_dir():
        shutil.rmtree(folder())


@pytest.fixture
def filled() -> None:
    """Make the journal of somebody over nine weeks, with a short recording whose sound is kept."""
    agreed = Consent(datetime(2026, 1, 1, tzinfo=UTC), True, True, True)
    with Journal.create(new_file(), NAME, agreed) as journal:
        for week in range(7):
            keep_session(journal, week, device="phone" if week == 6 else "headset")
        keep_session(journal, 8, n_segments=1)
        at = datetime(2026, 3, 3, 9, tzinfo=UTC)
        journal.check_in(CheckIn(at, "daily", 0.4, ("calm", "hopeful"), "slept well"))
        sound = EXAMPLES / "even.flac"
        added = add(journal, Recording(sound, datetime(2026, 3, 4, 9, tzinfo=UTC)), None)
        assert added.session.id == 9


def dated(path: Path, clips: list[np.ndarray], moment: str) -> Path:
    """Write a recording with half a second between clips, as if it was made then."""
    pause = np.zeros(8_000, np.float32)
    soundfile.write(
        path, np.concatenate([part for clip in clips for part in (clip, pause)]), 16_000
    )
    seconds = datetime.fromisoformat(moment).timestamp()
    os.utime(path, (seconds, seconds))
    return path


class TestWeek:
    """From the consent to the last byte."""

    def test_week(self, visit, tmp_path, axe):
        """Somebody agrees, records, adds, says how they feel, looks, takes it away, and forgets."""
        owner = visit()
        owner.open_journal()
        assert "no diagnosis" in owner.text("#journal-consent")
        axe(owner)
        owner.begin("emotion", "sound")
        assert "as long as you like" in owner.text("#journal-kept")
        clips = [load_audio(file) for file in sorted(EXAMPLES.glob("*.flac"))]
        long = dated(tmp_path / "long.flac", clips * 9, "2026-11-23T18:30")
        short = dated(tmp_path / "short.flac", clips[:2], "2026-11-25T08:00")
        owner.add(long, short)
        states = owner.page.locator(".adding p").all_inner_texts()
        assert re.match(r"Session 1: \d+ s of speech\.", states[0])
        owner.record(2)
        assert re.search(r"\d+ s heard, \d+ s of speech kept", owner.text("#journal-total"))
        axe(owner)
        owner.page.focus("#journal-valence")
        for _ in range(8):
            owner.page.keyboard.press("ArrowRight")
        owner.page.click("summary")
        owner.page.check("#journal input[value=calm]")
        owner.page.fill("#journal-note", NOTE)
        owner.page.click("form:has(#journal-note) button")
        owner.wait("document.getElementById('journal-said').textContent.includes('+0.40')")
        (file,) = journal_files()
        with Journal.open(file) as journal:  # as commands see it
            added, brief, recorded = journal.sessions()
            assert added.began.isoformat()[:16] == "2026-11-23T18:30"
            assert brief.is_whole
            assert (recorded.source, recorded.is_whole) == ("microphone", True)
            assert "Fake" in recorded.device
            assert len(list(journal.sounds(recorded.id))) >= 2
            (said,) = journal.check_ins()
            assert (said.kind, said.valence, said.labels) == ("momentary", 0.4, ("calm",))
        owner.view("Trend", "#journal-chart svg")
        assert owner.page.locator("#journal-chart circle").count() == 1
        owner.view("Compare", "#journal-comparison table")
        assert "too little" in owner.text("#journal-comparison")
        owner.view("Your data", "#journal-forget")
        axe(owner)
        with owner.page.expect_download() as download:
            owner.page.click("#journal button:text-is('Download')")
        lines = Path(download.value.path()).read_text().splitlines()
        assert download.value.suggested_filename.endswith("-jsonl.jsonl")
        kinds = [next(iter(json.loads(line))) for line in lines]
        assert kinds.count("session") == 3
        assert kinds.count("sound") == kinds.count("segment") > 10
        owner.page.select_option("#journal-format", "csv")
        with owner.page.expect_download() as download:
            owner.page.click("#journal button:text-is('Download')")
        with zipfile.ZipFile(download.value.path()) as archive:
            assert "sessions.csv" in archive.namelist()
        owner.page.click("#journal-forget")
        owner.page.wait_for_selector("#journal-name")
        assert list(folder().iterdir()) == []
        owner.check_clean()

    def test_nothing_inferred(self, visit):
        """Without consent to emotion the page shows measurements, and no label is kept."""
        owner = visit()
        owner.open_journal()
        owner.begin()
        assert "no emotion is inferred, no sound is kept" in owner.text("#journal-kept")
        owner.record(1)
        assert re.search(r"\d st, -\d+\.\d dB", owner.text("#journal tbody tr >> nth=0"))
        with Journal.open(journal_files()[0]) as journal:
            (session,) = journal.sessions()
            assert session.model is None
            assert [one.inferred for one in journal.segments(session.id)][:1] == [None]
        owner.check_clean()

    def test_agreement_comes_first(self, visit):
        """Without the person's agreement nothing begins, and two passphrases have to be one."""
        owner = visit()
        owner.open_journal()
        owner.page.fill("#journal-name", NAME)
        owner.page.click("#journal button:text-is('Begin')")  # which the browser refuses
        assert owner.page.evaluate("document.activeElement.id") == "journal-agree"
        owner.page.check("#journal-agree")
        owner.page.fill("#journal-new-passphrase", "one")
        owner.page.fill("#journal-again", "another")
        owner.page.click("#journal button:text-is('Begin')")
        assert "not the same" in owner.problem("#journal-problem")
        assert not folder().exists()
        owner.check_clean()


@pytest.mark.usefixtures("filled")
class TestViews:
    """What a journal shows."""

    def test_calendar_and_session(self, visit, axe):
        """A day leads to its entries, a session to its segments, their sound, and its note."""
        owner = visit()
        owner.open_journal()
        owner.view("Calendar", ".month")
        assert owner.text("#journal-month") == "March 2026"
        assert owner.page.locator(".month button").count() == 3
        owner.page.click("[aria-label^='Tue, 3 Mar 2026']")
        assert "slightly pleasant (+0.40): calm, hopeful" in owner.text("#journal-parts")
        owner.page.click("[aria-label^='Wed, 4 Mar 2026']")
        owner.page.click("[aria-label^='Open session 9']")
        owner.page.wait_for_selector("#journal-session")
        assert "too little" in owner.text("#journal-session")
        axe(owner)
        owner.page.click("#journal-session [aria-label^='Play 0']")
        owner.wait("document.querySelector('#journal-session audio').currentTime > 0.2")
        owner.page.fill("#journal-session-note", NOTE)
        owner.page.fill("#journal-session-tags", "work, call")
        owner.page.click("#journal-session button:text-is('Save')")
        owner.wait("document.getElementById('journal-parts').textContent.includes('#work #call')")
        with Journal.open(journal_files()[0]) as journal:
            assert (journal.session(9).note, journal.session(9).tags) == (NOTE, ("work", "call"))
        owner.page.click("text=Delete this session")
        owner.page.wait_for_selector("#journal-session", state="detached")
        owner.page.click("[aria-label='Month before']")
        assert owner.text("#journal-month") == "February 2026"
        owner.page.click("[aria-label^='Open session 6']")
        owner.wait("document.querySelector('#journal-session canvas')?.height > 60")
        assert "sounded: " in owner.text("#journal-session").lower()
        assert "No sound of this session is kept" in owner.text("#journal-session")
        owner.check_clean()

    def test_trend(self, visit, axe):
        """Weeks have intervals; what cannot be compared is marked; what was said stands apart."""
        owner = visit()
        owner.open_journal()
        owner.view("Trend", "#journal-chart svg")
        assert owner.page.locator("#journal-chart circle").count() == 7
        assert owner.page.locator("#journal-chart circle.apart").count() == 1
        assert owner.page.locator("#journal-chart .few").count() == 1
        assert owner.page.locator("#journal rect.word").count() == 1
        rows = owner.page.locator("#journal tbody tr").all_inner_texts()
        assert "another device" in rows[6]
        assert "too little" in rows[7]
        titles = owner.page.locator("#journal-measure option").all_inner_texts()
        assert titles[:2] == ["sounded a", "sounded b"]
        assert "pitch" in titles
        assert not re.search(r"\bwas (a|b)\b", owner.text("#journal"))
        owner.page.select_option("#journal-measure", "pitch_st")
        owner.wait("document.querySelector('#journal thead').textContent.includes('pitch')")
        assert "no diagnosis" in owner.text("#journal-told")
        axe(owner)
        owner.check_clean()

    def test_compare(self, visit, axe):
        """Two sessions stand side by side, with what chance alone would do."""
        owner = visit()
        owner.open_journal()
        owner.view("Compare", "#journal-comparison table")
        owner.page.select_option("#journal-before", "1")
        owner.page.select_option("#journal-after", "2")
        owner.page.wait_for_selector("#journal-comparison th:text-is('Session 2')")
        cells = owner.page.locator("#journal-comparison tbody tr >> nth=0").inner_text().split("\t")
        assert cells[0] == "sounded a"
        assert [cell.strip() for cell in cells[1:3]] == ["33 %", "67 %"]
        owner.page.select_option("#journal-after", "7")
        owner.wait("document.querySelector('#journal-comparison .notice') !== null")
        assert "another device" in owner.text("#journal-comparison")
        axe(owner)
        owner.check_clean()

    def test_retention(self, visit):
        """What is older than the person agreed to is told, and deleted when they say so."""
        owner = visit()
        owner.open_journal()
        owner.view("Your data", "#journal-forget")
        owner.page.fill("#journal-days", "30")
        owner.page.click("#journal button:text-is('Change')")
        owner.wait("document.getElementById('journal-kept').textContent.includes('30 days')")
        assert "10 entries are older" in owner.text("#journal-person")
        owner.page.click("text=Delete them")
        owner.wait("!document.getElementById('journal-person').textContent.includes('older')")
        with Journal.open(journal_files()[0]) as journal:
            assert journal.sessions() == []
            assert [n for _, n in journal.forgotten()] == [10]
        owner.check_clean()

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_phone(self, visit, axe, scheme):
        """On a phone, light and dark, nothing is cut off, and nothing is hard to read."""
        owner = visit(viewport=PHONE, color_scheme=scheme, reduced_motion="reduce")
        owner.open_journal()
        views = {
            "Now": "#journal-start",
            "Calendar": ".month",
            "Trend": "#journal-chart svg",
            "Compare": "#journal-comparison table",
            "Your data": "#journal-forget",
        }
        for name, shows in views.items():
            owner.view(name, shows)
            assert owner.fits(), name
            axe(owner)
        owner.check_clean()

    def test_keyboard(self, visit):
        """Everything can be reached and pressed without a mouse."""
        owner = visit()
        owner.page.wait_for_selector("#journal-tab:not([hidden])")
        press, focused = owner.page.keyboard.press, "document.activeElement"
        owner.page.focus("#live-tab")
        press("ArrowLeft")
        assert owner.page.evaluate(f"{focused}.id") == "journal-tab"
        owner.page.wait_for_selector("#journal nav")
        for name in ("Other people", "Now", "Calendar"):
            press("Tab")
            assert owner.page.evaluate(f"{focused}.textContent") == name
        press("Enter")
        owner.page.wait_for_selector(".month")
        owner.wait(f"{focused}.getAttribute('aria-current') === 'page'")
        while not owner.page.evaluate(f"({focused}.ariaLabel ?? '').startsWith('Wed, 4')"):
            press("Tab")
        press("Space")
        assert owner.page.evaluate(f"{focused}.getAttribute('aria-pressed')") == "true"
        while not owner.page.evaluate(f"({focused}.ariaLabel ?? '').startsWith('Open')"):
            press("Tab")
        press("Enter")
        owner.page.wait_for_selector("#journal-session")
        owner.wait(f"{focused}.textContent.startsWith('Session 9')")
        owner.check_clean()


class TestClosed:
    """A journal opens to its person alone."""

    def test_passphrase(self, visit, axe):
        """A sealed journal asks for its passphrase, and closes when it is locked."""
        owner = visit()
        owner.open_journal()
        owner.begin(passphrase=PASSPHRASE)
        owner.record(1)
        owner.page.click("text=Lock")
        owner.page.wait_for_selector("#journal-passphrase")
        assert NAME not in owner.text("body")
        axe(owner)
        owner.page.fill("#journal-passphrase", "wrong")
        owner.page.click("text=Unlock")
        assert "not that of this journal" in owner.problem("#journal-problem")
        owner.page.reload()
        owner.open_journal()
        owner.page.fill("#journal-passphrase", PASSPHRASE)
        owner.page.click("text=Unlock")
        owner.page.wait_for_selector("#journal-start")
        owner.view("Calendar", ".month button")
        stored = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
        assert owner.page.evaluate(stored) == '[{},{},""]'
        owner.check_clean("status of 409")

    def test_damaged(self, visit):
        """A file that is no journal is told as such, and keeps nobody from beginning one."""
        new_file().parent.mkdir(parents=True, exist_ok=True)
        new_file().write_bytes(b"no database at all" * 99)
        owner = visit()
        owner.open_journal()
        assert "damaged" in owner.problem("#journal-problem")
        owner.page.click("text=New person")
        owner.begin()
        owner.page.click("text=Other people")
        assert re.search(r"Journal \d, not readable", owner.text("#journal"))
        owner.check_clean()

    def test_tokens(self, visit, tmp_path):
        """Where tokens are asked for, one with a person has that one's journal, others none."""
        (tokens := tmp_path / "tokens").write_text(TOKENS)
        with serving("--token-file", tokens, "--journal") as own:
            for token, has_journal in (
                ("anna-has-this-token", True),
                ("nobody-has-this-one", False),
            ):
                owner = visit(own.url)
                owner.page.fill("#token", token)
                owner.page.click("#sign-in button")
                owner.page.wait_for_selector("#product:not([hidden])")
                owner.page.wait_for_timeout(300)
                assert owner.page.is_visible("#journal-tab") is has_journal
                if has_journal:
                    owner.open_journal()
                    owner.begin()
                    owner.record(1)
                owner.check_clean("status of 401")
        assert journal_files() == [file_of("anna")]

    def test_off(self, visit):
        """Where journals are off there is no tab, and the arrows pass it by."""
        with serving("--no-journal") as own:
            owner = visit(own.url)
            owner.page.wait_for_selector("#live-tab")
            owner.page.wait_for_timeout(300)
            assert not owner.page.is_visible("#journal-tab")
            owner.page.focus("#practice-tab")
            owner.page.keyboard.press("ArrowRight")
            assert owner.page.evaluate("document.activeElement.id") == "live-tab"
            owner.check_clean()

    def test_server_gone(self, visit):
        """When the server is killed while somebody records, what was kept is kept, and goes on."""
        with serving() as own:
            owner = visit(own.url)
            owner.open_journal()
            owner.begin()
            owner.page.click("#journal-start")
            owner.wait("document.querySelectorAll('#journal tbody tr').length >= 1")
            own.process.kill()
            own.process.wait()
            assert "lost" in owner.problem("#journal-problem")
            own.start()
            owner.wait("document.getElementById('journal-state').textContent.startsWith('Rec')")
            owner.page.click("#journal-start")
            owner.wait("document.getElementById('journal-start').textContent === 'Start again'")
            owner.check_clean("ERR_|response code|WebSocket connection")
        with Journal.open(journal_files()[0]) as journal:
            first, second = journal.sessions()
            assert (first.is_whole, second.is_whole) == (False, True)
            assert list(journal.segments(first.id))


def test_small():
    """The journal's part of the page is under 1,300 lines."""
    files = [file for file in PAGE.iterdir() if file.name.startswith("journal")]
    assert len(files) >= 10
    assert sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files) < 1_300
