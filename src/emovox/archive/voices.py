"""Baselines in an archive: every recording heard once, then judged with its speaker's baseline.

Hear: a part's recordings go through the network, and the embeddings of their windows are stored.
Learn: a speaker's baseline is learned from all recordings of that speaker, in the order of the
source. Judge: each recording is judged with this baseline, from the stored embeddings. A speaker's
recordings may lie in any parts; speakers are learned in groups, by a checksum of their names.
"""

import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..baseline import Baseline, Window
from ..prosody import Prosody
from ..recognizer import Recognizer
from ..stream import measured
from .heads import Head
from .job import Job
from .ledger import commit, read, tally_of
from .recordings import Failure
from .rows import PROSODY_TYPE, Answer, Tally
from .worker import (
    RecognisedRecording,
    commit_answers,
    each_recording,
    judge_recordings,
    open_model,
    recognise_segments,
)

N_GROUPS = 64  # of speakers, by a checksum of their names
_VOICES = pa.schema(
    [
        ("row", pa.int64()),
        ("speaker", pa.string()),  # "" if nobody is named
        ("group", pa.int64()),
        ("start", pa.float64()),  # of a segment, or of the whole recording
        ("end", pa.float64()),
        ("level_db", pa.float64()),
        ("level", pa.string()),
        ("prosody", PROSODY_TYPE),  # null where it was not asked for
        ("embeddings", pa.list_(pa.list_(pa.float32()))),  # of its windows; null in an error's row
        ("seconds", pa.list_(pa.float64())),  # of sound in each window
        ("duration", pa.float64()),
        ("kind", pa.string()),  # of the error
        ("error", pa.string()),
    ]
)
_BASELINES = pa.schema(
    [("name", pa.string()), ("seconds", pa.float64()), ("total", pa.list_(pa.float64()))]
)
_KEPT = ("start", "end", "level_db", "level")  # of a prediction, whatever the baseline
Row = dict[str, Any]


def hear_part(job: Job, part: int) -> Tally:
    """Hear a part's recordings, and commit the embeddings of their windows."""
    started = time.perf_counter()
    model, plan = open_model(job), read(job.ledger.plan(part))
    speakers = [_name(value) for value in plan[job.request.speaker_column].to_pylist()]
    rows: list[Row] = []
    for row, result in each_recording(job, part, plan, lambda _, file: _hear(job, model, file)):
        whose = {"row": row, "speaker": speakers[row], "group": group_of(speakers[row])}
        segments = [_failure_row(result, None)] if isinstance(result, Failure) else result
        rows += [whose | segment for segment in segments]
    rows.sort(key=lambda row: row["group"])
    tally = Tally(recordings=len(plan), compute_s=time.perf_counter() - started)
    voices = pa.Table.from_pylist(rows, _VOICES)
    commit(job.ledger.voices(part), voices, tally, private=True)
    return tally


def _name(value: object) -> str:
    """Return the speaker's name in a cell; "" for a cell that is empty, null or NaN."""
    return "" if value is None or value != value else str(value).strip()


def _hear(job: Job, model: Recognizer, file: Path) -> list[Row]:
    """Hear one recording; return a row for each segment, and one for its error if it breaks off."""
    if job.request.segments:
        recognised = recognise_segments(job, model, file, None, learn=False)
    else:
        speech = model.read(file, max_seconds=job.request.max_seconds)
        whole, windows = model.hear(speech.samples)
        prosody = measured(speech) if job.request.prosody else None
        whole = replace(whole, end=round(speech.seconds, 4), prosody=prosody)
        recognised = RecognisedRecording([(whole, windows)], whole.end)
    rows: list[Row] = [
        {
            **{name: getattr(segment, name) for name in _KEPT},
            "prosody": segment.prosody and segment.prosody.to_dict(),
            "embeddings": [window.embedding for window in windows],
            "seconds": [window.seconds for window in windows],
            "duration": recognised.seconds,
        }
        for segment, windows in recognised.segments
    ]
    return rows + (
        [_failure_row(recognised.failure, recognised.seconds)] if recognised.failure else []
    )


def _failure_row(failure: Failure, duration: float | None) -> Row:
    return {"duration": duration, "kind": failure.kind, "error": failure.reason}


def _heard(stored: pa.Table) -> Iterator[tuple[Row, list[Window]]]:
    """Yield stored segments in their order, each with its windows."""
    heard = stored.filter(pc.is_valid(stored["embeddings"])).sort_by(
        [("row", "ascending"), ("start", "ascending")]
    )
    rows = heard.drop_columns("embeddings").to_pylist()
    for row, embeddings in zip(rows, heard["embeddings"], strict=True):
        arrays = (embedding.values.to_numpy() for embedding in embeddings)
        yield row, list(map(Window, arrays, row["seconds"]))


@lru_cache(maxsize=1)
def _head(path: Path, model: Recognizer) -> Head | None:
    """Open the model's head, once in a process; None if it has none."""
    return Head(path.read_bytes(), model) if path.exists() else None


def learn_groups(job: Job, groups: Sequence[int], n_parts: int) -> int:
    """Learn the baselines of some groups of speakers from all parts, in order; count the groups."""
    model, ledger = open_model(job), job.ledger
    head = _head(ledger.head, model)
    learned: dict[str, Baseline] = {}
    for part in range(n_parts):
        stored = read(ledger.voices(part), filters=[("group", "in", list(groups))])
        for segment, windows in _heard(stored):
            if name := segment["speaker"]:
                before = learned.get(name) or model.new_baseline(name)
                learned[name] = before.after(head.hear(windows, before)[1] if head else windows)
    for group in groups:
        rows = [
            {"name": name, "seconds": baseline.seconds, "total": baseline.total}
            for name, baseline in sorted(learned.items())
            if group_of(name) == group
        ]
        table = pa.Table.from_pylist(rows, _BASELINES)
        commit(ledger.baselines(group), table, private=True)
    return len(groups)


def group_of(speaker: str) -> int:
    """Return the group that a speaker is learned in."""
    return zlib.crc32(speaker.encode()) % N_GROUPS


def judge_part(job: Job, part: int) -> Tally:
    """Judge a part's recordings with their speakers' baselines; commit the answers."""
    started = time.perf_counter()
    heard, plan = job.ledger.voices(part), read(job.ledger.plan(part))
    hearing = tally_of(heard) or Tally()
    model, stored = open_model(job), read(heard)
    baselines, head = _baselines(job, stored), _head(job.ledger.head, model)
    if head is None:
        whose = zip(*(stored[name].to_pylist() for name in ("row", "speaker")), strict=True)
        known = {row: baselines[speaker] for row, speaker in whose if speaker in baselines}
        answers = judge_recordings(job, part, plan, known)
    else:
        answers = _judge_stored(job, model.new_baseline(), head, stored, baselines)
    compute_s = hearing.compute_s + time.perf_counter() - started
    return commit_answers(job, part, plan, answers, compute_s)


def _baselines(job: Job, stored: pa.Table) -> dict[str, Baseline]:
    """Read the baselines of a part's speakers."""
    names = [name for name in stored["speaker"].unique().to_pylist() if name]
    baselines = {}
    for group in {group_of(name) for name in names}:
        for row in read(job.ledger.baselines(group), filters=[("name", "in", names)]).to_pylist():
            total = np.array(row["total"])
            baselines[row["name"]] = Baseline(job.fingerprint, total, row["seconds"], row["name"])
    return baselines


def _judge_stored(
    job: Job, new: Baseline, head: Head, stored: pa.Table, baselines: Mapping[str, Baseline]
) -> list[Answer]:
    """Judge a part from the stored windows; where nobody is named, as without --speaker-by."""
    answers = [
        Answer(row["row"], row["duration"], failure=Failure(row["kind"], row["error"]))
        for row in stored.filter(pc.is_valid(stored["error"])).to_pylist()
    ]
    alone = "recording" if job.request.segments else "none"
    running, last = new, -1
    for segment, windows in _heard(stored):
        if segment["row"] != last:
            running, last = new, segment["row"]
        known = baselines.get(segment["speaker"])
        prediction, heard = head.hear(windows, known or running)
        running = running.after(heard)
        prosody = segment["prosody"] and Prosody(**segment["prosody"])
        kept = {name: segment[name] for name in _KEPT}
        prediction = replace(prediction, **kept, prosody=prosody)
        kind = "speaker" if known else alone
        answers.append(Answer(segment["row"], segment["duration"], prediction, kind))
    return sorted(answers, key=lambda answer: (answer.row, answer.failure is not None))
