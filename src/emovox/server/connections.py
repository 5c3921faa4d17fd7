"""Connections: how many, how soon and how large, which the web server itself does not limit."""

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from ..errors import ConfigError
from .rates import Shares
from .refusals import RefusedError
from .settings import ServerSettings

_PROMPT_S = 10.0  # within which TLS is agreed on, headers arrive, and what was answered is read
_SLOWEST = 100_000  # bytes that are read of an answer in that time
_MAX_HEADER_BYTES = 65_536
_MAX_HEADERS = 100
_MAX_UNREAD = 1_000_000  # bytes that a live session's client may leave unread
_SPARE = 200  # connections besides live sessions and uploads: the page, signs of life


class Doors:
    """Makes what stands at the server's end of each connection; uvicorn calls it for one each.

    Raises
    ------
    ConfigError
        If the certificate or its key cannot be used.
    """

    def __init__(self, settings: ServerSettings) -> None:
        most = settings.max_sessions + settings.max_uploads + _SPARE
        self._places = Shares(most, settings.max_share)
        self._tls = _tls(settings) if settings.ssl_certfile else None

    def __call__(self, **options: Any) -> asyncio.Protocol:
        """Make one."""
        return _Door(self._places, self._tls, partial(HttpProtocol, **options))


class _Door(asyncio.Protocol):
    """A connection before its first byte: it needs a place and, maybe, TLS."""

    def __init__(
        self, places: Shares, tls: ssl.SSLContext | None, make_http: "Callable[[], HttpProtocol]"
    ) -> None:
        self._places = places
        self._tls = tls
        self._make_http = make_http
        self._early = b""  # what comes between TLS and `_open`
        self._lost = False

    def connection_made(self, transport: Any) -> None:
        """Take a place, or refuse."""
        address = (transport.get_extra_info("peername") or ("",))[0]
        if why := self._places.take(address):
            if self._tls is None:
                transport.write(_raw(RefusedError(503, "busy", f"{why} is the limit of "
                "connections at the same time; try again later")))  # fmt: skip
            transport.close()
            return
        leave = partial(self._places.leave, address)
        if self._tls is None:
            self._open(transport, leave)
        else:
            transport.pause_reading()
            self._task = asyncio.get_running_loop().create_task(self._secure(transport, leave))

    def data_received(self, data: bytes) -> None:
        """Keep what comes early."""
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        """Open no more."""
        self._lost = True

    async def _secure(self, transport: Any, leave: Callable[[], None]) -> None:
        assert self._tls is not None  # as connection_made has seen
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport, self, self._tls, server_side=True, ssl_handshake_timeout=_PROMPT_S
            )
        except OSError:  # of the client: no TLS, or too late
            transport.abort()
            secured = None
        if secured is None or self._lost:
            leave()
        else:
            self._open(secured, leave)

    def _open(self, transport: Any, leave: Callable[[], None]) -> None:
        http = self._make_http()
        http.leave = leave
        transport.set_protocol(http)
        http.connection_made(transport)
        if self._early:
            http.data_received(self._early)


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, within limits of time and size.

    While no request is being answered, its client has some seconds to end the one before and to
    send the headers of the next.
    """

    leave: Callable[[], None]  # the connection's place
    _deadline: asyncio.TimerHandle | None = None
    _unsent = 0  # bytes when the deadline was set
    _n_bytes = 0  # that came and are neither complete headers nor a body

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for headers."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        self.leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Refuse what never becomes a request: endless headers, trailers, empty lines."""
        self._n_bytes += len(data)
        super().data_received(data)
        if self._n_bytes > _MAX_HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response("")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; cookies are other services', which share them on one host's ports."""
        if name.lower() == b"cookie":
            return
        if len(self.headers) >= _MAX_HEADERS:
            raise ValueError("too many headers")  # the parser makes it one of its own errors
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Wait no more, if an answer begins."""
        self._n_bytes = 0
        super().on_headers_complete()
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._n_bytes = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Begin to wait for one more request."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self._wait()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, unless the handshake is none."""
        self._stop_waiting()
        super().handle_websocket_upgrade()
        live: Any = self.transport.get_protocol()
        live.leave = self.leave
        if not live.handshake_initiated:
            self._refuse()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read as a request."""
        if self.cycle is None or self.cycle.response_complete:
            self._refuse()
        else:
            self.transport.abort()

    def _refuse(self) -> None:
        why = (
            f"expected a request of HTTP/1.1, with at most {_MAX_HEADERS} headers and "
            f"{_MAX_HEADER_BYTES // 1024} kB of them"
        )
        self.transport.write(_raw(RefusedError(400, "http", why)))
        self.transport.close()

    def _wait(self) -> None:
        self._stop_waiting()
        self._unsent = self.transport.get_write_buffer_size()
        self._deadline = self.loop.call_later(_PROMPT_S, self._cut)

    def _cut(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            self.transport.close()
        elif unsent > self._unsent - _SLOWEST:
            self.transport.abort()
        else:
            self._wait()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class LiveProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, but who reads nothing of what it is sent is cut off."""

    leave: Callable[[], None]

    def data_received(self, data: bytes) -> None:
        """Take bytes; each ping among them is answered, whether the client reads or not."""
        super().data_received(data)
        if self.transport.get_write_buffer_size() > _MAX_UNREAD:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self.leave()
        super().connection_lost(exc)


def _tls(settings: ServerSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.ssl_certfile or "", settings.ssl_keyfile)
    except OSError as error:
        raise ConfigError(
            f"{settings.ssl_certfile}, {settings.ssl_keyfile}: expected a certificate and its key, "
            f"as PEM: {error.strerror or error}"
        ) from None
    return context


def _raw(refusal: RefusedError) -> bytes:
    """Return a refusal as bytes, for what never gets to the app."""
    body = bytes(refusal.response().body)
    head = (
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body
