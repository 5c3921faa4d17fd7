"""How long training takes: on TESS from scratch, and on 2,000 recordings with the frozen encoder.

Run with ``python benchmarks/training.py``. Each row is a process of its own, and begins with an
empty cache where it says cold. The 2,000 recordings of TESS and RAVDESS stand for a user's own
corpus, in a table; nothing is downloaded. Writes benchmarks/results/training.json.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from emovox.corpora import load_corpus
from machine import data_folder, machine, write_result

N_OWN = 2_000
EXTRACT = """
import sys, time
from pathlib import Path
from emovox.training.cache import ArrayCache
from emovox.corpora import load_corpus
from emovox.training.extraction import acoustic_frames, extract
from emovox.training.settings import AcousticConfig
utterances = load_corpus("tess", sys.argv[1]).utterances
started = time.perf_counter()
extract(utterances, acoustic_frames(AcousticConfig(), 10.0), ArrayCache(Path(sys.argv[2])))
print(time.perf_counter() - started)
"""


def extract_seconds(cache: Path) -> float:
    """Compute the acoustic features of TESS, or read them from the cache."""
    command = [sys.executable, "-c", EXTRACT, str(data_folder() / "tess"), str(cache)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def train_seconds(corpus: str, folder: Path, *options: str) -> float:
    """Train with an empty cache; return the seconds from the command to the report."""
    command = [sys.executable, "-c", "from emovox.cli import main; main()", "train"]
    command += ["--corpus", corpus, "--seed", "0", "--out", str(folder / "run"), *options]
    environment = {**os.environ, "EMOVOX_CACHE": str(folder / "cache")}
    started = time.perf_counter()
    subprocess.run(command, check=True, env=environment)
    return time.perf_counter() - started


def write_own_corpus(path: Path) -> Path:
    """Write a table of recordings of 26 speakers, every so many of two corpora."""
    everything = [
        one
        for name in ("tess", "ravdess")
        for one in load_corpus(name, data_folder() / name).utterances
    ]
    chosen = (everything[k * len(everything) // N_OWN] for k in range(N_OWN))
    rows = [(one.file, one.emotion, f"{one.corpus} {one.speaker}") for one in chosen]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "emotion", "speaker"), *rows])
    return path


def main() -> None:
    """Time the stages and print them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cold, cached = (extract_seconds(folder / "features") for _ in range(2))
        tess = f"tess={data_folder() / 'tess'}"
        options = ("--features", "acoustic", "--protocol", "random", "--epochs", "50")
        whole = train_seconds(tess, folder / "acoustic", *options)
        history = folder / "acoustic" / "run" / "history.csv"
        n_epochs = history.read_text().count("\n") - 1
        own = write_own_corpus(folder / "own.csv")
        head = train_seconds(f"own={own}", folder / "own", "--features", "speech")
    rows = {
        "acoustic features of TESS, 2,798 recordings, cold": round(cold, 1),
        "the same from the cache": round(cached, 2),
        f"`emovox train` on TESS, acoustic, cold, to the report ({n_epochs} epochs)": round(
            whole, 1
        ),
        f"`emovox train` on {N_OWN:,} recordings, speech, cold, to the report": round(head, 1),
    }
    for row, seconds in rows.items():
        print(f"{row:80} {seconds} s")
    write_result("training", {"seconds": rows, "machine": machine()})


if __name__ == "__main__":
    main()
