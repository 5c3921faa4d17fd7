"""The rows of the result: the answers to a recording, or its error; and their tally."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..tracks import PROSODY, PROSODY_COLUMNS
from .recordings import Failure
from .source import FILE, LISTED

if TYPE_CHECKING:
    from ..recognizer import Prediction


@dataclass(frozen=True)
class Tally:
    """Counts over some recordings; add the tallies of parts with `+`."""

    recordings: int = 0
    rows: int = 0  # a recording has one, or one for each segment of speech
    seconds: float = 0.0  # of audio, as far as it could be read
    compute_s: float = 0.0  # that workers were busy
    failures: Counter[str] = field(default_factory=Counter)  # by kind
    labels: Counter[str] = field(default_factory=Counter)  # answers by label
    uncertain: int = 0  # answers that are not certain

    def __add__(self, other: "Tally") -> "Tally":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Tally(*(left + right for left, right in pairs))

    @classmethod
    def of(cls, answers: "Sequence[Answer]", compute_s: float) -> "Tally":
        """Count a part's answers."""
        durations = {answer.row: answer.duration or 0.0 for answer in answers}
        predictions = [answer.prediction for answer in answers if answer.prediction]
        return cls(
            recordings=len(durations),
            rows=len(answers),
            seconds=sum(durations.values()),
            compute_s=compute_s,
            failures=Counter(answer.failure.kind for answer in answers if answer.failure),
            labels=Counter(prediction.label for prediction in predictions),
            uncertain=sum(not prediction.certain for prediction in predictions),
        )

    def to_json(self) -> str:
        """Return the tally as JSON."""
        return json.dumps(vars(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Tally":
        """Read a tally back.

        Raises
        ------
        ValueError, TypeError, AttributeError
            If it is damaged.
        """
        values = json.loads(text)
        failures, labels = Counter(values.pop("failures")), Counter(values.pop("labels"))
        return cls(**values, failures=failures, labels=labels)


@dataclass(frozen=True)
class Answer:
    """The answer to a recording, or to one of its segments."""

    row: int  # of the recording in its part
    duration: float | None  # of the recording in seconds; None: unknown
    prediction: "Prediction | None" = None
    baseline: str = "none"  # or speaker, or recording
    failure: Failure | None = None


PROSODY_TYPE = pa.struct([(name, pa.float64()) for name in PROSODY])


def schema(labels: Sequence[str], carried: pa.Schema, *, prosody: bool = False) -> pa.Schema:
    """Return the columns of the result; carried columns whose name is taken become source_NAME."""
    scores = pa.struct([(label, pa.float64()) for label in labels])
    columns = [
        ("file", pa.string()),
        ("label", pa.string()),
        ("score", pa.float64()),
        ("scores", scores),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("certain", pa.bool_()),
        ("level_db", pa.float64()),
        ("level", pa.string()),
        *([("prosody", PROSODY_TYPE)] if prosody else []),
        ("duration", pa.float64()),
        ("model", pa.string()),
        ("baseline", pa.string()),
        ("error", pa.string()),
    ]
    ours = {name for name, _ in columns} | {f"scores.{label}" for label in labels}
    ours |= set(PROSODY_COLUMNS) if prosody else set()
    reserved = ours | set(carried.names)
    fields = [pa.field(name, kind) for name, kind in columns]
    for column in carried:
        name, used = column.name, ours | {used.name for used in fields}
        while name in used or (name != column.name and name in reserved):
            name = f"source_{name}"
        fields.append(column.with_name(name))
    return pa.schema(fields)


def table(
    answers: Sequence[Answer],
    plan: pa.Table,
    labels: Sequence[str],
    model: str,
    *,
    prosody: bool = False,
) -> pa.Table:
    """Make the rows of a part from its answers, which are in the order of its recordings.

    `plan` holds the recordings as listed; `model` is the fingerprint of the model file.
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
        [p and p.level_db for p in predictions],
        [p and p.level for p in predictions],
        *([[p and p.prosody and p.prosody.to_dict() for p in predictions]] if prosody else []),
        [answer.duration for answer in answers],
        [model] * len(answers),
        [answer.baseline for answer in answers],
        [answer.failure and answer.failure.reason for answer in answers],
        *carried.columns,
    ]
    return pa.table(columns, schema=schema(labels, carried.schema, prosody=prosody))
