"""`emovox serve`: the network service and its page."""

from pathlib import Path
from typing import Annotated

import typer

from .console import warn
from .recognise import ModelOption

Text = str | None
Number = float | None
Count = int | None


def serve(
    host: Annotated[Text, typer.Option(help="Listen on this address.")] = None,
    port: Annotated[Count, typer.Option(help="Listen on this port; 0: any free one.")] = None,
    model: ModelOption = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Answer only who knows a token in FILE.")
    ] = None,
) -> None:
    """Answer other programs over HTTP and WebSocket, and show a page in the browser."""
    from ..server.process import serve as run
    from ..server.settings import ServerSettings

    settings = ServerSettings.from_environment(
        host=host, port=port, model=model, token_file=token_file
    )
    scheme = "https" if settings.ssl_certfile else "http"
    if not settings.local and not (settings.tokens and settings.ssl_certfile):
        warn("emovox: others can reach this service; give it a token and TLS")
    warn(f"emovox: {scheme}://{settings.host}:{settings.port}/ (Ctrl-C stops)")
    run(settings)
