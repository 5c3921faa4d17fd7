"""What a command writes: never over what it reads, and never two results into one file."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import EmovoxError
from ..files import is_special, target_of, write_text
from .console import warn


def check_outputs(outputs: Mapping[str, Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse, before any work, files to write to that cannot be meant.

    Parameters
    ----------
    outputs : mapping of str to Path or None
        By the option that names it; None where it was not given.
    inputs : iterable of Path or None
        Everything that the command reads.

    Raises
    ------
    EmovoxError
        If an output is an input, by whatever name or link, or another output, or a folder, or if
        its folder cannot be written to. Pipes and devices may stand for several outputs.
    """
    given = {option: path for option, path in outputs.items() if path is not None}
    for option, path in given.items():
        _check_place(option, path)
    _check_apart(given)
    there = {_identity(path): option for option, path in given.items() if path.exists()}
    for read in inputs if there else ():
        taken_by = there.get(_identity(read)) if read is not None and read.exists() else None
        if taken_by:
            raise EmovoxError(
                f"{taken_by} {given[taken_by]} would be written over {read}, which is read; "
                "choose another name"
            )


def write(path: Path, text: str) -> bool:
    """Write a result, and say so; tell whether that could be done, and say why it could not."""
    try:
        write_text(path, text)
    except OSError as error:
        warn(f"emovox: {path}: cannot be written: {error.strerror or error}")
        return False
    warn(f"wrote {path}")
    return True


def _check_place(option: str, path: Path) -> None:
    """Refuse a folder, and a place where nothing can be written."""
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
    """Return what all names of a file have in common."""
    if not path.exists():
        return target_of(path)
    found = path.stat()
    return found.st_dev, found.st_ino
