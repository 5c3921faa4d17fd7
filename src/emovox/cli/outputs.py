"""Output files of the commands: never an input, and never two results in one file."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import EmovoxError
from ..files import is_special, target_of, write_text
from .console import warn


def check_outputs(outputs: Mapping[str, Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse unusable output files, given by option, before any work is done.

    `inputs` are all files that the command reads; None stands for an option that was not given.

    Raises
    ------
    EmovoxError
        If an output is also an input (under any name or link), another output or a folder, or if
        its folder is not writable. Pipes and devices may serve several outputs.
    """
    given = {option: path for option, path in outputs.items() if path is not None}
    for option, path in given.items():
        _check_place(option, path)
    _check_apart(given)
    existing = {_identity(path): option for option, path in given.items() if path.exists()}
    for source in inputs if existing else ():
        taken_by = existing.get(_identity(source)) if source and source.exists() else None
        if taken_by:
            raise EmovoxError(
                f"{taken_by} {given[taken_by]} would overwrite the input {source}; "
                "choose another name"
            )


def write(path: Path, text: str) -> bool:
    """Write a result and report it on stderr; return whether it was written."""
    try:
        write_text(path, text)
    except OSError as error:
        warn(f"emovox: {path}: cannot be written: {error.strerror or error}")
        return False
    warn(f"wrote {path}")
    return True


def _check_place(option: str, path: Path) -> None:
    """Refuse a folder, and a file that cannot be created."""
    if path.is_dir():
        raise EmovoxError(f"{option} {path}: expected the name of a file, got a directory")
    place = path if is_special(path) else next(filter(Path.exists, target_of(path).parents))
    if not is_special(path) and not place.is_dir():
        raise EmovoxError(f"{option} {path}: cannot be written: {place} is not a directory")
    if not os.access(place, os.W_OK):
        raise EmovoxError(f"{option} {path}: cannot be written: no permission")


def _check_apart(given: Mapping[str, Path]) -> None:
    seen: dict[object, str] = {}
    for option, path in given.items():
        if not is_special(path) and (other := seen.setdefault(_identity(path), option)) != option:
            raise EmovoxError(
                f"{other} and {option} would both be written to {path}; give each its own file"
            )


def _identity(path: Path) -> object:
    """Return a key that is the same for all names of a file."""
    if not path.exists():
        return target_of(path)
    status = path.stat()
    return status.st_dev, status.st_ino
