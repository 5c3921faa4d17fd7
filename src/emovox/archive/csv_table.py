"""The rows of a run as one CSV table."""

import csv
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import ArchiveError
from ..files import spreadsheet_safe, written_whole
from .ledger import Ledger, read

_OURS = ("scores", "prosody")  # columns of several values; carried ones stay as they are
_NUMBER = re.compile(r"[+-]?\d[\d.,]*(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)  # not a formula


def write_csv(ledger: Ledger, n_parts: int) -> Path:
    """Write the rows of all parts into scores.csv, in the order of the source."""
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
    """Make columns of the scores and the prosody, named scores.LABEL and prosody.NAME."""
    parts = [
        pa.table({name: column}).flatten()
        if pa.types.is_struct(column.type) and name in _OURS
        else pa.table({name: column})
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    columns = [column for part in parts for column in part.columns]
    return pa.table(columns, names=[name for part in parts for name in part.column_names])


def _cells(name: str, column: pa.ChunkedArray) -> list[Any]:
    """Return a column's values as a CSV table holds them."""
    try:
        return [_cell(value) for value in column.to_pylist()]
    except (ValueError, OverflowError, pa.ArrowException):  # such as the year 10000
        with suppress(pa.ArrowException):
            return [_cell(value) for value in column.cast(pa.string()).to_pylist()]
    raise ArchiveError(
        f"the column {name} holds values that cannot be written as CSV; the scores are complete; "
        "run again with --resume and without --with-csv"
    )


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if _NUMBER.fullmatch(value) else spreadsheet_safe(value)
    return "" if value is None else value
