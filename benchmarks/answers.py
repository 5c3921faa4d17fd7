"""Whether another revision of emovox gives the same answers as this one, door by door.

Run with ``python benchmarks/answers.py OTHER``, where OTHER is the folder of another checkout. 500
recordings, evenly taken from the corpora in EMOVOX_DATA, go through `predict`, `segments`, a stream
in uneven blocks, and `emovox score` in both revisions. It prints how many labels and scores differ
in each door, and ends with 1 where one does. The models that this checkout ships serve both.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import REPOSITORY, data_folder

TOLERANCE = 1e-6  # of a score and of a time in seconds
SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus"})
CORPORA = ("tess", "ravdess", "emodb", "nemo")
MODEL = REPOSITORY / "src" / "emovox" / "models" / "speech.onnx"
Answer = dict[str, Any]  # label, scores, start, end
Answers = dict[str, list[Answer]]  # of each recording and door


@dataclass(frozen=True)
class Difference:
    """How the answers of two revisions through one door differ."""

    n_recordings: int
    n_counts: int  # recordings with another number of answers
    n_labels: int
    n_scores: int
    largest: float  # of a score

    @property
    def none(self) -> bool:
        """Whether the answers are the same."""
        return not (self.n_counts or self.n_labels or self.n_scores)


def recordings(n_files: int) -> list[Path]:
    """Return recordings, evenly taken from each corpus."""
    chosen: list[Path] = []
    for corpus in CORPORA:
        files = sorted(
            path
            for path in (data_folder() / corpus).rglob("*")
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        )
        n_wanted = n_files // len(CORPORA)
        chosen += files[:: max(1, len(files) // n_wanted)][:n_wanted]
    return chosen


def compared(before: Mapping[str, list[Answer]], after: Mapping[str, list[Answer]]) -> Difference:
    """Compare the answers of one door."""
    n_counts = n_labels = n_scores = 0
    largest = 0.0
    for name in before:
        old, new = before[name], after[name]
        n_counts += len(old) != len(new)
        for one, other in zip(old, new, strict=False):
            n_labels += one["label"] != other["label"]
            moved = max(abs(one["scores"][k] - other["scores"][k]) for k in one["scores"])
            moved_s = max(abs(one[k] - other[k]) for k in ("start", "end"))
            n_scores += max(moved, moved_s) > TOLERANCE
            largest = max(largest, moved)
    return Difference(len(before), n_counts, n_labels, n_scores, largest)


def answers_of(checkout: Path, files: Iterable[Path], folder: Path) -> dict[str, Answers]:
    """Run this script's other half on the code of a checkout, and read what it wrote."""
    folder.mkdir()
    listing = folder / "files.csv"
    listing.write_text("file\n" + "".join(f'"{file}"\n' for file in files))
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--answer", str(listing), str(folder), str(checkout)]
    subprocess.run(command, env=environment, check=True)
    found: dict[str, Answers] = json.loads((folder / "answers.json").read_text())
    return found


def answer(listing: Path, folder: Path, checkout: Path) -> None:
    """Answer all recordings of a table through every door, with the code of a checkout."""
    import emovox
    from emovox import EmovoxError, Recognizer, load_audio

    if not Path(str(emovox.__file__)).is_relative_to(checkout):
        raise SystemExit(f"expected the emovox of {checkout}, got {emovox.__file__}")
    recognizer = Recognizer.load(MODEL)
    doors: dict[str, Answers] = {"predict": {}, "segments": {}, "stream": {}}
    for line in listing.read_text().splitlines()[1:]:
        file = line.strip('"')
        try:
            doors["predict"][file] = [recognizer.predict(file).to_dict()]
        except EmovoxError as error:
            doors["predict"][file] = [refused(error)]
        doors["segments"][file] = [one.to_dict() for one in recognizer.segments(file)]
        doors["stream"][file] = streamed(recognizer, load_audio(file))
    doors["archive"] = scored(listing, folder / "archive")
    (folder / "answers.json").write_text(json.dumps(doors))


def streamed(recognizer: Any, audio: Any) -> list[Answer]:
    """Feed a recording in blocks of uneven sizes."""
    stream = recognizer.stream()
    found, first = [], 0
    for size in itertools.cycle((160, 4_000, 1_234, 16_000, 7)):
        if first >= len(audio):
            break
        found += stream.feed(audio[first : first + size])
        first += size
    return [one.to_dict() for one in (*found, *stream.flush())]


def scored(listing: Path, out: Path) -> Answers:
    """Score the table as an archive with one worker."""
    import pyarrow.parquet as parquet

    command = [sys.executable, "-c", "from emovox.cli import main; main()", "score", str(listing)]
    options = ["--out", str(out), "--workers", "1", "--model", str(MODEL)]
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
    found: Answers = {}
    for part in sorted((out / "scores").glob("*.parquet")):
        for row in parquet.read_table(part).to_pylist():
            found.setdefault(row["file"], []).append(from_row(row))
    return found


def from_row(row: Mapping[str, Any]) -> Answer:
    """Return the answer in a row of an archive's table, in the form of `Prediction.to_dict`."""
    if row["label"] is None:
        return refused(row["error"])
    flat = {k.removeprefix("scores."): v for k, v in row.items() if k.startswith("scores.")}
    return {
        "label": row["label"],
        "scores": flat or row["scores"],
        "start": row["start"],
        "end": row["end"],
    }


def refused(error: object) -> Answer:
    """Return what stands for a recording without an answer."""
    return {"label": f"error: {type(error).__name__}", "scores": {"": 0.0}, "start": 0, "end": 0}


def main() -> None:
    """Compare this checkout with another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, nargs="?", help="the folder of another checkout")
    parser.add_argument("--recordings", type=int, default=500)
    parser.add_argument("--answer", type=Path, nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.answer:
        answer(*given.answer)
        return
    if given.other is None:
        parser.error("expected the folder of another checkout")
    files = recordings(given.recordings)
    with tempfile.TemporaryDirectory() as folder:
        before = answers_of(given.other.resolve(), files, Path(folder) / "before")
        after = answers_of(REPOSITORY, files, Path(folder) / "after")
    found = {door: compared(before[door], after[door]) for door in before}
    print(f"{'door':9} {'files':>6} {'counts':>7} {'labels':>7} {'scores':>7} {'largest':>9}")
    for door, d in found.items():
        counts = f"{d.n_recordings:6} {d.n_counts:7} {d.n_labels:7} {d.n_scores:7}"
        print(f"{door:9} {counts} {d.largest:9.2g}")
    sys.exit(0 if all(one.none for one in found.values()) else 1)


if __name__ == "__main__":
    main()
