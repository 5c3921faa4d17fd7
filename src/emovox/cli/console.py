"""What the commands share: progress on stderr, tables on stdout, words for errors."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

Progress = Callable[[int, int], None]


@contextmanager
def progress_bar(text: str) -> Iterator[Progress]:
    """Show a bar on stderr while the block runs; call what is yielded with (done, total).

    Nothing is shown where stderr is no terminal.
    """
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(text, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout; columns after the first are right-aligned."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left")
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def say(text: str) -> None:
    """Print one line on stdout."""
    sys.stdout.write(text + "\n")


def warn(text: str) -> None:
    """Print one line on stderr, where it does not disturb results in a pipe."""
    sys.stderr.write(text + "\n")
