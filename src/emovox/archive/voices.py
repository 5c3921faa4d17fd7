"""Baselines in an archive: every recording heard once, then judged with its speaker's baseline.

Hear: a part's recordings go through the network, and the embeddings of their windows are stored.
Learn: a speaker's baseline is what `Recognizer.learn` gives over all of that speaker's recordings,
in the order of the source. Judge: each recording is judged with the whole of it, from what is
stored. A speaker's recordings may lie in any parts; speakers are learned in groups, by their names.
"""

import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..audio import RATE, Samples
from ..baseline import Baseline
from ..bundle import open_bundle
from ..prediction import Prediction
from ..recognizer import Baselines, Recognizer
from .heads import Head
from .ledger import commit, read, tallies_of
from .rows import Answer
from .worker import (
    Heard,
    Job,
    answers_of,
    commit_answers,
    each_recording,
    judge_file,
    recogniser,
    segments_of,
)

N_GROUPS = 64  # of speakers, by a checksum of their names
_ROWS_READ = 64  # in a row group: what is read at least
_VOICES = pa.schema(
    [
        ("row", pa.int64()),
        ("speaker", pa.string()),  # "" where not told
        ("group", pa.int64()),
        ("piece", pa.int64()),  # a segment, or 0: the whole recording; null: what is wrong with it
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("seconds", pa.float64()),  # of sound in the window
        ("embedding", pa.list_(pa.float32())),
        ("duration", pa.float64()),
        ("error", pa.string()),
    ]
)
_BASELINES = pa.schema(
    [("speaker", pa.string()), ("seconds", pa.float64()), ("total", pa.list_(pa.float64()))]
)
Row = dict[str, Any]
Window = tuple[NDArray[np.float32], float]  # an embedding, and the seconds of sound it is of


class _Ear(Recognizer):
    """A recogniser that keeps the embeddings of what goes through it, a list a clip."""

    def __init__(self, model: str | None) -> None:
        super().__init__(open_bundle(model))
        self.heard: list[list[Window]] = []

    def infer(
        self, clips: Sequence[Samples], baselines: Baselines = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network on a clip's windows, and keep their embeddings and seconds."""
        logits, embeddings = super().infer(clips, baselines)
        seconds = [len(clip) / RATE for clip in clips]
        self.heard.append(list(zip(embeddings, seconds, strict=True)))
        return logits, embeddings


@lru_cache(maxsize=1)
def _ear(model: str | None) -> _Ear:
    return _Ear(model)


def hear_part(job: Job, part: int) -> dict[str, Any]:
    """Hear a part's recordings, and commit the embeddings of their windows."""
    started = time.perf_counter()
    recogniser(job)  # which refuses another model
    ear, ledger = _ear(job.model), job.ledger
    column = ledger.recordings(part, [str(job.speaker_column)])[0]
    speakers = [_name(value) for value in column.to_pylist()]
    rows: list[Row] = []
    for row, found, error in each_recording(job, part, lambda _, file: _hear(job, ear, file)):
        whose = {"row": row, "speaker": speakers[row], "group": group_of(speakers[row])}
        rows += [whose | one for one in found or [{"error": error}]]
    rows.sort(key=lambda row: row["group"])
    columns = {name: [row.get(name) for row in rows] for name in _VOICES.names}
    compute = {"recordings": len(speakers), "compute_s": time.perf_counter() - started}
    commit(ledger.voices(part), pa.table(columns, _VOICES), compute, _ROWS_READ, private=True)
    return compute


def _name(value: object) -> str:
    """Return a speaker's name from a cell; "" where it tells none, as null and NaN do."""
    return "" if value is None or value != value else str(value).strip()


def _hear(job: Job, ear: _Ear, file: Path) -> list[Row]:
    """Hear one recording; return a row for each window, and one for what is wrong with it."""
    ear.heard.clear()
    if job.segments:
        heard = segments_of(job, ear, file, None, learn=False)
    else:
        whole = ear.predict(file, max_seconds=job.max_seconds)
        heard = Heard([whole], whole.end, "")
    rows: list[Row] = [
        {
            "piece": index,
            "start": piece.start,
            "end": piece.end,
            "seconds": seconds,
            "embedding": embedding,
            "duration": heard.duration,
        }
        for index, (piece, windows) in enumerate(zip(heard.segments, ear.heard, strict=True))
        for embedding, seconds in windows
    ]
    broken = [{"duration": heard.duration, "error": heard.broken}] if heard.broken else []
    return rows + broken


@dataclass(frozen=True)
class _Piece:
    """A segment, or a whole recording, as it was stored."""

    row: int
    speaker: str
    start: float
    end: float
    duration: float
    windows: list[Window]


def _pieces(stored: pa.Table) -> list[_Piece]:
    """Read the pieces of some stored recordings, in their order."""
    whole = stored.filter(pc.is_valid(stored["piece"])).sort_by(
        [("row", "ascending"), ("piece", "ascending")]
    )
    if not len(whole):
        return []
    embeddings = whole["embedding"].combine_chunks().flatten().to_numpy().reshape(len(whole), -1)
    rows = whole.drop_columns("embedding").to_pylist()
    pieces: list[_Piece] = []
    last = None
    for row, embedding in zip(rows, embeddings, strict=True):
        if last != (row["row"], row["piece"]):
            about = {name: row[name] for name in ("row", "speaker", "start", "end", "duration")}
            pieces.append(_Piece(**about, windows=[]))
        pieces[-1].windows.append((embedding, row["seconds"]))
        last = (row["row"], row["piece"])
    return pieces


class _Mind:
    """What judges stored windows: the model's head where it can be cut off."""

    def __init__(self, job: Job) -> None:
        self.model = recogniser(job)
        self.head = _head(job.ledger.head) if job.ledger.head.exists() else None

    def learn(self, baseline: Baseline, windows: Sequence[Window]) -> Baseline:
        """Do with a clip's stored windows what `Recognizer.learn` does with its samples."""
        vector = self._vector(baseline)
        for embedding, seconds in windows:
            heard = self.head.infer(embedding, vector)[1] if self.head else embedding
            baseline = baseline.learned(heard, seconds)
        return baseline

    def judge(self, head: Head, baseline: Baseline, piece: _Piece) -> Prediction:
        """Do with a clip's stored windows what `Recognizer.predict_samples` does."""
        vector = self._vector(baseline)
        logits = np.stack([head.infer(embedding, vector)[0] for embedding, _ in piece.windows])
        return replace(self.model.decide(logits, 0.0), start=piece.start, end=piece.end)

    def _vector(self, baseline: Baseline) -> NDArray[np.float32]:
        return baseline.vector(self.model.card.baseline, self.model.card.baseline_seconds)


@lru_cache(maxsize=1)
def _head(path: Path) -> Head:
    return Head(path.read_bytes())


def learn_groups(job: Job, groups: Sequence[int], n_parts: int) -> dict[str, Any]:
    """Learn the baselines of some groups of speakers from all parts, in order; commit them."""
    started = time.perf_counter()
    mind, ledger = _Mind(job), job.ledger
    learned: dict[int, dict[str, Baseline]] = {group: {} for group in groups}
    for part in range(n_parts):
        stored = read(ledger.voices(part), filters=[("group", "in", list(groups))])
        for piece in _pieces(stored):
            if piece.speaker:
                known = learned[group_of(piece.speaker)]
                before = known.get(piece.speaker, mind.model.new_baseline(piece.speaker))
                known[piece.speaker] = mind.learn(before, piece.windows)
    for group, known in learned.items():
        learnt = [known[name] for name in sorted(known)]
        columns = [[getattr(one, name) for one in learnt] for name in ("name", "seconds", "total")]
        rows = pa.table(columns, schema=_BASELINES)
        commit(ledger.baselines(group), rows, {}, _ROWS_READ, private=True)
    return {"recordings": len(groups), "compute_s": time.perf_counter() - started}


def group_of(speaker: str) -> int:
    """Return the group that a speaker is learned in."""
    return zlib.crc32(speaker.encode()) % N_GROUPS


def judge_part(job: Job, part: int) -> dict[str, Any]:
    """Judge a part's recordings with their speakers' baselines; commit the answers."""
    started, heard = time.perf_counter(), job.ledger.voices(part)
    hearing_s = (tallies_of(heard) or {}).get("compute_s", 0.0)
    mind, stored = _Mind(job), read(heard)
    known = _baselines(job, stored)
    if mind.head is None:
        answers = _judge_again(job, mind.model, part, stored, known)
    else:
        answers = _judge_stored(job, mind, mind.head, stored, known)
    return commit_answers(job, part, answers, started - hearing_s)


def _baselines(job: Job, stored: pa.Table) -> dict[str, Baseline]:
    """Read the baselines of a part's speakers."""
    found = {}
    of_groups = stored.group_by("group").aggregate([("speaker", "distinct")])
    for one in of_groups.to_pylist():
        names = [name for name in one["speaker_distinct"] if name]
        path = job.ledger.baselines(one["group"])
        rows = read(path, filters=[("speaker", "in", names)]).to_pylist() if names else []
        for row in rows:
            name, total = row["speaker"], np.array(row["total"])
            found[name] = Baseline(job.fingerprint, total, row["seconds"], name)
    return found


def _judge_stored(
    job: Job, mind: _Mind, head: Head, stored: pa.Table, known: Mapping[str, Baseline]
) -> list[Answer]:
    """Judge a part from what is stored; a recording without a speaker, as without baselines."""
    answers = [
        Answer(row["row"], row["duration"], error=row["error"])
        for row in stored.filter(pc.is_valid(stored["error"])).to_pylist()
    ]
    running, at = mind.model.new_baseline(), -1
    for piece in _pieces(stored):
        baseline, kind = known.get(piece.speaker), "speaker"
        if baseline is None:
            running = running if job.segments and at == piece.row else mind.model.new_baseline()
            baseline, kind = running, "recording" if job.segments else "none"
            running = mind.learn(running, piece.windows) if job.segments else running
        at = piece.row
        prediction = mind.judge(head, baseline, piece)
        answers.append(Answer(piece.row, piece.duration, prediction, kind))
    return sorted(answers, key=lambda answer: (answer.row, answer.error))


def _judge_again(
    job: Job, model: Recognizer, part: int, stored: pa.Table, known: Mapping[str, Baseline]
) -> list[Answer]:
    """Judge a part's recordings from their audio, with a model that has no head to cut off."""
    speakers = dict(zip(*(stored[name].to_pylist() for name in ("row", "speaker")), strict=True))

    def judge(row: int, file: Path) -> list[Answer]:
        return judge_file(job, model, row, file, known.get(speakers[row]))

    return answers_of(each_recording(job, part, judge))
