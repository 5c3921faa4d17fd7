"""What stands before every request: host, origin, token, rate; headers, counts and log after it."""

import hmac
import logging
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .logs import log
from .metrics import Metrics
from .rates import Addresses
from .refusals import RefusedError
from .settings import ServerSettings

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/docs", "/openapi.json"})  # need no token
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, settings: ServerSettings, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._rates = Addresses(settings.max_requests_per_s)
        self._hosts = _LOCAL_NAMES | {urlsplit(origin).hostname for origin in settings.origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or open one WebSocket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"].endswith("response.start"):
                status = message["status"]
                _add_headers(MutableHeaders(scope=message), scope["path"])
            elif message["type"] == "websocket.accept":
                status = 101
            await send(message)

        try:
            try:
                self._check(scope)
            except RefusedError as refusal:
                await refusal.response()(scope, receive, send_on)
            else:
                await self._app(scope, receive, send_on)
        finally:
            self._note(scope, status, time.perf_counter() - started)

    def _check(self, scope: Scope) -> None:
        """Raise RefusedError unless the request may go on."""
        headers = Headers(scope=scope)
        self._check_host(headers)
        if scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD"):
            self._check_origin(scope, headers)
        if self._rates.take((scope.get("client") or ("",))[0]):
            raise RefusedError(
                429,
                "too_many_requests",
                f"expected at most {self._settings.max_requests_per_s:g} requests a second from "
                "one address; wait a little",
                {"Retry-After": "1"},
            )
        if not is_open(scope["path"]) and scope.get("method") != "OPTIONS":
            self._check_token(scope, headers)

    def _check_host(self, headers: Headers) -> None:
        """Refuse foreign names of a local service: a page elsewhere could have made one up."""
        if not self._settings.local or "*" in self._settings.origins:
            return
        host = headers.get("host", "")
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            name = None
        if name not in self._hosts:
            raise RefusedError(
                403,
                "host",
                "the service answers under the names localhost and 127.0.0.1 alone; for another "
                "name start it with --host or --origin",
            )

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        origin = headers.get("origin")
        allowed = self._settings.origins
        if origin is None or "*" in allowed or origin in allowed:
            return
        scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
        own = f"{scheme}://{headers.get('host', '')}"
        if origin != own:
            raise RefusedError(
                403,
                "origin",
                "pages of other hosts may not use this service; start it with --origin to allow it",
            )

    def _check_token(self, scope: Scope, headers: Headers) -> None:
        if not self._settings.tokens:
            return
        given = _token(scope, headers).encode("utf-8", "replace")
        # All are compared, each in constant time: how long it takes tells nothing.
        known = [hmac.compare_digest(given, token.encode()) for token in self._settings.tokens]
        if not any(known):
            raise RefusedError(
                401,
                "token",
                "expected a known token as 'Authorization: Bearer TOKEN', or on a WebSocket as "
                "the subprotocol bearer.TOKEN",
                {"WWW-Authenticate": "Bearer"},
            )

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or "other"
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


def is_open(path: str) -> bool:
    """Tell whether a path is served without a token: the page, its parts, and signs of life."""
    return path in _OPEN_PATHS or path.startswith("/page/")


def _token(scope: Scope, headers: Headers) -> str:
    """Return the token that came with a request; "" for none."""
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
    headers.setdefault("Cache-Control", "no-cache" if path.startswith("/page/") else "no-store")
