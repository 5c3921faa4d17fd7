"""`emovox serve`: the network service and its page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import warn
from .predict import ModelOption

if TYPE_CHECKING:
    from ..server.settings import ServerSettings


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; default 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0: any free port; default 8000.")
    ] = None,
    model: ModelOption = None,
    page: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="What `emovox page` wrote: visitors may use their own device."
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Require a bearer token; FILE holds a TOKEN or TOKEN=PERSON per line.",
        ),
    ] = None,
    journal: Annotated[
        bool | None,
        typer.Option(help="Keep journals in the page; default: if only this machine can use it."),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Let pages of this origin use the service; can be repeated."),
    ] = None,
    ssl_certfile: Annotated[
        str | None, typer.Option(metavar="FILE", help="TLS certificate, for https and wss.")
    ] = None,
    ssl_keyfile: Annotated[
        str | None, typer.Option(metavar="FILE", help="Private key of the certificate.")
    ] = None,
    ffmpeg: Annotated[
        bool | None,
        typer.Option("--ffmpeg", help="Read M4A, MP4, WebM and others, with ffmpeg."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Threads for live sessions; default: one per core.")
    ] = None,
) -> None:
    """Serve other programs over HTTP and WebSocket, and show a page in the browser.

    Limits are set by environment variables such as EMOVOX_MAX_SESSIONS; docs/http.md lists them.
    """
    from ..server.process import serve as run
    from ..server.settings import ServerSettings

    settings = ServerSettings.from_environment(
        host=host,
        port=port,
        model=model,
        page=page,
        token_file=token_file,
        journal=None if journal is None else "on" if journal else "off",
        origins=tuple(origin) if origin else None,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
        ffmpeg=ffmpeg,
        workers=workers,
    )
    _warn_if_open(settings)
    run(settings)


def _warn_if_open(settings: "ServerSettings") -> None:
    """Say what a service lacks that others can reach."""
    missing = [
        *([] if settings.tokens else ["a token (--token-file)"]),
        *([] if settings.ssl_certfile else ["TLS (--ssl-certfile, --ssl-keyfile)"]),
    ]
    if missing and not settings.local:
        warn(
            f"emovox: others can reach this service at {settings.host}; it lacks "
            f"{' and '.join(missing)}"
        )
