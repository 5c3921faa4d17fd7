"""A small archive of real speech: the examples, some softer, and a table of them."""

import csv
from pathlib import Path

import soundfile

from conftest import REPOSITORY
from emovox.audio import RATE, load_audio

SPEAKERS = ("anna", "bea", "")


def make_archive(root: Path, n_recordings: int = 9) -> Path:
    """Write recordings below `root` in some folders, and return the table that names them."""
    examples = [load_audio(path) for path in sorted((REPOSITORY / "examples").glob("*.flac"))]
    rows = []
    for number in range(n_recordings):
        name = f"{'early' if number < 4 else 'late'}/{number:02d}.wav"
        path = root / "calls" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, examples[number % len(examples)] * 0.8 ** (number % 3), RATE)
        rows.append((number, f"calls/{name}", SPEAKERS[number % 3], "a label of theirs"))
    table = root / "calls.csv"
    with table.open("w", newline="") as lines:
        csv.writer(lines).writerows([("call id", "file", "speaker", "label"), *rows])
    return table
