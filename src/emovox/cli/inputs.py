"""The recordings a command is given: files, folders, tables that name files, and their speakers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import typer

from ..errors import AudioError, EmovoxError
from .console import counted, warn

_FOLDER = "folder"  # the word for: a file's folder is its speaker


class Channels(StrEnum):
    """What is done with the channels of a recording."""

    MIX = "mix"
    SEPARATE = "separate"


@dataclass(frozen=True)
class Recording:
    """A file to be recognised, and its speaker ("" if unknown)."""

    file: Path
    speaker: str = ""


def expand(
    paths: Sequence[Path], speaker_by: str | None = None
) -> tuple[list[Recording], list[str]]:
    """Replace folders by the audio files below them, and tables (.csv) by the files they name.

    By "folder" a file's folder is its speaker; else `speaker_by` is the tables' column that tells.

    Returns
    -------
    recordings : list of Recording
        In the order given; one that was given twice is there twice.
    errors : list of str
        A line for each folder without audio files.

    Raises
    ------
    CorpusError
        If a table cannot be read, or lacks a column or a file's name.
    typer.BadParameter
        If a column is asked for, and one of the paths is no table.
    """
    from ..audio import no_audio

    recordings: list[Recording] = []
    empty = []
    for path in paths:
        is_table = path.suffix.lower() == ".csv"
        if not is_table and speaker_by not in (None, _FOLDER):
            raise typer.BadParameter(
                f"expected tables (.csv) with a column {speaker_by!r}, got {path}; "
                f"--speaker-by {_FOLDER} takes any recordings"
            )
        inside = _rows(path, speaker_by) if is_table else _files(path, speaker_by)
        recordings += inside
        if not inside:
            empty.append(no_audio(path))
    return recordings, empty


def _files(path: Path, speaker_by: str | None) -> list[Recording]:
    from ..audio import readable_files

    try:
        files = readable_files(path) if path.is_dir() else [path]
    except OSError:  # reading it will tell what is wrong with it
        files = [path]
    return [Recording(file, _folder(file) if speaker_by else "") for file in files]


def _rows(path: Path, speaker_by: str | None) -> list[Recording]:
    from ..corpora.table import read_csv
    from ..errors import CorpusError

    column = None if speaker_by in (None, _FOLDER) else str(speaker_by).strip().lower()
    recordings = []
    for line, row in read_csv("table", path, ("file",) if column is None else ("file", column)):
        if not row["file"]:
            raise CorpusError(f"table: no file name in line {line} of {path}")
        file = path.parent / row["file"]
        named = row[column] if column is not None else ""
        recordings.append(Recording(file, _folder(file) if speaker_by == _FOLDER else named))
    return recordings


def _folder(file: Path) -> str:
    return str(file.parent.resolve())


@contextmanager
def collect_errors(file: Path, errors: list[str]) -> Iterator[None]:
    """Turn an error about one recording into a line of `errors`, so that the others go on."""
    from ..sound import naming

    try:
        with naming(str(file)):
            yield
    except AudioError as error:
        errors.append(str(error))
    except EmovoxError as error:
        errors.append(f"{file}: {error}")
    except MemoryError:
        errors.append(f"{file}: does not fit into memory")
    except OSError as error:
        errors.append(f"{file}: cannot be read: {error.strerror or error}")


class Interruptible:
    """A block that Ctrl-C ends: what it found until then is kept, and `interrupted` is true."""

    interrupted = False

    def __enter__(self) -> "Interruptible":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self.interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        return self.interrupted


def report(errors: Sequence[str], n_all: int, done: str, *, only: int | None = None) -> int:
    """Say what could not be `done` (a participle), and return the exit code.

    `only` tells how many were done where Ctrl-C kept the others from being tried.
    """
    for error in errors:
        warn(f"emovox: {error}")
    if only is not None:
        warn(f"emovox: interrupted; {only:,} of {counted(n_all, 'recording')} were {done}")
        return 130
    if errors and n_all > 1:
        warn(f"emovox: {len(errors):,} of {n_all:,} recordings could not be {done}")
    return 1 if errors else 0
