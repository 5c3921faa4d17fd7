"""`emovox mcp`: a server of the Model Context Protocol for assistants on this machine."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from .predict import ModelOption


def mcp(
    folder: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Let the assistant read the recordings and baselines in this folder; again for "
            "one more; default: the current one.",
        ),
    ] = None,
    model: ModelOption = None,
) -> None:
    """Let an assistant ask how recordings sound, by the Model Context Protocol over stdio."""
    from ..integrations.mcp import make_server
    from ..recognizer import Recognizer

    server = make_server(Recognizer.load(model), folder or [Path()])
    # Else Ctrl-C would wait for the thread that waits for input. There is nothing to lose.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    server.run("stdio")
