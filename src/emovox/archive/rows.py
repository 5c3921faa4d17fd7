"""The rows of the result: a recording's answers, or why there are none, and what they add up to."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from .source import FILE, LISTED

if TYPE_CHECKING:
    from ..recognizer import Prediction

# Words of an error's text, and the kind of failure that they tell; the first that fits counts.
KINDS = (
    ("no such file", "missing"),
    ("no permission", "no permission"),
    ("got a folder", "not a file"),
    ("a pipe or device", "not a file"),
    ("empty (0 bytes)", "empty"),
    ("zero samples", "empty"),
    ("cut off", "cut off"),
    ("not a readable audio file", "not audio"),
    ("expected at most", "too long"),
    ("no sound", "no speech"),
    ("no speech", "no speech"),
    ("time limit", "time limit"),
    ("the worker died", "worker died"),
    ("cannot fetch", "not fetched"),
)


NOTHING: Mapping[str, Any] = MappingProxyType(
    {
        "recordings": 0,
        "rows": 0,
        "seconds": 0.0,
        "compute_s": 0.0,
        "failures": {},
        "labels": {},
        "uncertain": 0,
    }
)  # the tallies of no recordings


@dataclass(frozen=True)
class Answer:
    """What came of a recording, or of one of its segments.

    `row` counts the recordings of a part; `duration` is the recording's, in seconds, None where it
    is not known; `baseline` says what was known of the speaker.
    """

    row: int
    duration: float | None
    prediction: "Prediction | None" = None
    baseline: str = "none"
    error: str = ""


def schema(labels: Sequence[str], carried: pa.Schema) -> pa.Schema:
    """Return the columns of the result; a carried one whose name is taken becomes source_NAME."""
    scores = pa.struct([(label, pa.float64()) for label in labels])
    own = [
        ("file", pa.string()),
        ("label", pa.string()),
        ("score", pa.float64()),
        ("scores", scores),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("certain", pa.bool_()),
        ("duration", pa.float64()),
        ("model", pa.string()),
        ("baseline", pa.string()),
        ("error", pa.string()),
    ]
    ours = {name for name, _ in own} | {f"scores.{label}" for label in labels}
    taken = ours | set(carried.names)
    fields = [pa.field(name, kind) for name, kind in own]
    for field in carried:
        name = field.name
        while name in ours | {one.name for one in fields} or (name != field.name and name in taken):
            name = f"source_{name}"
        fields.append(field.with_name(name))
    return pa.schema(fields)


def table(answers: Sequence[Answer], plan: pa.Table, labels: Sequence[str], model: str) -> pa.Table:
    """Make the rows of a part, in the order of its recordings.

    Parameters
    ----------
    answers : sequence of Answer
        At least one of each recording of the part, in their order.
    plan : pyarrow.Table
        The part's recordings, as they are listed.
    labels : sequence of str
    model : str
        Fingerprint of the model file.
    """
    listed = plan.take([answer.row for answer in answers])
    predictions = [answer.prediction for answer in answers]
    carried = listed.drop_columns(LISTED.names)
    columns: list[Any] = [
        listed[FILE],
        [p and p.label for p in predictions],
        [p and p.score for p in predictions],
        [p and dict(p.scores) for p in predictions],
        [p and p.start for p in predictions],
        [p and p.end for p in predictions],
        [p and p.certain for p in predictions],
        [answer.duration for answer in answers],
        [model] * len(answers),
        [answer.baseline for answer in answers],
        [answer.error or None for answer in answers],
        *carried.columns,
    ]
    return pa.table(columns, schema=schema(labels, carried.schema))


def tally(answers: Sequence[Answer], compute_s: float) -> dict[str, Any]:
    """Add up a part's answers: counts, seconds of audio and of work, failures and labels."""
    durations = {answer.row: answer.duration or 0.0 for answer in answers}
    return {
        "recordings": len(durations),
        "rows": len(answers),
        "seconds": sum(durations.values()),
        "compute_s": compute_s,
        "failures": dict(Counter(kind_of(answer.error) for answer in answers if answer.error)),
        "labels": dict(Counter(a.prediction.label for a in answers if a.prediction)),
        "uncertain": sum(1 for a in answers if a.prediction and not a.prediction.certain),
    }


def add(total: Mapping[str, Any], one: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add the tallies of two parts; what one does not count stays."""
    sums = dict(total)
    for name, value in one.items():
        if isinstance(value, Mapping):
            sums[name] = dict(Counter(total[name]) + Counter(value))
        else:
            sums[name] = total[name] + value
    return sums


def kind_of(error: str) -> str:
    """Return the kind of a failure by its text."""
    return next((kind for words, kind in KINDS if words in error), "other")
