"""Where the journals of a machine's user lie, and whose they are."""

import hashlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from unicodedata import normalize

from ..errors import JournalError, optional
from .store import Journal

SUFFIX = ".journal"


def folder() -> Path:
    """Return the folder of journals in the user's data folder; it need not be there.

    Raises
    ------
    JournalError
        If the user has no home directory.
    """
    with optional("journal"):
        from platformdirs import user_data_path

    try:
        return user_data_path("emovox", appauthor=False) / "journals"
    except RuntimeError:
        raise JournalError(
            "cannot find journals: you have no home directory; set HOME or XDG_DATA_HOME"
        ) from None


def journal_files() -> list[Path]:
    """Return the files of all journals in the folder, sorted."""
    return sorted(path for path in folder().glob(f"*{SUFFIX}") if path.is_file())


def new_file() -> Path:
    """Return the name of a new journal's file, which tells nothing of the person."""
    return folder() / f"{secrets.token_hex(8)}{SUFFIX}"


def file_of(person: str) -> Path:
    """Return the file of somebody whom a service knows by a word; its name does not tell the word.

    Two words never have one file.
    """
    digest = hashlib.sha256(f"emovox journal of {person}".encode()).hexdigest()
    return folder() / f"{digest[:32]}{SUFFIX}"


def find(name: str | None, passphrase: Callable[[], str] | None = None) -> Journal:
    """Open a person's journal: by its name, or the only one of the folder.

    Parameters
    ----------
    name : str, optional
        It does not matter how its accents were typed.
    passphrase : callable, optional
        Asks for the passphrase of a journal that has one.

    Raises
    ------
    JournalError
        If there is none of this person, or no name was given and there are several.
    """
    files = journal_files()
    if name is None and len(files) == 1:
        return Journal.open(files[0], passphrase=passphrase)
    if name is None:
        raise JournalError(
            f"expected --person or --journal: {folder()} holds {len(files)} journals"
            if files
            else "there is no journal yet; `emovox journal new NAME` makes one"
        )
    for journal in _readable(files, passphrase):
        if plain(journal.name) == plain(name):
            return journal
        journal.close()
    raise JournalError(
        f"no journal of {name} in {folder()}, or the passphrase is another; `emovox journal list` "
        "shows whose there are"
    )


def check_only(name: str) -> None:
    """Refuse a second journal of one name, as far as those without a passphrase tell.

    Raises
    ------
    JournalError
        If there is one.
    """
    for file in journal_files():
        try:
            with Journal.open(file) as other:
                is_same = plain(other.name) == plain(name)
        except JournalError:
            continue
        if is_same:
            raise JournalError(f"{plain(name)} has a journal: {file}")


def plain(name: str) -> str:
    """Return a name in Unicode's composed form, without spaces around it."""
    return normalize("NFC", name.strip())


def _readable(files: list[Path], passphrase: Callable[[], str] | None) -> Iterator[Journal]:
    """Yield the journals that can be opened, those without a passphrase first."""
    closed = []
    for file in files:
        try:
            yield Journal.open(file)
        except JournalError:
            closed.append(file)
    for file in closed if passphrase else []:
        try:
            yield Journal.open(file, passphrase=passphrase)
        except JournalError:
            continue
