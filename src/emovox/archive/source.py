"""The recordings to score, listed lazily: audio files below a folder, or rows of a table."""

import csv
import hashlib
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..audio import readable_suffixes
from ..errors import ArchiveError

# A recording as it is listed: its name in the result; its path or URL as bytes, since a path need
# not be text; its size, null if unknown. A table's own columns follow.
FILE, PATH, BYTES = "emovox:file", "emovox:path", "emovox:bytes"
LISTED = pa.schema([(FILE, pa.string()), (PATH, pa.binary()), (BYTES, pa.int64())])
_ROWS = 1_000  # listed at a time


def open_source(path: Path, column: str = "file") -> "Source":
    """Open a folder, or a table that ends in .csv or .parquet, whose `column` names recordings.

    Raises
    ------
    ArchiveError
        If it is neither, cannot be read, or the table lacks the column, or a folder is
        asked for one.
    """
    if path.is_dir():
        if column != "file":
            raise ArchiveError(f"{path}: expected a table with a column {column!r}, got a folder")
        return Folder(path.resolve())
    if not path.exists():
        raise ArchiveError(f"{path}: no such folder or table")
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise ArchiveError(f"{path}: expected a folder, or a table that ends in .csv or .parquet")
    try:
        kind = CsvTable if path.suffix.lower() == ".csv" else ParquetTable
        return kind(path.resolve(), column)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> ArchiveError:
    reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
    return ArchiveError(f"{path}: cannot read the table: {reason}")


@dataclass(frozen=True)
class Folder:
    """All audio files below a folder, by suffix; hidden ones are left out.

    A folder, a pipe or a broken link with the name of an audio file is listed as well, so that its
    row tells you why it cannot be used.
    """

    root: Path
    schema = LISTED  # no columns are carried through

    @cached_property
    def _suffixes(self) -> frozenset[bytes]:
        return frozenset(suffix.encode() for suffix in readable_suffixes())

    @property
    def identity(self) -> Mapping[str, Any]:
        """The folder's path alone: its content may change while it is scored."""
        return {"source": str(self.root)}

    def listed(self, n_known: int, last: bytes) -> Iterator[pa.Table]:
        """Yield recordings in the order of their paths' parts, after a number of known ones.

        `last` is the path of the last that is known.
        """
        entries = self._walk(os.fsencode(self.root))
        if n_known:
            known = self._order(last)
            entries = itertools.dropwhile(lambda entry: self._order(entry.path) <= known, entries)
        while chosen := list(itertools.islice(entries, _ROWS)):
            names = [
                _shown(os.path.relpath(entry.path, os.fsencode(self.root))) for entry in chosen
            ]
            sizes = [_size(entry.path) for entry in chosen]
            columns = [names, [entry.path for entry in chosen], sizes]
            yield pa.table(dict(zip(LISTED.names, columns, strict=True)), LISTED)

    def _walk(self, folder: bytes) -> Iterator["os.DirEntry[bytes]"]:
        try:
            with os.scandir(folder) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            if folder == os.fsencode(self.root):
                raise ArchiveError(f"{self.root}: cannot list it: {error.strerror}") from None
            return  # unlistable, or gone by now: a folder is no recording
        for entry in entries:
            if entry.name.startswith((b".", b"__MACOSX")):
                continue
            if os.path.splitext(entry.name)[1].lower() in self._suffixes:  # noqa: PTH122 (bytes)
                yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(entry.path)

    def _order(self, path: bytes) -> list[bytes]:
        return os.path.relpath(path, os.fsencode(self.root)).split(os.fsencode(os.sep))


class _Table:
    """A table with a column that names recordings; all other columns are carried through."""

    def __init__(self, path: Path, columns: pa.Schema, column: str) -> None:
        self.path = path
        files = [name for name in columns.names if name.strip().lower() == column.strip().lower()]
        if len(files) != 1:
            got = ", ".join(columns.names) or "none"
            raise ArchiveError(
                f'{path}: expected one column "{column}", got the columns {got}; --columns '
                "file=NAME says which names the recordings"
            )
        if len(set(columns.names)) < len(columns.names):
            raise ArchiveError(f"{path}: two columns have the same name")
        if taken := set(columns.names).intersection(LISTED.names):
            raise ArchiveError(
                f"{path}: the column {min(taken)} has a name that emovox reserves; rename it"
            )
        self.column = files[0]
        self.columns = columns
        self.schema = pa.schema(
            [*LISTED, *(field for field in columns if field.name != self.column)]
        )
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.identity = {"source": str(path), "sha256": digest}
        if column != "file":
            self.identity["column"] = self.column

    def listed(self, n_known: int, last: bytes) -> Iterator[pa.Table]:
        """Yield recordings in the order of the rows."""
        for rows in self._rows():
            if n_known >= len(rows):
                n_known -= len(rows)
                continue
            yield self._listed(rows.slice(n_known))
            n_known = 0

    def _rows(self) -> Iterator[pa.Table]:
        raise NotImplementedError

    def _listed(self, rows: pa.Table) -> pa.Table:
        files = ["" if name is None else str(name) for name in rows[self.column].to_pylist()]
        paths = [self._path(name) for name in files]
        sizes = [None if is_url(path) else _size(path) for path in paths]
        carried = [rows[field.name] for field in list(self.schema)[len(LISTED) :]]
        return pa.table([files, paths, sizes, *carried], schema=self.schema)

    def _path(self, name: str) -> bytes:
        if is_url(name.encode()) or not name:
            return name.encode()
        return os.fsencode(self.path.parent / name)


class CsvTable(_Table):
    """A CSV table with a header; every column is text."""

    def __init__(self, path: Path, column: str) -> None:
        with path.open(encoding="utf-8-sig", newline="", errors="replace") as lines:
            header = next(csv.reader(lines), [])
        super().__init__(path, pa.schema([(name.strip(), pa.string()) for name in header]), column)

    def _rows(self) -> Iterator[pa.Table]:
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as lines:
                reader = csv.reader(lines, strict=True)
                next(reader, None)
                rows = (self._cells(reader.line_num, cells) for cells in reader if any(cells))
                while chosen := list(itertools.islice(rows, _ROWS)):
                    yield pa.table(list(map(list, zip(*chosen, strict=True))), schema=self.columns)
        except UnicodeDecodeError:
            raise ArchiveError(f"{self.path}: expected UTF-8 text, got other bytes") from None
        except csv.Error as error:
            raise ArchiveError(f"{self.path}: not a well-formed CSV table: {error}") from None

    def _cells(self, line: int, cells: Sequence[str]) -> list[str]:
        if len(cells) != len(self.columns):
            raise ArchiveError(
                f"{self.path}: expected {len(self.columns)} cells in line {line}, got {len(cells)}"
            )
        return [cell.strip() for cell in cells]


class ParquetTable(_Table):
    """A Parquet table; columns keep their types."""

    def __init__(self, path: Path, column: str) -> None:
        super().__init__(path, pq.read_schema(path).remove_metadata(), column)

    def _rows(self) -> Iterator[pa.Table]:
        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(batch_size=_ROWS):
                    batch.validate(full=True)  # among other things, that its text is UTF-8
                    yield pa.Table.from_batches([batch])
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(self.path, error) from None


Source = Folder | CsvTable | ParquetTable  # in `schema`, what to carry through follows LISTED


def is_url(path: bytes) -> bool:
    """Tell an fsspec URL, such as s3://bucket/call.wav, from a local path."""
    return b"://" in path


def _size(path: bytes) -> int | None:
    try:
        return os.stat(path).st_size  # noqa: PTH116 (bytes)
    except (OSError, ValueError):  # gone, forbidden, an impossible name: opening it will tell
        return None


def _shown(path: bytes) -> str:
    r"""Return a path as text; bytes that are not UTF-8 are shown as ``\xff``."""
    return path.decode("utf-8", errors="backslashreplace").replace(os.sep, "/")
