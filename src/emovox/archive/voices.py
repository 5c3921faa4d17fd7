"""Baselines in an archive: every recording heard once, then judged with its speaker's baseline.

Hear: a part's recordings go through the network, and the embeddings of their windows are stored.
Learn: a speaker's baseline is learned from all recordings of that speaker, in the order of the
source. Judge: each recording is judged with this baseline, from the stored embeddings. A speaker's
recordings may lie in any parts; speakers are learned in groups, by a checksum of their names.
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

from ..audio import Samples
from ..baseline import Baseline, Window
from ..prediction import Prediction
from ..recognizer import Recognizer
from .heads import Head
from .job import Job
from .ledger import commit, read, tally_of
from .recordings import Failure
from .rows import Answer, Tally
from .worker import (
    Heard,
    answers_of,
    commit_answers,
    each_recording,
    hear_segments,
    judge_file,
    open_model,
)

N_GROUPS = 64  # of speakers, by a checksum of their names
_ROWS_READ = 64  # in a row group, the least that is read at a time
_VOICES = pa.schema(
    [
        ("row", pa.int64()),
        ("speaker", pa.string()),  # "" if nobody is named
        ("group", pa.int64()),
        ("segment", pa.int64()),  # or 0: the whole recording; null: a row with an error
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("seconds", pa.float64()),  # of sound in the window
        ("embedding", pa.list_(pa.float32())),
        ("duration", pa.float64()),
        ("kind", pa.string()),  # of the error
        ("error", pa.string()),
    ]
)
_BASELINES = pa.schema(
    [("name", pa.string()), ("seconds", pa.float64()), ("total", pa.list_(pa.float64()))]
)
Row = dict[str, Any]


class _Ear(Recognizer):
    """A recogniser that keeps the windows it has heard: a list for each clip."""

    def __init__(self, content: bytes, *, n_threads: int = 1) -> None:
        super().__init__(content, n_threads=n_threads)
        self.heard: list[list[Window]] = []

    def hear(
        self, clip: Samples, baseline: Baseline | None = None
    ) -> tuple[Prediction, list[Window]]:
        """Recognise a clip, and keep its windows."""
        prediction, windows = super().hear(clip, baseline)
        self.heard.append(windows)
        return prediction, windows


@lru_cache(maxsize=1)
def _ear(model: str | None) -> _Ear:
    return _Ear.load(model)


def hear_part(job: Job, part: int) -> Tally:
    """Hear a part's recordings, and commit the embeddings of their windows."""
    started = time.perf_counter()
    open_model(job)  # an error if it is another model
    ear, plan = _ear(job.request.model), read(job.ledger.plan(part))
    speakers = [_name(value) for value in plan[job.request.speaker_column].to_pylist()]
    rows: list[Row] = []
    heard = each_recording(job, part, plan, lambda _, file: _hear(job, ear, file))
    for row, result in heard:
        whose = {"row": row, "speaker": speakers[row], "group": group_of(speakers[row])}
        windows = [_failed(result, None)] if isinstance(result, Failure) else result
        rows += [whose | window for window in windows]
    rows.sort(key=lambda row: row["group"])
    columns = {name: [row.get(name) for row in rows] for name in _VOICES.names}
    tally = Tally(recordings=len(plan), compute_s=time.perf_counter() - started)
    commit(job.ledger.voices(part), pa.table(columns, _VOICES), tally, _ROWS_READ, private=True)
    return tally


def _name(value: object) -> str:
    """Return the speaker's name in a cell; "" for a cell that is empty, null or NaN."""
    return "" if value is None or value != value else str(value).strip()


def _hear(job: Job, ear: _Ear, file: Path) -> list[Row]:
    """Hear one recording; return a row for each window, and one for its error if it breaks off."""
    ear.heard.clear()
    if job.request.segments:
        heard = hear_segments(job, ear, file, None, learn=False)
    else:
        whole = ear.predict(file, max_seconds=job.request.max_seconds)
        heard = Heard([whole], whole.end)
    rows: list[Row] = [
        {
            "segment": index,
            "start": segment.start,
            "end": segment.end,
            "seconds": seconds,
            "embedding": embedding,
            "duration": heard.seconds,
        }
        for index, (segment, windows) in enumerate(zip(heard.segments, ear.heard, strict=True))
        for embedding, seconds in windows
    ]
    return rows + ([_failed(heard.failure, heard.seconds)] if heard.failure else [])


def _failed(failure: Failure, duration: float | None) -> Row:
    return {"duration": duration, "kind": failure.kind, "error": failure.reason}


@dataclass(frozen=True)
class _Segment:
    """A segment, or a whole recording, as it was stored."""

    row: int
    speaker: str
    start: float
    end: float
    duration: float
    windows: list[Window]


def _segments(stored: pa.Table) -> list[_Segment]:
    """Read the segments of some stored recordings, in their order."""
    heard = stored.filter(pc.is_valid(stored["segment"])).sort_by(
        [("row", "ascending"), ("segment", "ascending")]
    )
    if not len(heard):
        return []
    embeddings = heard["embedding"].combine_chunks().flatten().to_numpy().reshape(len(heard), -1)
    rows = heard.drop_columns("embedding").to_pylist()
    segments: list[_Segment] = []
    last = None
    for row, embedding in zip(rows, embeddings, strict=True):
        if last != (row["row"], row["segment"]):
            about = {name: row[name] for name in ("row", "speaker", "start", "end", "duration")}
            segments.append(_Segment(**about, windows=[]))
        segments[-1].windows.append(Window(embedding, row["seconds"]))
        last = (row["row"], row["segment"])
    return segments


class _Judge:
    """Learns and judges stored windows, with the model's head if it has one."""

    def __init__(self, job: Job) -> None:
        self.model = open_model(job)
        self.head = _head(job.ledger.head) if job.ledger.head.exists() else None

    def learn(self, baseline: Baseline, windows: Sequence[Window]) -> Baseline:
        """Return the baseline that has also heard a segment."""
        vector = self._vector(baseline)
        for embedding, seconds in windows:
            heard = self.head.infer(embedding, vector)[1] if self.head else embedding
            baseline = baseline.learned(heard, seconds)
        return baseline

    def judge(self, head: Head, baseline: Baseline, segment: _Segment) -> Prediction:
        """Return the prediction of a segment with a baseline."""
        vector = self._vector(baseline)
        logits = np.stack([head.infer(embedding, vector)[0] for embedding, _ in segment.windows])
        return replace(self.model.decide(logits, 0.0), start=segment.start, end=segment.end)

    def _vector(self, baseline: Baseline) -> NDArray[np.float32]:
        return baseline.vector(self.model.card.baseline, self.model.card.baseline_seconds)


@lru_cache(maxsize=1)
def _head(path: Path) -> Head:
    return Head(path.read_bytes())


def learn_groups(job: Job, groups: Sequence[int], n_parts: int) -> int:
    """Learn the baselines of some groups of speakers from all parts, in order; count the groups."""
    judge, ledger = _Judge(job), job.ledger
    learned: dict[int, dict[str, Baseline]] = {group: {} for group in groups}
    for part in range(n_parts):
        stored = read(ledger.voices(part), filters=[("group", "in", list(groups))])
        for segment in _segments(stored):
            if name := segment.speaker:
                of_group = learned[group_of(name)]
                before = of_group.get(name, judge.model.new_baseline(name))
                of_group[name] = judge.learn(before, segment.windows)
    for group, of_group in learned.items():
        baselines = [of_group[name] for name in sorted(of_group)]
        columns = [[getattr(baseline, name) for baseline in baselines] for name in _BASELINES.names]
        commit(
            ledger.baselines(group), pa.table(columns, _BASELINES), None, _ROWS_READ, private=True
        )
    return len(groups)


def group_of(speaker: str) -> int:
    """Return the group that a speaker is learned in."""
    return zlib.crc32(speaker.encode()) % N_GROUPS


def judge_part(job: Job, part: int) -> Tally:
    """Judge a part's recordings with their speakers' baselines; commit the answers."""
    started = time.perf_counter()
    heard, plan = job.ledger.voices(part), read(job.ledger.plan(part))
    hearing = tally_of(heard) or Tally()
    judge, stored = _Judge(job), read(heard)
    baselines = _baselines(job, stored)
    if judge.head is None:
        answers = _judge_again(job, judge.model, part, plan, stored, baselines)
    else:
        answers = _judge_stored(job, judge, judge.head, stored, baselines)
    compute_s = hearing.compute_s + time.perf_counter() - started
    return commit_answers(job, part, plan, answers, compute_s)


def _baselines(job: Job, stored: pa.Table) -> dict[str, Baseline]:
    """Read the baselines of a part's speakers."""
    baselines = {}
    speakers = stored.group_by("group").aggregate([("speaker", "distinct")])
    for group in speakers.to_pylist():
        names = [name for name in group["speaker_distinct"] if name]
        path = job.ledger.baselines(group["group"])
        rows = read(path, filters=[("name", "in", names)]).to_pylist() if names else []
        for row in rows:
            total = np.array(row["total"])
            baselines[row["name"]] = Baseline(job.fingerprint, total, row["seconds"], row["name"])
    return baselines


def _judge_stored(
    job: Job, judge: _Judge, head: Head, stored: pa.Table, baselines: Mapping[str, Baseline]
) -> list[Answer]:
    """Judge a part from the stored windows; where nobody is named, as without --speaker-by."""
    answers = [
        Answer(row["row"], row["duration"], failure=Failure(row["kind"], row["error"]))
        for row in stored.filter(pc.is_valid(stored["error"])).to_pylist()
    ]
    alone = "recording" if job.request.segments else "none"
    running, last = judge.model.new_baseline(), -1
    for segment in _segments(stored):
        baseline, kind = baselines.get(segment.speaker), "speaker"
        if baseline is None:
            if segment.row != last:
                running = judge.model.new_baseline()
            baseline, kind = running, alone
            running = judge.learn(running, segment.windows)
        last = segment.row
        prediction = judge.judge(head, baseline, segment)
        answers.append(Answer(segment.row, segment.duration, prediction, kind))
    return sorted(answers, key=lambda answer: (answer.row, answer.failure is not None))


def _judge_again(
    job: Job,
    model: Recognizer,
    part: int,
    plan: pa.Table,
    stored: pa.Table,
    baselines: Mapping[str, Baseline],
) -> list[Answer]:
    """Judge a part's recordings from their audio, with a model that has no head to cut off."""
    speakers = dict(zip(*(stored[name].to_pylist() for name in ("row", "speaker")), strict=True))

    def judge(row: int, file: Path) -> list[Answer]:
        return judge_file(job, model, row, file, baselines.get(speakers[row]))

    return answers_of(each_recording(job, part, plan, judge))
