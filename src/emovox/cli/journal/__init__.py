"""`emovox journal`: a person's own journal."""

import typer

from .entries import add, checkin
from .exchange import export, import_lines
from .keeping import consent, forget, lock, new, purge, unlock
from .reading import list_entries, show
from .recording import record
from .trends import compare, report, trend

__all__ = ["journal_app"]

journal_app = typer.Typer(
    help="Keep a journal of how you sounded, on this machine alone.", no_args_is_help=True
)
journal_app.command()(new)
journal_app.command()(record)
journal_app.command()(add)
journal_app.command(context_settings={"ignore_unknown_options": True})(checkin)  # -0.5 is none
journal_app.command("list")(list_entries)
journal_app.command()(show)
journal_app.command()(compare)
journal_app.command()(trend)
journal_app.command()(report)
journal_app.command()(export)
journal_app.command("import")(import_lines)
journal_app.command()(consent)
journal_app.command()(forget)
journal_app.command()(purge)
journal_app.command()(lock)
journal_app.command()(unlock)
