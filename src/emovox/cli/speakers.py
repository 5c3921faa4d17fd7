"""Speakers' baselines kept between runs, in the user's data folder: one folder a model."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from ..baseline import Baseline
    from ..recognizer import Recognizer


def speaker_file(name: str, fingerprint: str) -> Path:
    """Return where a speaker's baseline for one model is kept."""
    return _folder() / fingerprint / _file_name(name)


def recall(name: str, recognizer: "Recognizer") -> "Baseline":
    """Return what is kept of a speaker for this model, or a new baseline.

    Raises
    ------
    BaselineError
        If what is kept cannot be read.
    """
    from ..baseline import Baseline

    path = speaker_file(name, recognizer.fingerprint)
    return Baseline.load(path) if path.exists() else recognizer.new_baseline(name)


def forget(name: str) -> int:
    """Delete what is kept of a speaker, for all models; return how many files that were."""
    kept = list(_folder().glob(f"*/{_file_name(name)}"))
    for path in kept:
        path.unlink()
    return len(kept)


def _folder() -> Path:
    from platformdirs import user_data_path

    return user_data_path("emovox", appauthor=False) / "speakers"


def _file_name(name: str) -> str:
    """Return a name that every file system takes: other signs than letters and digits as %XX."""
    return quote(name, safe="") + ".json"
