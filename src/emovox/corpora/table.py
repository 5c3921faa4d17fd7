"""Your own corpus as a table: a CSV file with a row for each recording."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from ..emotions import EMOTIONS
from ..errors import CorpusError, one_line
from .labelling import REQUIRED, Labelling
from .scan import (
    Progress,
    absolute,
    identical_recordings,
    name_files,
    named,
    read_digests,
    relative_name,
)
from .utterance import Corpus, Problem, Utterance

_AS_NAMED: Mapping[str, str] = MappingProxyType({})
SUBSETS = {
    "": "",
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
}
SEXES = {"f": "female", "female": "female", "m": "male", "male": "male"}

Row = tuple[int, dict[str, str]]  # line in the file, column -> cell


def load_table(
    name: str,
    path: Path,
    on_progress: Progress | None = None,
    labelling: Labelling = Labelling(),  # noqa: B008 (frozen)
) -> Corpus:
    """Load the recordings a CSV table names.

    Columns are `file` and `emotion`, and optionally `speaker`, `sentence`, `split` (or `subset`:
    train, val, test), `sex` (f, m, female, male; anything else counts as unknown), `language` and
    `age` (whole years; anything else counts as unknown); other columns are ignored. Files are
    relative to the table's folder.

    Parameters
    ----------
    name : str
        The name the corpus gets.
    path : Path
        A UTF-8 text file, comma-separated, with a header.
    on_progress : callable, optional
        Called with (files read, total files).
    labelling : Labelling
        Other names of the columns, and what the words in `emotion` stand for.

    Returns
    -------
    corpus : Corpus
        Utterances sorted by file; a recording listed twice is kept once.

    Raises
    ------
    CorpusError
        If the table is missing, malformed or empty, a column is missing, a label or a split's
        name is unknown, a file is missing, or a file has two different labels.
    """
    path = absolute(name, path)
    rows = read_csv(name, path, REQUIRED, labelling.columns)
    _check_cells(name, rows, labelling)
    files = [absolute(name, path.parent / row["file"]) for _, row in rows]
    _check_files(name, rows, files)
    by_file, copies = _unique_files(name, path.parent, rows, files)
    digests = read_digests(sorted(by_file), on_progress)
    utterances = [
        _utterance(name, file, by_file[file], digest, labelling) for file, digest in digests.items()
    ]
    problems = (*copies, *identical_recordings(utterances, path.parent))
    return Corpus(name, path.parent, tuple(utterances), problems)


def read_csv(
    name: str, path: Path, required: Sequence[str], columns: Mapping[str, str] = _AS_NAMED
) -> list[Row]:
    """Read a CSV table with a header into rows of stripped cells, columns in lower case.

    `columns` holds the table's own name for some columns, which then replaces any other column of
    theirs.

    Raises
    ------
    CorpusError
        If the file is missing, malformed or not UTF-8 text, a column is missing, or there is no
        row; the text begins with `name`.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines, strict=True)
            header = _renamed([cell.strip().lower() for cell in next(reader, [])], columns)
            rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except UnicodeDecodeError:
        raise CorpusError(f"{name}: expected UTF-8 text in {path}, got other bytes") from None
    except csv.Error as error:
        raise CorpusError(f"{name}: {path} is not a well-formed CSV table: {error}") from None
    except OSError as error:
        raise CorpusError(f"{name}: cannot read {path}: {error.strerror}") from None
    missing = [column for column in (*required, *columns) if column not in header]
    if missing:
        wanted = columns.get(missing[0], missing[0])
        raise CorpusError(
            f'{name}: expected a column "{wanted}" in {path}, '
            f"found {', '.join(header) or 'an empty file'}"
        )
    if len(set(header)) < len(header):
        raise CorpusError(f"{name}: two columns of {path} have the same name")
    rows = [(line, cells) for line, cells in rows if any(cells)]
    if not rows:
        raise CorpusError(f"{name}: {path} has a header but no rows")
    for line, cells in rows:
        if len(cells) != len(header):
            raise CorpusError(
                f"{name}: expected {len(header)} cells in line {line} of {path}, got {len(cells)}"
            )
    return [(line, dict(zip(header, cells, strict=True))) for line, cells in rows]


def _renamed(header: Sequence[str], columns: Mapping[str, str]) -> list[str]:
    """Call columns by our names; one of such a name that is not meant loses it."""
    ours = {theirs.strip().lower(): name for name, theirs in columns.items()}
    return [ours.get(cell) or (f"other {cell}" if cell in columns else cell) for cell in header]


def enclosed_table(
    root: Path, name: str, columns: Sequence[str], *, delimiter: str = ","
) -> Iterator[dict[str, str]]:
    """Yield columns of a table that comes with a corpus, "" for missing cells.

    A copy of the corpus may lack the table; then there are no rows.
    """
    for table in sorted(root.rglob(name))[:1]:
        with table.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            for row in csv.DictReader(lines, delimiter=delimiter):
                yield {column: (row.get(column) or "").strip() for column in columns}


def _check_cells(name: str, rows: Sequence[Row], labelling: Labelling) -> None:
    for line, row in rows:
        if not row["file"]:
            raise CorpusError(f"{name}: no file name in line {line}")
        if labelling.label(row["emotion"]) is None:
            raise CorpusError(_unknown(name, line, row["emotion"], labelling))
        if _split(row).lower() not in SUBSETS:
            raise CorpusError(
                f'{name}: unknown split "{_split(row)}" in line {line}; expected train, val or test'
            )


def _unknown(name: str, line: int, word: str, labelling: Labelling) -> str:
    shown = one_line(word)[:60]
    if labelling.own:
        return (
            f'{name}: "{shown}" in line {line} cannot be a label; expected at most 40 letters, '
            "digits and spaces"
        )
    return (
        f'{name}: unknown emotion "{shown}" in line {line}; expected one of '
        f"{', '.join(EMOTIONS)}; --map {shown or 'WORD'}=LABEL makes it one of these, and "
        "--labels any a label of your own"
    )


def _split(row: dict[str, str]) -> str:
    return row.get("split") or row.get("subset", "")


def _check_files(name: str, rows: Sequence[Row], files: Sequence[Path]) -> None:
    missing = [
        f"{row['file']} (line {line})"
        for (line, row), file in zip(rows, files, strict=True)
        if not file.is_file()
    ]
    if missing:
        raise CorpusError(
            f"{name}: {len(missing):,} of {len(rows):,} files do not exist below the table's "
            f"folder: {named(missing)}"
        )


def _unique_files(
    name: str, folder: Path, rows: Sequence[Row], files: Sequence[Path]
) -> tuple[dict[Path, dict[str, str]], list[Problem]]:
    """Keep one row of each file; two rows that disagree are an error."""
    kept: dict[Path, tuple[int, dict[str, str]]] = {}
    copies = []
    for (line, row), file in zip(rows, files, strict=True):
        first_line, first = kept.setdefault(file, (line, row))
        if first is row:
            continue
        if {**first, "file": ""} != {**row, "file": ""}:
            raise CorpusError(f"{name}: lines {first_line} and {line} disagree about {row['file']}")
        copies.append(relative_name(file, folder))
    problems = name_files("copy", "repeated row", "left out", copies)
    return {file: row for file, (_, row) in kept.items()}, list(problems)


def _utterance(
    name: str, file: Path, row: dict[str, str], digest: str, labelling: Labelling
) -> Utterance:
    emotion = labelling.label(row["emotion"])
    assert emotion is not None  # labels were checked before
    return Utterance(
        file=file,
        emotion=emotion,
        speaker=row.get("speaker", ""),
        sentence=row.get("sentence", ""),
        corpus=name,
        language=row.get("language", "").lower(),
        sex=SEXES.get(row.get("sex", "").lower(), ""),
        digest=digest,
        subset=SUBSETS[_split(row).lower()],
        age=years(row.get("age", "")),
    )


def years(cell: str) -> int | None:
    """Return an age of 0 to 120 whole years, None for any other text."""
    age = int(cell) if cell.isascii() and cell.isdecimal() and len(cell) < 4 else None
    return age if age is not None and age <= 120 else None
