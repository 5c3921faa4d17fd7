"""The command line: each command parses, makes one call, and prints."""

import io
import os
import sys

import typer

from .corpus import corpus_app
from .enrol import enrol
from .learn import evaluate, train
from .listen import listen
from .plot import plot_app
from .recognise import info, predict
from .score import score
from .serve import serve

__all__ = ["app", "main"]

app = typer.Typer(
    name="emovox",
    help="Recognise emotion in speech: train, measure honestly, and use it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(predict)
app.command()(score)
app.command()(enrol)
app.command()(listen)
app.command()(info)
app.command()(serve)
app.command()(train)
app.command()(evaluate)
app.add_typer(corpus_app, name="corpus")
app.add_typer(plot_app, name="plot")


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
    """Run the command line; end with 0, 1 (an error, said in one line), 2 (wrong usage) or 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # file names need not be in the terminal's code
            stream.reconfigure(errors="backslashreplace")
    code = run(sys.argv[1:])
    sys.exit(_flush() or code)


def _flush() -> int:
    """Write out what stdout still holds, while a full disk or a closed pipe can be reported."""
    from .console import warn

    try:
        sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # whoever closed the pipe knows
            warn(f"emovox: cannot write the results: {error.strerror}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more
        return 1
    return 0


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    from ..errors import EmovoxError
    from .console import warn

    try:
        result = app(arguments, prog_name="emovox", standalone_mode=False)
    except typer.Exit as end:
        return end.exit_code
    except typer.Abort:
        warn("emovox: stopped")
        return 130
    except KeyboardInterrupt:
        warn("emovox: interrupted")
        return 130
    except EmovoxError as error:
        warn(f"emovox: {error}")
        return 1
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRAS:
            raise
        extra = _EXTRAS[(error.name or "").partition(".")[0]]
        warn(f"emovox: this needs {error.name}; install it with: pip install 'emovox[{extra}]'")
        return 1
    except (BrokenPipeError, SystemExit):  # typer makes the one of the other
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        warn(f"emovox: {where}{error.strerror or error}")
        return 1
    except Exception as error:  # noqa: BLE001 (typer's usage errors have no public root)
        return _usage_error(error)
    return result if isinstance(result, int) else 0


_TRAINING = ("torch", "librosa", "sklearn", "onnx", "matplotlib", "jinja2", "pooch")
_SERVICE = ("fastapi", "starlette", "uvicorn", "python_multipart", "prometheus_client")
_ARCHIVE = ("dask", "distributed", "pyarrow", "fsspec")
_EXTRAS = {
    **dict.fromkeys(_TRAINING, "train"),
    **dict.fromkeys(_SERVICE, "serve"),
    **dict.fromkeys(_ARCHIVE, "archive"),
    "platformdirs": "live",
}


def _usage_error(error: Exception) -> int:
    """Show wrong usage as typer does; let anything else, a bug of ours, through."""
    show = getattr(error, "show", None)
    if show is None:
        raise error
    show()
    return int(getattr(error, "exit_code", 2))
