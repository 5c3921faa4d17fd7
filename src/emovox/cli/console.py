"""Output of the commands: results and tables on stdout, progress and messages on stderr.

All text for the terminal passes through here and `one_line`, since file names, model cards and the
messages of libraries may hold control characters.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Literal, TextIO

from ..errors import counted as counted
from ..errors import one_line

Progress = Callable[[int, int], None]


def as_json(value: object, indent: int | None = None) -> str:
    """Return JSON in which control characters have JSON's own escapes, so it stays exact."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return re.sub(r"[^\n -~]", _json_escaped, text)


def _json_escaped(match: re.Match[str]) -> str:
    char = match[0]
    return char if one_line(char) == char else json.dumps(char)[1:-1]


@contextmanager
def progress_bar(text: str) -> Iterator[Progress]:
    """Show a bar on stderr, if that is a terminal; yields a function of (done, total)."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(one_line(text), total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout; columns after the first are right-aligned."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(one_line(title)) if title else None, title_justify="left")
    for index, name in enumerate(header):
        side: Literal["left", "right"] = "left" if index == 0 else "right"
        table.add_column(Text(one_line(name)), justify=side, overflow="fold")
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    with results() as out:
        Console(file=out, width=None if out.isatty() else 120).print(table)


def say(text: str) -> None:
    """Print one line on stdout."""
    with results() as out:
        out.write(one_line(text) + "\n")


def say_json(value: object, indent: int | None = 2) -> None:
    """Print JSON on stdout, in ASCII where stdout's encoding could not hold it."""
    text = as_json(value, indent)
    with results() as out:
        is_unicode = (out.encoding or "").lower().startswith("utf")
        out.write((text if is_unicode else json.dumps(value, indent=indent)) + "\n")


@contextmanager
def results() -> Iterator[TextIO]:
    """Yield stdout. An error names it, and its buffer is discarded.

    Raises
    ------
    OSError
        If stdout is full or closed; BrokenPipeError if its reader has gone.
    """
    try:
        yield sys.stdout
    except OSError as error:
        error.filename = error.filename or "standard output"
        discard(sys.stdout)
        raise


def discard(stream: TextIO) -> None:
    """Send all output of a stream to nowhere, so that it fails only once."""
    with suppress(OSError, ValueError):  # not a file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def warn(text: str) -> None:
    """Print one line on stderr, apart from the results; a closed stderr is ignored."""
    with suppress(OSError):
        sys.stderr.write(one_line(text) + "\n")
