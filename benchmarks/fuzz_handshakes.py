"""For benchmarks/fuzz.py: WebSocket handshakes as no honest client sends them."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from fuzz_json import any_text
from fuzz_requests import HEADER_NAMES, HEADER_VALUES
from fuzz_tally import Note
from fuzz_wire import Target, answer_in_time, connection, mangled, send, until_closed

LINGERING = 0.015  # of the cases: the client waits until the service ends the connection
SWITCHED = 101
WRONG = 0.04  # of each of its parts: it is another than it should be
PATHS = ("/v1/stream/", "/v1/predict", "/", "/x", "/v1/stream?x=%ff", "//v1/stream")
UPGRADES = ("WebSocket", "websocket, h2c", "h2c", "web socket", "", "\xff")
CONNECTIONS = ("keep-alive, Upgrade", "upgrade", "close", "", "Upgrade, close")
VERSIONS = ("8", "0", "14", "13, 8", "", "x", "1" * 300, "\xff")
OTHER_HOSTS = (
    "evil.example",
    "localhost.evil.example",
    "localhost@evil.example",
    "[::1",
    "",
    "\xff",
)
OWN_HOSTS = ("localhost", "127.0.0.1", "127.0.0.2", "localhost:1", "[::1]:1")
OTHER_ORIGINS = (
    "http://evil.example",
    "null",
    "",
    "http://localhost.evil.example",
    "file://",
    "\xff",
)
EXTENSIONS = (
    "permessage-deflate", "permessage-deflate; client_max_window_bits=99", 'x; y="z', "x" * 3_000,
    ",,,", "\xff",
)  # fmt: skip
PROTOCOLS = ("chat", "", ",", "a b", "x" * 3_000, "bearer.", "bearer", '"', "é", "a, a", "\xff")


@dataclass(frozen=True)
class Handshake:
    """A handshake's bytes, whether an answer is due, and whether a session may follow."""

    content: bytes
    is_due: bool
    may_pass: bool


async def case(target: Target, rng: Random, note: Note) -> None:
    """Send one handshake, or a part of it, and judge what comes back."""
    one = handshake(target, rng)
    lingers = rng.random() < LINGERING
    note.sent()
    async with connection(target) as streams:
        await send(streams[1], one.content)
        if lingers and not one.is_due:
            await until_closed(streams, note, "a handshake", rng.choice((b"", b"x")))
            return
        answer = await answer_in_time(streams[0], note, is_due=one.is_due)
        if answer and answer.status == SWITCHED and not one.may_pass:
            note.fault("a session for a wrong token, host or origin")
        if answer and lingers:
            await until_closed(streams, note, "an answered handshake")


def handshake(target: Target, rng: Random) -> Handshake:
    """Make a handshake that is right, or wrong in one place or in several."""
    host, origin = [rng.choice(OWN_HOSTS)], []
    if rng.random() < 0.08:
        host = rng.choice(([rng.choice(OTHER_HOSTS)], [rng.choice(OTHER_HOSTS), host[0]], []))
    if rng.random() < 0.2:
        origin = [rng.choice((f"http://{host[0]}", *OTHER_ORIGINS)) if host else "null"]
    token, knows = _token(target, rng)
    headers = [
        *(("Host", name) for name in host),
        *(("Origin", name) for name in origin),
        ("Upgrade", _mostly(rng, "websocket", UPGRADES)),
        ("Connection", _mostly(rng, "Upgrade", CONNECTIONS)),
        ("Sec-WebSocket-Version", _mostly(rng, "13", VERSIONS)),
        ("Sec-WebSocket-Key", _key(rng)),
        *token,
    ]
    if rng.random() < 0.25:
        headers += _more(rng)
    if rng.random() < 0.06:
        headers.pop(rng.randrange(len(headers)))
    if rng.random() < 0.05:
        rng.shuffle(headers)
    method, version = "GET", "HTTP/1.1"
    if rng.random() < 0.05:
        method, version = (
            rng.choice(("GET", "POST", "HEAD", "get")),
            rng.choice(("HTTP/1.0", "HTTP/1.1")),
        )
    path = _mostly(rng, "/v1/stream", PATHS)
    lines = [f"{method} {path} {version}", *(f"{name}: {value}" for name, value in headers)]
    content = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
    may_pass = (knows or not target.token) and _is_own(headers)
    return _broken_off(rng, content, may_pass, has_body=method != "GET")


def _is_own(headers: Sequence[tuple[str, str]]) -> bool:
    """Tell whether host and origin, if any, are the service's own."""
    hosts = [value for name, value in headers if name == "Host"]
    origins = [value for name, value in headers if name == "Origin"]
    own = {f"http://{host}" for host in hosts}
    return bool(hosts) and set(hosts) <= set(OWN_HOSTS) and set(origins) <= own


def _broken_off(rng: Random, content: bytes, may_pass: bool, *, has_body: bool) -> Handshake:
    """Cut a handshake, change bytes of it, send frames right behind it, or leave it as it is."""
    kind = rng.random()
    if kind < 0.08:
        return Handshake(content[: rng.randrange(len(content))], False, may_pass)
    if kind < 0.16:
        return Handshake(mangled(rng, content), False, True)  # a byte may make it right
    is_due = not has_body and b"content-length" not in content.lower()
    if kind < 0.2:
        return Handshake(content + rng.randbytes(rng.randrange(1, 300)), False, may_pass)
    return Handshake(content, is_due and b"transfer-encoding" not in content.lower(), may_pass)


def _token(target: Target, rng: Random) -> tuple[list[tuple[str, str]], bool]:
    """Return the headers that bring a token, and whether it is a right one."""
    right = target.token
    wrong = rng.choice(
        ("", "x", right[:-1], right + "x", right.upper(), right[::-1], "\xff" * 16, right + "\0")
    )
    kind = rng.random()
    if kind < 0.45:
        return [("Authorization", f"Bearer {right}")], True
    if kind < 0.75:
        offered = rng.choice((f"bearer.{right}", f"chat, bearer.{right}", f"bearer.{right}, chat"))
        return [("Sec-WebSocket-Protocol", offered)], True
    if kind < 0.8:
        return [
            ("Authorization", f"{rng.choice(('Bearer', 'Basic', 'bearer ', ''))} {wrong}")
        ], False
    if kind < 0.87:
        return [("Sec-WebSocket-Protocol", rng.choice((f"bearer.{wrong}", *PROTOCOLS)))], False
    if kind < 0.95:  # one of each
        offered = rng.choice((wrong, *PROTOCOLS))
        return [("Authorization", f"Bearer {right}"), ("Sec-WebSocket-Protocol", offered)], True
    return [], False


def _mostly(rng: Random, right: str, others: Sequence[str]) -> str:
    return rng.choice(others) if rng.random() < WRONG else right


def _key(rng: Random) -> str:
    if rng.random() < 0.9:
        return base64.b64encode(rng.randbytes(16)).decode()
    other = base64.b64encode(rng.randbytes(rng.choice((0, 1, 15, 17, 300)))).decode()
    return rng.choice(
        (other, "x", "", "\xff" * 24, any_text(rng).encode("ascii", "replace").decode())
    )


def _more(rng: Random) -> list[tuple[str, str]]:
    """Return more headers: odd ones, extensions, many, or large ones."""
    kind = rng.random()
    if kind < 0.4:
        return [("Sec-WebSocket-Extensions", rng.choice(EXTENSIONS))]
    if kind < 0.6:
        return [
            ("Sec-WebSocket-Protocol", rng.choice(PROTOCOLS))
            for _ in range(rng.choice((1, 2, 200)))
        ]
    if kind < 0.94:
        names = [name for name in HEADER_NAMES if name not in ("Host", "Origin", "Authorization")]
        return [(rng.choice(names), rng.choice(HEADER_VALUES)) for _ in range(rng.randrange(1, 4))]
    if kind < 0.97:
        return [(f"X-{index}", "x") for index in range(rng.choice((100, 130, 300, 3_000)))]
    return [("Cookie", "x" * rng.choice((8_000, 8_300, 20_000, 200_000)))]
