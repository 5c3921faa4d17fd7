"""Make the picture of the page: a real browser, whose microphone plays sentences of TESS.

Run with ``python docs/images/make_page.py``. It needs Chromium, and TESS in EMOVOX_DATA.
"""

import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr
from PIL import Image
from playwright.sync_api import sync_playwright

from emovox.audio import RATE, load_audio

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("EMOVOX_DATA", REPOSITORY / ".." / "shared" / "data"))
EMOTIONS = (
    "angry", "sad", "happy", "neutral", "fear", "disgust", "pleasant_surprise", "angry", "neutral",
    "sad",
)  # fmt: skip
PORT, PAUSE_S, MICROPHONE_HZ = 8123, 1.2, 48_000
SHOWN_AFTER_S = 31.5  # in the last sentence
SIZE, SCALE = {"width": 960, "height": 860}, 1.5  # pixels of CSS, and of the picture for each


def main() -> None:
    """Talk to a server for half a minute, and take a picture."""
    url = f"http://127.0.0.1:{PORT}/"
    serve = "from emovox.cli import main; main()"
    server = subprocess.Popen([sys.executable, "-c", serve, "serve", "--port", str(PORT)])
    try:
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
            flags = [
                "--no-sandbox",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={spoken(Path(folder))}%noloop",
            ]
            chromium = shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=chromium, args=flags)
            page = browser.new_page(
                viewport=SIZE, device_scale_factor=SCALE, reduced_motion="reduce"
            )
            time.sleep(3)  # until the server listens
            page.goto(url)
            page.click("#start")
            page.wait_for_timeout(1000 * SHOWN_AFTER_S)
            picture = Image.open(io.BytesIO(page.screenshot()))
            picture.quantize(256).save(REPOSITORY / "docs" / "images" / "page.png", optimize=True)
            browser.close()
    finally:
        server.terminate()
        server.wait()


def spoken(folder: Path) -> Path:
    """Write sentences of one actress, with pauses, as the microphone plays them."""
    pause = np.zeros(int(PAUSE_S * RATE), np.float32)
    sounds = [pause[: RATE // 2]]
    for number, emotion in enumerate(EMOTIONS):
        clips = sorted((DATA / "tess" / f"YAF_{emotion}").iterdir())
        sounds += [load_audio(clips[17 * number]), pause]
    path = folder / "spoken.wav"
    soundfile.write(path, soxr.resample(np.concatenate(sounds), RATE, MICROPHONE_HZ), MICROPHONE_HZ)
    return path


if __name__ == "__main__":
    main()
