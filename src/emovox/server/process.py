"""The service as a process: a web server around the app that shuts down cleanly."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from functools import partial
from typing import Any

import uvicorn

from .app import create_app
from .connections import Connections, HttpProtocol, LiveProtocol
from .logs import flush_logs, log, set_up_logs
from .settings import ServerSettings

_UNREAD_MS = 60_000  # milliseconds after which a connection with unread data is cut
_BACKLOG = 2_048  # connections that the system queues until they are accepted
_CLOSE_S = 1.0  # seconds of the time to stop that are left for cancelling


def serve(settings: ServerSettings) -> None:
    """Run the service until SIGINT or SIGTERM.

    Raises
    ------
    ConfigError, ModelError
        If a setting is invalid, or the model cannot be opened.
    OSError
        If the address is in use.
    """
    with bind(settings) as listener:
        server = make_server(settings)
        set_up_logs()
        scheme = "https" if settings.ssl_certfile else "http"
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        log("start", url=f"{scheme}://{host}:{listener.getsockname()[1]}")
        for kind in (signal.SIGINT, signal.SIGTERM):
            signal.signal(kind, signal.SIG_IGN)  # uvicorn raises them anew when it has stopped
        server.run(sockets=[listener])
    ended = server.workers.close(0.1)
    log("stop")
    flush_logs()
    if not ended:  # a thread inside the network would crash the interpreter as it goes down
        os._exit(0)


def make_server(settings: ServerSettings) -> "Server":
    """Make the app and the web server around it."""
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        ws=LiveProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws_ping_timeout=None,  # behind the speaker, a pong waits behind the audio; see idle_s
        ws_max_size=int(settings.max_message_kb * 1000),
        ws_per_message_deflate=False,
    )
    return Server(config, app.state, Connections(settings))


def bind(settings: ServerSettings) -> socket.socket:
    """Bind the address; its connections are cut when their clients stop reading."""
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
    listener.listen(_BACKLOG)
    return listener


class Server(uvicorn.Server):
    """uvicorn's server, with connections that `Connections` accepts.

    Before it stops, live sessions are flushed and closed.
    """

    def __init__(self, config: uvicorn.Config, state: Any, connections: Connections) -> None:
        super().__init__(config)
        self._connections = connections
        self._accepting: list[asyncio.Task[None]] = []
        self._sessions = state.sessions
        self._stop_s = max(0.5, state.service.settings.shutdown_s - 2 * _CLOSE_S)
        self.workers = state.service.workers

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the app and accept connections."""
        await super().startup(sockets=[])
        make_http = partial(HttpProtocol, self.config, self.server_state, self.lifespan.state)
        for listener in sockets or ():
            task = asyncio.ensure_future(self._connections.accept(listener, make_http))
            self._accepting.append(task)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop cleanly while there is time, or at once on a second signal."""
        stopping = asyncio.ensure_future(self._stop(sockets))
        until = time.monotonic() + self._stop_s
        while not (stopping.done() or self.force_exit or time.monotonic() >= until):
            await asyncio.wait({stopping}, timeout=0.1)
        if not stopping.done():
            for task in (stopping, *self.server_state.tasks):
                task.cancel()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.lifespan.shutdown(), _CLOSE_S)

    async def _stop(self, sockets: list[socket.socket] | None) -> None:
        await self._sessions.close()
        for task in self._accepting:
            task.cancel()
        await super().shutdown(sockets)
