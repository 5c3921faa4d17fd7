"""The plan of a run: recordings cut into parts of about the same work, as they are listed."""

import json
from collections.abc import Iterator

import pyarrow as pa

from ..files import write_text
from .ledger import Ledger, commit, read
from .source import BYTES, PATH, Source

_MOST_BYTES = 256 << 20  # of the recordings in a part
_UNKNOWN_BYTES = 1 << 20  # the size assumed if it is unknown


def plan(source: Source, ledger: Ledger, most: int, most_bytes: int = _MOST_BYTES) -> Iterator[int]:
    """Yield how many recordings each part holds, `most` or less: those planned before, then new.

    A part is written down before it is yielded, and never changes: a resumed run does what was
    planned, and continues the listing from there, even if files have come or gone since. From
    the first part whose plan is lost or damaged, parts are planned, and done, again.
    """
    n_parts, n_known, last = ledger.n_planned(), 0, b""
    for part in range(n_parts):
        n_rows = ledger.n_recordings(part)
        if n_rows is None:
            ledger.forget(range(part, n_parts))
            n_parts = part
            break
        n_known += n_rows
        yield n_rows
    if ledger.all_listed():
        return
    if n_parts:
        last = read(ledger.plan(n_parts - 1))[PATH][-1].as_py()
    for part, table in enumerate(_cut(source.listed(n_known, last), most, most_bytes), n_parts):
        commit(ledger.plan(part), table)
        n_known += len(table)
        yield len(table)
        n_parts = part + 1
    write_text(ledger.end, json.dumps({"parts": n_parts, "recordings": n_known}) + "\n")


def _cut(listed: Iterator[pa.Table], most: int, most_bytes: int) -> Iterator[pa.Table]:
    """Cut listed recordings into parts, none of them empty."""
    waiting: list[pa.Table] = []
    n_recordings = n_bytes = 0
    for table in listed:
        first = 0
        for index, size_of_file in enumerate(table[BYTES].to_pylist()):
            n_recordings += 1
            n_bytes += _UNKNOWN_BYTES if size_of_file is None else size_of_file
            if n_recordings == most or n_bytes >= most_bytes:
                waiting.append(table.slice(first, index + 1 - first))
                yield pa.concat_tables(waiting)
                waiting, first, n_recordings, n_bytes = [], index + 1, 0, 0
        if first < len(table):
            waiting.append(table.slice(first))
    if waiting:
        yield pa.concat_tables(waiting)
