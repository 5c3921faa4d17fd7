"""The options that the commands of a journal share: which journal, and its passphrase."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import EmovoxError

if TYPE_CHECKING:
    from ...journal.store import Journal

JournalOption = Annotated[
    Path | None, typer.Option("--journal", metavar="FILE", help="The journal's file.")
]
PersonOption = Annotated[
    str | None,
    typer.Option("--person", metavar="NAME", help="Whose journal, if there are several."),
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", metavar="FILE", help="A file with the passphrase; else it is asked."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_MAX_PASSPHRASE = 4096  # bytes of its file


def open_journal(file: Path | None, person: str | None, passphrase: Path | None) -> "Journal":
    """Open the journal that the options of a command name."""
    from ...journal.folder import find
    from ...journal.store import Journal

    if file and person is not None:
        raise typer.BadParameter("--journal names a file and --person whose it is: use one")
    asked = _asker(passphrase)
    return Journal.open(file, passphrase=asked) if file else find(person, asked)


def _asker(file: Path | None) -> Callable[[], str]:
    """Return what gives the passphrase, and asks at most once."""
    given: list[str] = []

    def ask() -> str:
        if not given:
            given.append(read_passphrase(file))
        return given[0]

    return ask


def read_passphrase(file: Path | None, *, is_new: bool = False) -> str:
    """Return the passphrase in a file, its line's end left out, or ask for it."""
    from ...files import read_limited

    if file:
        try:
            return read_limited(file, _MAX_PASSPHRASE).decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise EmovoxError(f"{file}: expected a passphrase in UTF-8") from None
    answer: str = typer.prompt("Passphrase", hide_input=True, err=True, confirmation_prompt=is_new)
    return answer


def parsed_time(text: str) -> datetime:
    """Return a time in ISO 8601; without an offset it is this machine's own time."""
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.utcoffset() is not None else moment.astimezone()
    except (ValueError, OverflowError):  # the latter for the first and last days of the calendar
        raise typer.BadParameter(
            f"expected a time such as 2026-03-01T18:30 or 2026-03-01T18:30+01:00, got {text!r}"
        ) from None
