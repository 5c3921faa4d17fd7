"""Make the picture of the page's journal: weekly sessions of sentences of TESS, and their trend.

Run with ``python docs/images/make_page_journal.py``. It needs Chromium, and TESS in EMOVOX_DATA.
"""

import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image
from playwright.sync_api import sync_playwright

from emovox import Recognizer
from emovox.audio import RATE, load_audio
from emovox.journal.adding import Recording, add
from emovox.journal.folder import new_file
from emovox.journal.records import CheckIn, Consent
from emovox.journal.store import Journal

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("EMOVOX_DATA", REPOSITORY / ".." / "shared" / "data"))
MIXTURES = (  # of the weeks
    "neutral happy neutral", "neutral neutral happy", "happy neutral neutral",
    "neutral happy happy", "neutral happy neutral", "neutral sad happy", "neutral sad sad",
    "sad neutral sad", "sad sad sad",
)  # fmt: skip
SAID = (0.4, 0.3, 0.5, 0.2, 0.3, 0.0, -0.3, -0.2, -0.4)
FIRST = datetime(2026, 1, 5, 18, 30, tzinfo=UTC)
N_SENTENCES, TOO_FEW, SHORT_WEEK = 45, 8, 3
PORT, PAUSE_S = 8124, 0.5
SIZE, SCALE = {"width": 960, "height": 900}, 1.5  # pixels of CSS, and of the picture for each


def main() -> None:
    """Fill a journal, serve it, and take a picture of its trend."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["XDG_DATA_HOME"] = home
        fill(Path(home))
        serve = "from emovox.cli import main; main()"
        server = subprocess.Popen([sys.executable, "-c", serve, "serve", "--port", str(PORT)])
        try:
            take_picture()
        finally:
            server.terminate()
            server.wait()


def fill(folder: Path) -> None:
    """Keep a session and a check-in each week."""
    recognizer = Recognizer.load()
    with Journal.create(new_file(), "Anna", Consent(FIRST, True, True)) as journal:
        for week, mixture in enumerate(MIXTURES):
            at = FIRST + timedelta(weeks=week)
            recording = spoken(folder / f"{week}.wav", mixture.split(), week)
            add(journal, Recording(recording, at), recognizer)
            journal.check_in(CheckIn(at, "daily", SAID[week]))


def spoken(path: Path, mixture: list[str], week: int) -> Path:
    """Write sentences of one actress, with pauses."""
    pause = np.zeros(int(PAUSE_S * RATE), np.float32)
    sounds = [pause]
    for number in range(TOO_FEW if week == SHORT_WEEK else N_SENTENCES):
        clips = sorted((DATA / "tess" / f"OAF_{mixture[number % len(mixture)]}").iterdir())
        sounds += [load_audio(clips[(11 * week + 3 * number) % len(clips)]), pause]
    soundfile.write(path, np.concatenate(sounds), RATE)
    return path


def take_picture() -> None:
    """Open the trend and write the picture."""
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, device_scale_factor=SCALE, reduced_motion="reduce")
        time.sleep(5)  # until the server listens
        page.goto(f"http://127.0.0.1:{PORT}/")
        page.click("#journal-tab")
        page.click("nav >> text=Trend")
        page.select_option("#journal-measure", label="sounded sad")
        page.wait_for_timeout(500)
        picture = Image.open(io.BytesIO(page.screenshot()))
        path = REPOSITORY / "docs" / "images" / "page-journal.png"
        picture.quantize(256).save(path, optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
