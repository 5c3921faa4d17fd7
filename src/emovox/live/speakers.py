"""Speakers' baselines saved between runs, in a folder per model in the user's data folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import normalize
from urllib.parse import quote, unquote

from ..errors import EmovoxError, optional

if TYPE_CHECKING:
    from ..baseline import Baseline
    from ..recognizer import Recognizer

_MAX_BYTES = 200  # of a file's name; file systems allow 255


def plain_name(name: str) -> str:
    """Return a speaker's name in Unicode's composed form, the same however it was typed.

    Raises
    ------
    EmovoxError
        If the name is not valid Unicode, or too long for a file's name.
    """
    try:
        name = name.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        raise EmovoxError(
            f"expected a speaker's name in UTF-8, got {name}; use another name"
        ) from None
    name = normalize("NFC", name)
    if len(_file_name(name)) > _MAX_BYTES:
        raise EmovoxError(f"expected a shorter name for the speaker, got {len(name)} characters")
    return name


def speaker_file(name: str, fingerprint: str) -> Path:
    """Return the file of a speaker's baseline for one model.

    Raises
    ------
    EmovoxError
        If there is no data folder, or the name is not usable.
    """
    path = _folder() / fingerprint / _file_name(plain_name(name))
    return path if path.exists() else next(_saved(name, fingerprint), path)


def recall(name: str, recognizer: "Recognizer") -> "Baseline":
    """Return a speaker's saved baseline for this model, or a new one.

    Raises
    ------
    BaselineError
        If the saved baseline cannot be read.
    EmovoxError
        As for `speaker_file`.
    """
    from ..baseline import Baseline

    path = speaker_file(name, recognizer.fingerprint)
    return Baseline.load(path) if path.exists() else recognizer.new_baseline(plain_name(name))


def forget(name: str) -> int:
    """Delete a speaker's baselines for all models; return the number of files deleted."""
    paths = list(_saved(name))
    for path in paths:
        path.unlink()
    return len(paths)


def _saved(name: str, fingerprint: str = "*") -> Iterator[Path]:
    """Find a speaker's files, including those of versions that saved names as they were typed."""
    plain = plain_name(name)
    for path in _folder().glob(f"{fingerprint}/*.json"):
        if normalize("NFC", unquote(path.stem)) == plain:
            yield path


def _folder() -> Path:
    with optional():
        from platformdirs import user_data_path

    try:
        return user_data_path("emovox", appauthor=False) / "speakers"
    except RuntimeError:
        raise EmovoxError(
            "cannot save speakers: you have no home directory; set HOME or XDG_DATA_HOME"
        ) from None


def _file_name(name: str) -> str:
    """Return a file name for every file system: letters and digits as they are, the rest as %XX."""
    return quote(name, safe="") + ".json"
