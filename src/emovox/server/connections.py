"""Connections: limits of number, time and size that uvicorn does not have."""

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode

from ..errors import ConfigError
from .rates import Shares
from .refusals import RefusedError
from .settings import ServerSettings

_PROMPT_S = 10.0  # seconds for the TLS handshake, for headers to arrive, for a client to read
_MIN_BYTES = 100_000  # bytes of an answer that a client must read in that time
_MAX_HEADER_BYTES = 65_536
_MAX_HEADERS = 100
_SLICE = 4_096  # bytes of a live session that are parsed at a time
_MAX_FRAGMENTS = 1_000  # in a message
_MAX_UNREAD = 1_000_000  # bytes that the client of a live session may leave unread
_BREATH_S = 0.1  # seconds before the next try when no connection can be accepted
_SPARE = 200  # connections besides live sessions and uploads: the page, health checks


class Connections:
    """Accepts connections: each needs a free place, and TLS if configured, before HTTP begins.

    Raises
    ------
    ConfigError
        If the certificate or its key cannot be used.
    """

    def __init__(self, settings: ServerSettings) -> None:
        n_places = settings.max_sessions + settings.max_uploads + _SPARE
        self._places = Shares("connections", n_places, settings.max_share)
        self._tls = _tls(settings) if settings.ssl_certfile else None
        self._opening: set[asyncio.Task[None]] = set()

    async def accept(
        self, listener: socket.socket, make_http: "Callable[[], HttpProtocol]"
    ) -> None:
        """Accept connections until cancelled; `make_http` makes the protocol of each."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        while True:
            try:
                connection, address = await loop.sock_accept(listener)
            except OSError:  # too many open files, or a client that is gone already
                await asyncio.sleep(_BREATH_S)
                continue
            place = contextlib.ExitStack()
            try:
                place.enter_context(self._places.place(address[0]))
            except RefusedError as refusal:
                self._refuse(connection, refusal)
                continue
            opening = loop.create_task(self._open(connection, make_http(), place))
            self._opening.add(opening)  # or it could be garbage-collected
            opening.add_done_callback(self._opening.discard)

    async def _open(
        self, connection: socket.socket, http: "HttpProtocol", place: contextlib.ExitStack
    ) -> None:
        http.place = place
        timeout_s = _PROMPT_S if self._tls else None
        opened = False
        try:
            with contextlib.suppress(OSError):  # failed TLS, or too late
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: http, connection, ssl=self._tls, ssl_handshake_timeout=timeout_s
                )
                opened = True
        finally:
            if not opened:
                place.close()

    def _refuse(self, connection: socket.socket, refusal: RefusedError) -> None:
        with connection, contextlib.suppress(OSError):
            if self._tls is None:
                connection.setblocking(False)
                connection.send(_raw(refusal))


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with limits of time and size.

    While no request is being answered, a client has `_PROMPT_S` to finish the last one and to send
    the headers of the next; it always has as long to read a part of its answer.
    """

    place: contextlib.ExitStack  # of the connection, closed with it
    _answering: deque[Any]  # uvicorn's incomplete cycles, in order
    _deadline: asyncio.TimerHandle | None = None
    _unsent = 0  # bytes when the deadline was set
    _n_bytes = 0  # received since the last complete headers or body

    def connection_made(self, transport: Any) -> None:
        """Start to wait for headers."""
        super().connection_made(transport)
        self._answering = deque()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting and writing."""
        self._stop_waiting()
        self.place.close()
        super().connection_lost(exc)
        for cycle in self._answering:  # uvicorn does it for the last only
            cycle.disconnected = True

    def data_received(self, data: bytes) -> None:
        """Refuse endless headers, trailers and empty lines."""
        self._n_bytes += len(data)
        super().data_received(data)
        if self._n_bytes > _MAX_HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response("")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; drop cookies, which belong to other services on the same host."""
        if name.lower() == b"cookie":
            return
        if len(self.headers) >= _MAX_HEADERS:
            raise ValueError("too many headers")  # which the parser turns into its own error
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stop waiting if an answer begins."""
        self._n_bytes = 0
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self._answering.append(self.cycle)
            self._stop_waiting()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._n_bytes = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Start to wait for the next request."""
        self._answering.popleft()
        super().on_response_complete()
        if not self._answering:
            self._wait()

    def pause_writing(self) -> None:
        """Start to wait for the client to read."""
        super().pause_writing()
        self._wait()

    def resume_writing(self) -> None:
        """Stop waiting for the client to read."""
        super().resume_writing()
        if self._answering:
            self._stop_waiting()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, unless the handshake is invalid."""
        self._stop_waiting()
        super().handle_websocket_upgrade()
        live: Any = self.transport.get_protocol()
        live.place = self.place
        if not live.handshake_initiated:
            self._refuse()

    def send_400_response(self, msg: str) -> None:
        """Refuse an unreadable request."""
        if any(cycle.response_started for cycle in self._answering):
            self.transport.abort()
        else:
            self._refuse()

    def _refuse(self) -> None:
        reason = (
            f"expected a request of HTTP/1.1, with at most {_MAX_HEADERS} headers and "
            f"{_MAX_HEADER_BYTES // 1024} kB of them"
        )
        self.transport.write(_raw(RefusedError(400, "http", reason)))
        self.transport.close()

    def _wait(self) -> None:
        self._stop_waiting()
        self._unsent = self.transport.get_write_buffer_size()
        self._deadline = self.loop.call_later(_PROMPT_S, self._cut)

    def _cut(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            self.transport.close()
        elif unsent > self._unsent - _MIN_BYTES:
            self.transport.abort()
        else:
            self._wait()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class LiveProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol with limits of size.

    Each turn of the event loop parses one slice of the received bytes, since 250 kB can hold 40,000
    small messages and would keep others waiting. Reading pauses until the app has taken the
    messages of a slice.
    """

    place: contextlib.ExitStack

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unparsed = bytearray()
        self._turn: asyncio.Handle | None = None  # parses the next slice
        self._n_late = 0  # bytes received after the session was closed

    def data_received(self, data: bytes) -> None:
        """Take bytes; those of the handshake at once, since headers have their own limit."""
        if not self.handshake_initiated:
            super().data_received(data)
            return
        self._n_late += len(data) if self.close_sent else 0
        if self._n_late > _MAX_UNREAD:
            self.transport.abort()
        elif len(data) <= _SLICE and not (self._unparsed or self._stopped()):
            self._parse_slice(data)  # an ordinary message
        else:
            self._unparsed += data
            if self._turn is None:
                self._parse()

    async def send(self, message: Any) -> None:
        """Send a message; unlike uvicorn, take a whole HTTP response as the end of a handshake."""
        await super().send(message)
        is_body = message["type"] == "websocket.http.response.body"
        if is_body and not message.get("more_body", False):
            self.handshake_complete = True

    async def receive(self) -> Any:
        """Return the next message; parse the next slice once the app has taken all."""
        message = await super().receive()
        if self._unparsed:
            self._parse_soon()  # the call above may have resumed reading
        return message

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._unparsed.clear()
        self.place.close()
        super().connection_lost(exc)

    def send_receive_event_to_app(self) -> None:
        """Pass a message on; a text that is not UTF-8 ends the session, as in RFC 6455."""
        if self.curr_msg_data_type == "text" and not _is_utf_8(b"".join(self.frames)):
            self.conn.fail(CloseCode.INVALID_DATA, "expected text as UTF-8")
            self.handle_parser_exception()
        else:
            super().send_receive_event_to_app()

    def _parse(self) -> None:
        """Parse a slice; continue at the next turn unless the app has to take messages first."""
        self._turn = None
        if self._stopped():
            return
        data = bytes(self._unparsed[:_SLICE])
        del self._unparsed[:_SLICE]
        self._parse_slice(data)

    def _parse_slice(self, data: bytes) -> None:
        super().data_received(data)
        unread = self.transport.get_write_buffer_size()  # each ping is answered, read or not
        if unread > _MAX_UNREAD or len(self.frames) > _MAX_FRAGMENTS:
            self.transport.abort()
        elif self._unparsed:
            self._parse_soon()
        elif not self._stopped():
            self.transport.resume_reading()

    def _parse_soon(self) -> None:
        if not (self._stopped() or self._turn):
            self.transport.pause_reading()
            self._turn = self.loop.call_soon(self._parse)

    def _stopped(self) -> bool:
        return self.read_paused or bool(self.transport.is_closing())


def _is_utf_8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


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
    """Return a refusal as bytes, for a connection that never reaches the app."""
    body = bytes(refusal.response().body)
    head = (
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body
