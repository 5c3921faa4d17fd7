"""Speakers' baselines kept between runs, in the user's data folder: one folder a model."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import normalize
from urllib.parse import quote, unquote

from ..errors import EmovoxError
from ..extras import optional

if TYPE_CHECKING:
    from ..baseline import Baseline
    from ..recognizer import Recognizer

_LONGEST = 200  # bytes of a file's name, of which file systems take 255


def plain_name(name: str) -> str:
    """Return a speaker's name in Unicode's composed form, so that it is one however it was typed.

    Raises
    ------
    EmovoxError
        If it is no text, but bytes in another encoding, or too long for a file's name.
    """
    try:
        name = name.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        raise EmovoxError(
            f"expected a speaker's name in UTF-8, got {name}; write it in other letters"
        ) from None
    name = normalize("NFC", name)
    if len(_file_name(name)) > _LONGEST:
        raise EmovoxError(f"expected a shorter name of a speaker, got {len(name)} characters")
    return name


def speaker_file(name: str, fingerprint: str) -> Path:
    """Return where a speaker's baseline for one model is kept.

    Raises
    ------
    EmovoxError
        If there is no place to keep it, or none by this name.
    """
    new = _folder() / fingerprint / _file_name(plain_name(name))
    return new if new.exists() else next(_kept(name, fingerprint), new)


def recall(name: str, recognizer: "Recognizer") -> "Baseline":
    """Return what is kept of a speaker for this model, or a new baseline.

    Raises
    ------
    BaselineError
        If what is kept cannot be read.
    EmovoxError
        As for `speaker_file`.
    """
    from ..baseline import Baseline

    path = speaker_file(name, recognizer.fingerprint)
    return Baseline.load(path) if path.exists() else recognizer.new_baseline(plain_name(name))


def forget(name: str) -> int:
    """Delete what is kept of a speaker, for all models; return how many files that were."""
    kept = list(_kept(name))
    for path in kept:
        path.unlink()
    return len(kept)


def _kept(name: str, fingerprint: str = "*") -> Iterator[Path]:
    """Find a speaker's files, also those of a time when names were kept as they were typed."""
    wanted = plain_name(name)
    for path in _folder().glob(f"{fingerprint}/*.json"):
        if normalize("NFC", unquote(path.stem)) == wanted:
            yield path


def _folder() -> Path:
    with optional():
        from platformdirs import user_data_path

    try:
        return user_data_path("emovox", appauthor=False) / "speakers"
    except RuntimeError:
        raise EmovoxError(
            "no place to keep speakers: you have no home directory; set HOME or XDG_DATA_HOME"
        ) from None


def _file_name(name: str) -> str:
    """Return a name that every file system takes: other signs than letters and digits as %XX."""
    return quote(name, safe="") + ".json"
