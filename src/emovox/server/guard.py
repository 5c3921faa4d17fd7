"""Middleware: checks host, origin, rate and token; adds headers; counts and logs requests."""

import asyncio
import hmac
import ipaddress
import logging
import re
import socket
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .logs import log
from .metrics import Metrics
from .rates import Addresses, address_of
from .refusals import RefusedError, as_refusal
from .settings import ServerSettings
from .workers import GivenUpError

_HOST = re.compile(r"(\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<name>[\w.-]+))(:\d*)?", re.ASCII)
# Paths that need no token.
_OPEN_PATHS = frozenset(
    {"/", "/service-worker.js", "/healthz", "/readyz", "/docs", "/openapi.json", "/asyncapi.json"}
)
JOURNAL_PATH = "/v1/journal"
PERSON = "emovox.person"  # in the scope: the word for the person of the request's token
# What a proxy tells of the client behind it.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_FILES = ("/page/", "/device/")  # of the page: they need none, either
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
        "connect-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
        "worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """ASGI middleware around the whole app, for requests and WebSockets."""

    def __init__(self, app: ASGIApp, settings: ServerSettings, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._rates = Addresses(settings.max_requests_per_s)
        self._own_hosts = {"localhost", settings.host.lower(), socket.gethostname().lower()}
        others = {urlsplit(origin).hostname or "" for origin in settings.origins}
        self._hosts = self._own_hosts | others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or open one WebSocket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        served = {**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope
        answer = _Answer(scope, send)
        try:
            try:
                self._check(scope)
            except RefusedError as refusal:
                await refusal.response()(scope, receive, answer.send)
            else:
                await self._app(served, receive, answer.send)
        except asyncio.CancelledError:  # the service is stopping, and nothing awaits this task
            if answer.status == 500:
                await as_refusal(GivenUpError()).response()(scope, receive, answer.send)
        finally:
            self._note(scope, served, answer.status, time.perf_counter() - started)

    def _check(self, scope: Scope) -> None:
        """Raise RefusedError unless the request is allowed."""
        headers = Headers(scope=scope)
        self._check_host(headers)
        if scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD"):
            self._check_origin(scope, headers)
        if self._rates.take(address_of(scope)):
            raise RefusedError(
                429,
                "too_many_requests",
                f"expected at most {self._settings.max_requests_per_s:g} requests a second from "
                "one address; try again later",
                {"Retry-After": "1"},
            )
        path = _path(scope)
        if path.startswith(JOURNAL_PATH):
            self._check_private(scope, headers)
        if not is_open(path) and scope.get("method") != "OPTIONS":
            self._check_token(scope, headers)

    def _check_host(self, headers: Headers) -> None:
        """Refuse hosts other than the service's own, unless a token protects it.

        Another site could let a name of its own resolve to this address, and its pages would pass
        for those of the service (DNS rebinding). An IP address cannot be forged in this way.
        """
        given = headers.getlist("host")
        if len(given) > 1:
            raise RefusedError(400, "host", f"expected one Host header, got {len(given)}")
        if "*" in self._settings.origins or not (self._settings.local or not self._settings.tokens):
            return
        name = _name_of(given[0] if given else "")
        if name not in self._hosts and not _is_address(name):
            raise RefusedError(
                403,
                "host",
                "without a token, expected an IP address, localhost or the machine's own name as "
                "the host; for another name start the service with --origin, such as "
                "--origin https://my.example",
            )

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        origin = headers.get("origin")
        allowed = self._settings.origins
        if origin is None or "*" in allowed or origin in allowed:
            return
        scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
        own = f"{scheme}://{headers.get('host', '')}"
        if origin.lower() != own.lower():
            raise RefusedError(
                403,
                "origin",
                "pages of other hosts may not use this service; --origin allows them",
            )

    def _check_private(self, scope: Scope, headers: Headers) -> None:
        """Let only the service's own page, and programs, reach journals, whatever the origins.

        Without tokens, only this machine may: not by way of a proxy, nor by a name of another site.
        """
        origin, host = headers.get("origin"), headers.get("host", "")
        is_other = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
        if is_other or headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            raise RefusedError(403, "origin", "pages of other hosts may not reach journals")
        if self._settings.tokens:
            return
        name = _name_of(host)
        if name not in self._own_hosts and not _is_address(name):
            raise RefusedError(
                403, "host", "expected localhost or an IP address as the host, to reach journals"
            )
        if not _is_loopback(address_of(scope)) or any(one in headers for one in _FORWARDED):
            raise RefusedError(
                403,
                "journal_off",
                "without a token, journals can be reached from this machine alone and not by way "
                "of a proxy",
            )

    def _check_token(self, scope: Scope, headers: Headers) -> None:
        if not self._settings.tokens:
            return
        given = _token(scope, headers).encode("utf-8", "replace")
        # All are compared, each in constant time, so that the time reveals nothing.
        people = self._settings.people
        known = [token for token in people if hmac.compare_digest(given, token.encode())]
        if not known:
            raise RefusedError(
                401,
                "token",
                "expected a valid token as 'Authorization: Bearer TOKEN', or on a WebSocket as "
                "the subprotocol bearer.TOKEN",
                {"WWW-Authenticate": "Bearer"},
            )
        scope[PERSON] = people[known[0]]

    def _note(self, scope: Scope, served: Scope, status: int, seconds: float) -> None:
        route = getattr(served.get("route"), "path", None) or "other"
        live = scope["type"] == "websocket"
        self._metrics.requests.labels(route, str(status)).inc()
        if not live:
            self._metrics.request_seconds.labels(route).observe(seconds)
        log(
            "session" if live else "request",
            level=logging.ERROR if status >= 500 and status != 503 else logging.INFO,
            method="WS" if live else scope["method"],
            route=route,
            status=status,
            ms=round(1000 * seconds, 1),
        )


class _Answer:
    """Sends the answer to a request with our headers, and keeps its status."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._path = scope, _path(scope)  # routing changes the scope
        self._send = send
        self.status = 500

    async def send(self, message: Message) -> None:
        """Send a message on."""
        kind = message["type"]
        if kind.endswith("response.start"):
            self.status = message["status"]
            _add_headers(MutableHeaders(scope=message), self._path)
        elif kind == "websocket.accept":
            self.status = 101
        elif kind == "websocket.close" and self.status == 500:  # no such route
            refusal = RefusedError(404, "not_found", "live sessions are at /v1/stream")
            await refusal.response()(self._scope, _nothing, self.send)
            return
        elif kind == "http.response.body" and self._scope["method"] == "HEAD":
            message = {**message, "body": b""}
        await self._send(message)


async def _nothing() -> Message:
    raise RuntimeError("an answer reads nothing")


def _path(scope: Scope) -> str:
    """Return the path that the routes see: without the one under which the app is mounted."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


def _name_of(host: str) -> str:
    """Return the name or address in a Host header; "" if it is malformed."""
    match = _HOST.fullmatch(host)
    return (match["v6"] or match["name"]).lower() if match else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def is_open(path: str) -> bool:
    """Return whether a path needs no token: the page and its files, and health checks."""
    return path in _OPEN_PATHS or path.startswith(_FILES)


def _token(scope: Scope, headers: Headers) -> str:
    """Return the token of a request; "" if it has none."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    for name in scope.get("subprotocols", ()):
        if name.startswith("bearer."):
            return str(name.removeprefix("bearer."))
    return ""


def _add_headers(headers: MutableHeaders, path: str) -> None:
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    if path.startswith(JOURNAL_PATH):
        headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Cache-Control", "no-cache" if path.startswith(_FILES) else "no-store")
