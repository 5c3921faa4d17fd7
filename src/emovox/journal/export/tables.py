"""Sessions, segments, check-ins and practice as tables: CSV and Parquet."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from ...errors import optional
from ...files import written_whole
from ...tracks import csv_table, score_columns
from ..records import Segment, Session
from ..rows import PROSODY
from ..store import Journal

Cells = list[Any]
_SESSION = {
    "session": int, "began": str, "source": str, "device": str, "seconds": float,
    "speech_s": float, "snr_db": float, "band_hz": float, "model": str, "version": str,
    "note": str, "tags": str, "whole": bool,
}  # fmt: skip
_SEGMENT = {
    "session": int, "segment": int, "start": float, "end": float,
    **dict.fromkeys(PROSODY, float), "label": str, "score": float, "certain": bool,
}  # fmt: skip
_CHECKIN = {
    "check_in": int, "at": str, "kind": str, "valence": float, "labels": str, "note": str,
}  # fmt: skip
_PRACTICE = {
    "practice": int, "at": str, "target": str, "inferred": bool, "takes": int, "not_counted": int,
    "best": str,
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A table: its columns with their types, and what yields its rows."""

    columns: Mapping[str, type]
    rows: Callable[[], Iterator[Cells]]


def tables_of(journal: Journal) -> dict[str, Table]:
    """Return the tables of a journal by name; an empty cell is None."""
    sessions = journal.sessions()
    labels = list(dict.fromkeys(label for session in sessions for label in session.labels))
    scores = dict.fromkeys(score_columns(labels), float)

    def segment_rows() -> Iterator[Cells]:
        for session in sessions:
            for n, segment in enumerate(journal.segments(session.id)):
                yield _segment_cells(session, n, segment, labels)

    def check_in_rows() -> Iterator[Cells]:
        for one in journal.check_ins():
            yield [
                one.id,
                one.at.isoformat(),
                one.kind,
                one.valence,
                "|".join(one.labels),
                one.note,
            ]

    def practice_rows() -> Iterator[Cells]:
        for one in journal.practised():
            best = "|".join(f"{close:g}" for close in one.best)
            counts = (one.n_takes, one.n_untold, best)
            yield [one.id, one.at.isoformat(), one.target, one.is_inferred, *counts]

    return {
        "sessions": Table(_SESSION, lambda: map(_session_cells, sessions)),
        "segments": Table({**_SEGMENT, **scores}, segment_rows),
        "check_ins": Table(_CHECKIN, check_in_rows),
        "practice": Table(_PRACTICE, practice_rows),
    }


def _session_cells(session: Session) -> Cells:
    return [
        session.id,
        session.began.isoformat(),
        session.source,
        session.device,
        *astuple(session.conditions),
        session.model,
        session.version,
        session.note,
        "|".join(session.tags),
        session.is_whole,
    ]


def _segment_cells(session: Session, n: int, segment: Segment, labels: list[str]) -> Cells:
    inferred = segment.inferred
    scores = dict(zip(session.labels, inferred.scores, strict=True)) if inferred else {}
    return [
        session.id,
        n,
        segment.start,
        segment.end,
        *(getattr(segment.prosody, name) for name in PROSODY),
        *((inferred.label, inferred.score, inferred.certain) if inferred else (None, None, None)),
        *(scores.get(label) for label in labels),
    ]


def write_csv(journal: Journal, folder: Path) -> None:
    """Write the tables as CSV; an empty cell is what was not measured or inferred."""
    for name, table in tables_of(journal).items():
        rows = ([_text(cell) for cell in row] for row in table.rows())
        with written_whole(folder / f"{name}.csv", private=True) as path:
            path.write_text(csv_table(list(table.columns), rows), encoding="utf-8", newline="")


def _text(cell: object) -> object:
    return str(cell).lower() if isinstance(cell, bool) else cell


def write_parquet(journal: Journal, folder: Path) -> None:
    """Write the tables as Parquet.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    """
    with optional():
        import pyarrow as pa
        from pyarrow import parquet

    types = {int: pa.int64(), float: pa.float64(), str: pa.string(), bool: pa.bool_()}
    for name, table in tables_of(journal).items():
        columns: list[Cells] = [list(column) for column in zip(*table.rows(), strict=True)]
        columns = columns or [[] for _ in table.columns]
        schema = pa.schema([(column, types[kind]) for column, kind in table.columns.items()])
        with written_whole(folder / f"{name}.parquet", private=True) as path:
            parquet.write_table(pa.table(columns, schema=schema), path)
