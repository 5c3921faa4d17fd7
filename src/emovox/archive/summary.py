"""What came of a run: its summary, and the one CSV table for those who want one."""

import csv
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import ArchiveError
from ..files import spreadsheet_safe, written_whole
from .ledger import Ledger, read
from .rows import Tally

_NUMBER = re.compile(r"[+-]?\d[\d.,]*(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)  # no formula


@dataclass(frozen=True)
class Summary:
    """What came of a run.

    Parameters
    ----------
    recordings, rows : int
        Rows are recordings, or segments and the recordings without any.
    hours : float
        Of audio, as far as it could be read.
    failures : mapping of str to int
        Recordings that could not be judged, or not to their end, by kind.
    labels : mapping of str to float
        Share of each label among the answers.
    uncertain : float
        Share of answers that are not certain.
    baseline : str
        What was known of the speakers, in words.
    model : str
        Name and fingerprint.
    new_recordings : int
        Judged in this session: fewer than all where the run was resumed.
    seconds : float
        This session took, from the start of the workers on.
    recordings_per_second, times_real_time : float
        In this session.
    core_seconds : float
        Workers were at work, over all sessions.
    """

    recordings: int
    rows: int
    hours: float
    failures: Mapping[str, int]
    labels: Mapping[str, float]
    uncertain: float
    baseline: str
    model: str
    new_recordings: int
    seconds: float
    recordings_per_second: float
    times_real_time: float
    core_seconds: float

    def to_json(self) -> str:
        """Return the summary as JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


def summarise(total: Tally, new: Tally, seconds: float, baseline: str, model: str) -> Summary:
    """Sum up a run from the tallies of all parts, and of those done in this session."""
    answers = total.labels.total()
    by_count = sorted(total.labels.items(), key=lambda item: (-item[1], item[0]))
    return Summary(
        recordings=total.recordings,
        rows=total.rows,
        hours=round(total.seconds / 3600, 4),
        failures=dict(sorted(total.failures.items())),
        labels={label: round(count / answers, 4) for label, count in by_count},
        uncertain=round(total.uncertain / max(1, answers), 4),
        baseline=baseline,
        model=model,
        new_recordings=new.recordings,
        seconds=round(seconds, 2),
        recordings_per_second=round(new.recordings / seconds, 2),
        times_real_time=round(new.seconds / seconds, 1),
        core_seconds=round(total.compute_s, 2),
    )


def write_csv(ledger: Ledger, n_parts: int) -> Path:
    """Write all parts' rows into scores.csv, in the order of the source."""
    path = ledger.out / "scores.csv"
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        for part in range(n_parts):
            flat = _flat(read(ledger.scores(part)))
            if part == 0:
                writer.writerow(map(spreadsheet_safe, flat.column_names))
            cells = [_cells(name, flat[name]) for name in flat.column_names]
            writer.writerows(zip(*cells, strict=True))
    return path


def _flat(table: pa.Table) -> pa.Table:
    """Make a column of each label's score, named scores.LABEL."""
    index = table.column_names.index("scores")
    names, columns = table.column_names, list(table.columns)
    scores = pa.table({"scores": columns[index]}).flatten()
    return pa.table(
        [*columns[:index], *scores.columns, *columns[index + 1 :]],
        names=[*names[:index], *scores.column_names, *names[index + 1 :]],
    )


def _cells(name: str, column: pa.ChunkedArray) -> list[Any]:
    """Return a column's values as a CSV table holds them."""
    try:
        return [_cell(value) for value in column.to_pylist()]
    except (ValueError, OverflowError, pa.ArrowException):  # such as the year 10000
        with suppress(pa.ArrowException):
            return [_cell(value) for value in column.cast(pa.string()).to_pylist()]
    raise ArchiveError(
        f"the column {name} holds values that cannot be written as CSV; the scores are whole: "
        "go on with --resume, without --csv"
    )


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if _NUMBER.fullmatch(value) else spreadsheet_safe(value)
    return "" if value is None else value
