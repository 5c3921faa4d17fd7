"""`emovox journal export` and `import`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..console import say
from .options import (
    JournalOption,
    PassphraseOption,
    PersonOption,
    open_journal,
    read_passphrase,
)


class Format(StrEnum):
    """What a journal can be exported to."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    TEXTGRID = "textgrid"
    EAF = "eaf"
    BIDS = "bids"
    FHIR = "fhir"


def export(
    out: Annotated[Path, typer.Argument(help="A new file (jsonl, fhir), or a new folder.")],
    kind: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.JSONL,
    journal: JournalOption = None,
    person: PersonOption = None,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Export all entries; the files are not sealed."""
    from ...journal.export import export as write

    with open_journal(journal, person, passphrase_file) as opened:
        write(opened, kind.value, out)
    say(f"wrote {out}")


def import_lines(
    file: Annotated[Path, typer.Argument(help="What `export` wrote as jsonl.")],
    journal: JournalOption = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Seal every entry with a passphrase.")
    ] = False,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Make a new journal from an export; it holds the same entries."""
    from ...journal.export.lines import journal_from
    from ...journal.folder import new_file

    secret = None
    if passphrase or passphrase_file:
        secret = read_passphrase(passphrase_file, is_new=True)
    path = journal or new_file()
    with file.open(encoding="utf-8", errors="replace") as lines:
        journal_from(path, lines, passphrase=secret).close()
    say(f"made {path}")
