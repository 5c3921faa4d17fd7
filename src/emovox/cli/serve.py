"""`emovox serve`: the network service and its page."""

from pathlib import Path
from typing import Annotated

import typer

from .console import warn
from .predict import ModelOption

Number = float | None
Count = int | None
Text = str | None


def serve(
    host: Annotated[Text, typer.Option(help="Listen on this address.")] = None,
    port: Annotated[Count, typer.Option(help="Listen on this port; 0: any free one.")] = None,
    model: ModelOption = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Answer only who knows a token in FILE.")
    ] = None,
    origin: Annotated[
        list[str] | None, typer.Option(help="Pages of this host may use the service, too.")
    ] = None,
    ssl_certfile: Annotated[Text, typer.Option(help="Certificate, for https and wss.")] = None,
    ssl_keyfile: Annotated[Text, typer.Option(help="Its key.")] = None,
    workers: Annotated[Count, typer.Option(help="For live sessions; 0: one for each core.")] = None,
    max_upload_mb: Annotated[Number, typer.Option(help="Of one request.")] = None,
    max_clip_s: Annotated[Number, typer.Option(help="Of a recording answered as one.")] = None,
    max_seconds: Annotated[Number, typer.Option(help="Of one answered part by part.")] = None,
    max_uploads: Annotated[Count, typer.Option(help="At the same time.")] = None,
    upload_timeout_s: Annotated[Number, typer.Option(help="For a request to arrive.")] = None,
    max_requests_per_s: Annotated[Number, typer.Option(help="From one address.")] = None,
    max_share: Annotated[
        Number, typer.Option(help="Of connections, sessions, uploads, for one address.")
    ] = None,
    max_sessions: Annotated[Count, typer.Option(help="Live ones at the same time.")] = None,
    max_message_kb: Annotated[Number, typer.Option(help="Of a live session.")] = None,
    max_messages_per_s: Annotated[Number, typer.Option(help="Of a live session.")] = None,
    max_session_s: Annotated[Number, typer.Option(help="Of a live session.")] = None,
    idle_s: Annotated[Number, typer.Option(help="A live session without messages.")] = None,
    send_timeout_s: Annotated[Number, typer.Option(help="For a client to read.")] = None,
    shutdown_s: Annotated[Number, typer.Option(help="For what is going on to end.")] = None,
) -> None:
    """Answer other programs over HTTP and WebSocket, and show a page in the browser.

    Each option can be set by a variable, too, such as EMOVOX_PORT.
    """
    given = dict(locals())
    from ..server.process import serve as run
    from ..server.settings import ServerSettings

    origins = given.pop("origin")
    settings = ServerSettings.from_environment(origins=tuple(origins) if origins else None, **given)
    if not settings.local and not (settings.tokens and settings.ssl_certfile):
        lacks = [
            *([] if settings.tokens else ["a token (--token-file)"]),
            *([] if settings.ssl_certfile else ["TLS (--ssl-certfile, --ssl-keyfile)"]),
        ]
        warn(
            f"emovox: others can reach this service at {settings.host}; it lacks "
            f"{' and '.join(lacks)}"
        )
    run(settings)
