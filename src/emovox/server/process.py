"""The service as a process: a web server around the app, that ends in good order."""

import asyncio
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .app import create_app
from .logs import log, set_up_logs
from .sessions import Sessions
from .settings import ServerSettings

_HEADERS_S = 10.0  # within which a request's headers have to arrive
_UNREAD_MS = 60_000  # after which a connection is cut whose client takes nothing any more
_SPARE_CONNECTIONS = 200  # besides live sessions and uploads: the page, signs of life


def serve(settings: ServerSettings) -> None:
    """Run the service until it is told to stop.

    Raises
    ------
    ConfigError, ModelError
        If a setting cannot be, or the model cannot be opened.
    OSError
        If the address is taken.
    """
    with bind(settings) as listener:
        server = make_server(settings)
        set_up_logs()
        scheme = "https" if settings.ssl_certfile else "http"
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        log("start", url=f"{scheme}://{host}:{listener.getsockname()[1]}")
        server.run(sockets=[listener])


def make_server(settings: ServerSettings) -> uvicorn.Server:
    """Make the app and the web server around it."""
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        http=_PromptProtocol,
        ws="websockets-sansio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.max_sessions + settings.max_uploads + _SPARE_CONNECTIONS,
        ws_max_size=int(settings.max_message_kb * 1000),
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=int(settings.shutdown_s) + 1,
        ssl_certfile=settings.ssl_certfile,
        ssl_keyfile=settings.ssl_keyfile,
    )
    return _Server(config, app.state.sessions)


def bind(settings: ServerSettings) -> socket.socket:
    """Bind the address; connections it gives are cut when their clients stop reading."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        raise OSError(error.errno, error.strerror, where) from None
    return listener


class _Server(uvicorn.Server):
    """uvicorn's server, but live sessions are told and flushed before it closes connections."""

    def __init__(self, config: uvicorn.Config, sessions: Sessions) -> None:
        super().__init__(config)
        self._sessions = sessions

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        await self._sessions.close()
        await super().shutdown(sockets)
        log("stop")


class _PromptProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, but who does not get done with a request's headers is cut off."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for headers."""
        super().connection_made(transport)
        self._wait_for_headers()

    def on_message_begin(self) -> None:
        """Begin to wait for the headers of one more request."""
        super().on_message_begin()
        self._wait_for_headers()

    def on_headers_complete(self) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(_HEADERS_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
