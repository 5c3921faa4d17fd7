"""The recordings a command is given: files, folders, tables that name files, and their speakers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .console import warn

if TYPE_CHECKING:
    from ..audio import Samples

_CHUNK = 32  # recordings decoded together
_FOLDER = "folder"  # the word for: a file's folder is its speaker


@dataclass(frozen=True)
class Recording:
    """A file, which may turn out to be none, and whose voice it is ("" where not told)."""

    file: Path
    speaker: str = ""


def expand(
    paths: Sequence[Path], speaker_by: str | None = None
) -> tuple[list[Recording], list[str]]:
    """Replace folders by the audio files below them, and tables (.csv) by the files they name.

    Parameters
    ----------
    paths : sequence of Path
    speaker_by : str or None
        "folder": a file's folder is its speaker; else the tables' column that tells it.

    Returns
    -------
    recordings : list of Recording
        In the order given; one that was given twice stands there twice.
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

    found: list[Recording] = []
    empty = []
    for path in paths:
        is_table = path.suffix.lower() == ".csv"
        if not is_table and speaker_by not in (None, _FOLDER):
            raise typer.BadParameter(
                f"expected tables (.csv) with a column {speaker_by!r}, got {path}; "
                f"--speaker-by {_FOLDER} takes any recordings"
            )
        inside = _rows(path, speaker_by) if is_table else _files(path, speaker_by)
        found += inside
        if not inside:
            empty.append(no_audio(path))
    return found, empty


def _files(path: Path, speaker_by: str | None) -> list[Recording]:
    from ..audio import audio_files

    try:
        files = audio_files(path) if path.is_dir() else [path]
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
            raise CorpusError(f"table: no file in line {line} of {path}")
        file = path.parent / row["file"]
        named = row[column] if column is not None else ""
        recordings.append(Recording(file, _folder(file) if speaker_by == _FOLDER else named))
    return recordings


def _folder(file: Path) -> str:
    return str(file.parent.resolve())


def chunks(recordings: Sequence[Recording]) -> Iterator[Sequence[Recording]]:
    """Yield so many recordings as are held in memory together."""
    for first in range(0, len(recordings), _CHUNK):
        yield recordings[first : first + _CHUNK]


def read(
    recordings: Sequence[Recording], max_seconds: float
) -> tuple[dict[Recording, "Samples"], dict[Recording, str]]:
    """Decode recordings; return the clips with speech in them, and a line on each of the others."""
    from ..activity import check_speech
    from ..audio import check_audible, load_audio
    from ..errors import AudioError, SilenceError

    clips, errors = {}, {}
    for recording in recordings:
        try:
            clip = load_audio(recording.file, max_seconds=max_seconds)
            check_audible(clip)
            check_speech(clip)
            clips[recording] = clip
        except SilenceError as error:
            errors[recording] = f"{recording.file}: {error}"
        except AudioError as error:
            errors[recording] = str(error)
    return clips, errors


def report_failures(errors: Sequence[str], n_all: int, done: str) -> None:
    """Say what could not be `done` (a participle); end with exit code 1 if anything was."""
    for error in errors:
        warn(f"emovox: {error}")
    if errors:
        if n_all > 1:
            warn(f"emovox: {len(errors)} of {n_all} recordings could not be {done}")
        raise typer.Exit(1)
