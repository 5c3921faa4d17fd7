"""The command line: each command parses, makes one call, and prints."""

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

import typer

from ..errors import missing_extra
from .audit import audit
from .compare import compare
from .corpus import corpus_app
from .enrol import enrol
from .evaluate import evaluate
from .info import info
from .journal import journal_app
from .listen import listen
from .mcp import mcp
from .measure import measure
from .page import page
from .plot import plot_app
from .practice import practice
from .predict import predict
from .score import score
from .serve import serve
from .train import train

__all__ = ["app", "main"]

app = typer.Typer(
    name="emovox",
    help="Recognise emotion in speech: train, measure honestly, and use it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(predict)
app.command()(measure)
app.command()(score)
app.command()(enrol)
app.command()(listen)
app.command()(practice)
app.command()(info)
app.command()(serve)
app.command()(mcp)
app.command()(page)
app.command()(train)
app.command()(evaluate)
app.command()(compare)
app.command()(audit)
app.add_typer(corpus_app, name="corpus")
app.add_typer(plot_app, name="plot")
app.add_typer(journal_app, name="journal")


def _print_version(wanted: bool) -> None:
    if wanted:
        from ..version import __version__
        from .console import say

        say(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Recognise emotion in speech: train, measure honestly, and use it."""


def main() -> None:
    """Run the command line; exit with 0, 1 (a one-line error), 2 (wrong usage) or 130."""
    _open_streams()
    code = run(sys.argv[1:])
    sys.exit(_flushed() or code)


def _flushed() -> int:
    """Flush stdout while a full disk or a closed pipe can still be reported."""
    from .console import discard, results, warn

    code = 0
    try:
        with results() as out:
            out.flush()
    except OSError as error:
        code = 1
        if not isinstance(error, BrokenPipeError):  # its reader closed it on purpose
            warn(f"emovox: {_words(error)}")
    try:
        sys.stderr.flush()
    except OSError:
        discard(sys.stderr)
    return code


def _open_streams() -> None:
    """Open stdin, stdout and stderr if the caller closed them.

    Otherwise a file opened later would get the descriptor, and the output with it. Writing to a
    closed stdout is an error; messages for a closed stderr are lost.
    """
    for number, access in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, access), number)
    sys.stdin = sys.stdin or io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout = sys.stdout or _writer(1)
    sys.stderr = sys.stderr or _writer(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # file names may be in another encoding
            stream.reconfigure(errors="backslashreplace")


def _writer(number: int) -> TextIO:
    return io.TextIOWrapper(io.FileIO(number, "w", closefd=False), "utf-8", line_buffering=True)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    from ..errors import EmovoxError
    from .console import warn

    try:
        result = app(arguments, prog_name="emovox", standalone_mode=False)
    except typer.Exit as end:
        return end.exit_code
    except (KeyboardInterrupt, typer.Abort):
        warn("emovox: interrupted")
        return 130
    except (BrokenPipeError, SystemExit):  # typer turns the first into the second
        return 1
    except (EmovoxError, OSError, MemoryError, ModuleNotFoundError) as error:
        warn(f"emovox: {_words(error)}")
        return 1
    except Exception as error:  # noqa: BLE001 (typer's usage errors have no public base class)
        return _usage_error(error)
    return result if isinstance(result, int) else 0


def _words(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return str(missing_extra(error))
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return "out of memory" if isinstance(error, MemoryError) else str(error)


def _usage_error(error: Exception) -> int:
    """Show wrong usage as typer does; raise any other error, which is a bug."""
    from ..errors import one_line

    show = getattr(error, "show", None)
    if show is None:
        raise error
    if isinstance(message := getattr(error, "message", None), str):
        error.message = one_line(message)  # type: ignore[attr-defined] # it has one
    with suppress(OSError):  # stderr may be closed
        show()
    return int(getattr(error, "exit_code", 2))
