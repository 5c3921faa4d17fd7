"""For benchmarks/fuzz.py: HTTP requests as no honest client sends them, byte by byte."""

import io
from dataclasses import dataclass
from functools import cache
from random import Random
from urllib.parse import quote

import soundfile

from fuzz_json import any_text, encoded, mutated_json
from fuzz_tally import Note
from fuzz_wire import Target, answer_in_time, connection, mangled, send, until_closed
from machine import REPOSITORY

LINGERING = 0.004  # of the cases: the client waits until the service ends the connection
HUGE = 0.001  # of the parts: so many bytes that quadratic work would be seen
PATHS = (
    "/v1/predict", "/v1/predict", "/v1/predict", "/v1/predict", "/v1/baselines", "/v1/baselines",
    "/v1/model", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/", "/page/page.css",
    "/page/../emovox/x", "/page/%2e%2e/%2e%2e/etc/passwd", "/v1/stream", "/v1/predict/",
    "//v1/predict", "*", "http://127.0.0.1/v1/predict", "/%", "/%ff%00", "/page/\xff",
)  # fmt: skip
METHODS = (
    "GET",
    "HEAD",
    "OPTIONS",
    "PUT",
    "DELETE",
    "PATCH",
    "TRACE",
    "get",
    "CONNECT",
    "X",
    "M-SEARCH",
)
BOUNDARIES = ("-" * 70, "a'()+_,-./:=?", "x" * 300, "", " ", "\xff", "a b")
OTHER_TYPES = (
    "multipart/form-data", "multipart/form-data; boundary", "multipart/form-data;" * 50, "\xff", "",
    "multipart/mixed; boundary=XX", "application/json", "text/plain; charset=x",
)  # fmt: skip
CHARSETS = (
    "utf-8", "UTF8", "latin-1", "ascii", "utf-7", "utf-16", "utf-32", "utf-8-sig", "punycode",
    "idna", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "zlib_codec", "rot13",
    "base64_codec", "hex", "cp037", "shift_jis", "iso2022_jp", "hz", "", "x" * 300, "\xff", "a b",
    "..", "\0",
)  # fmt: skip
PART_NAMES = (
    "file",
    "files",
    "baseline",
    "name",
    "x",
    "",
    "file[]",
    "a\xff",
    "é",
    "%66ile",
    'a"b',
    "x" * 300,
)
HEADER_NAMES = (
    "Accept", "Cookie", "Origin", "Authorization", "X-Forwarded-For", "Content-Encoding", "Expect",
    "Range", "If-None-Match", "Access-Control-Request-Method", "Host", "Via", "Forwarded", "TE",
    "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Content-Type", "X", "\xff",
    "a b", "",
)  # fmt: skip
HEADER_VALUES = (
    "", "*", "x", "close", "keep-alive", "100-continue", "gzip", "bytes=0-1,2-", "null", "bytes=-1",
    "http://127.0.0.1", "http://evil.example", "https://[::1", "Bearer x", "Basic Og==", "h2c",
    "localhost:99999", "127.0.0.1", "[::1]", "evil.example", "localhost@evil", "0", "-1", "chunked",
    "\0", "é", "\xff\xfe", "a\tb", "POST", 'W/""', "x" * 3_000,
)  # fmt: skip
QUERIES = ("segments", "explain", "channels", "x", "baseline", "\xff", "")
QUERY_VALUES = (
    "true",
    "false",
    "1",
    "separate",
    "mix",
    "",
    "x",
    "%00",
    "%ff",
    "%",
    "1e9",
    "&&",
    "a=b",
    "+",
)


@dataclass(frozen=True)
class Request:
    """A request's bytes, and whether they are so whole that an answer is due."""

    content: bytes
    is_due: bool = True
    is_head: bool = False


async def case(target: Target, rng: Random, note: Note) -> None:
    """Send one to four requests on one connection, and judge what comes back."""
    lingers = rng.random() < LINGERING
    async with connection(target) as streams:
        for _ in range(rng.choice((1, 2, 4))):
            one = request(target, rng)
            note.sent()
            await send(streams[1], one.content)
            if lingers:
                break
            answer = await answer_in_time(streams[0], note, is_due=one.is_due, of_head=one.is_head)
            if answer is None or answer.last or not one.is_due:
                return
        if lingers:
            await until_closed(streams, note, "a request", rng.choice((b"", b"", b"x")))


def request(target: Target, rng: Random) -> Request:
    """Make a request that is wrong in one place or in several."""
    body, headers = b"", [("Host", "localhost")]
    method = "POST" if rng.random() < 0.8 else rng.choice(METHODS)
    path = rng.choice(PATHS[:6] if method == "POST" and rng.random() < 0.9 else PATHS)
    if method == "POST":
        body, kind = _body(target, rng)
        headers.append(("Content-Type", kind))
    if rng.random() < 0.15:
        headers += _odd_headers(rng)
    framing, body, is_whole = _framed(rng, body, method == "POST")
    line = f"{method} {path}{_query(rng)} {_version(rng)}"
    head = "".join(f"{name}: {value}\r\n" for name, value in [*headers, *framing])
    content = f"{line}\r\n{head}\r\n".encode("latin-1", "replace") + body
    names = {name for name, _ in headers[2:]}
    is_whole &= not names & {"Content-Length", "Transfer-Encoding", "Upgrade", "Connection"}
    kind = rng.random()
    if kind < 0.08:
        return Request(mangled(rng, content[:400]) + content[400:], False)
    if kind < 0.12:
        return Request(content[: rng.randrange(len(content))], False)
    return Request(content, is_whole and method != "CONNECT", method == "HEAD")


def _version(rng: Random) -> str:
    return (
        "HTTP/1.1" if rng.random() < 0.98 else rng.choice(("HTTP/1.0", "HTTP/2.0", "HTTP/9", "X"))
    )


def _query(rng: Random) -> str:
    if rng.random() < 0.6:
        return ""
    names = [rng.choice(QUERIES) for _ in range(rng.choice((1, 1, 2, 3, 200)))]
    return "?" + "&".join(f"{name}={rng.choice(QUERY_VALUES)}" for name in names)


def _odd_headers(rng: Random) -> list[tuple[str, str]]:
    """Return headers: a few odd ones, many, or large ones."""
    kind = rng.random()
    if kind < 0.9:
        return [
            (rng.choice(HEADER_NAMES), rng.choice(HEADER_VALUES))
            for _ in range(rng.randrange(1, 4))
        ]
    if kind < 0.95:
        return [(f"X-{index}", "x") for index in range(rng.choice((100, 127, 200, 1_000, 20_000)))]
    return [("Cookie", "x" * rng.choice((8_000, 9_000, 65_000, 300_000, 2_000_000)))]


def _framed(rng: Random, body: bytes, has_body: bool) -> tuple[list[tuple[str, str]], bytes, bool]:
    """Return the headers that tell a body's length, the body as sent, and whether it is whole."""
    length = len(body)
    kind = rng.random()
    if not has_body and kind < 0.9:
        return [], b"", True
    if kind < 0.8:
        return [("Content-Length", str(length))], body, True
    if kind < 0.92:
        return [("Transfer-Encoding", "chunked")], _chunked(rng, body), True
    if kind < 0.95:
        broken = mangled(rng, _chunked(rng, body[:2_000]))
        return [("Transfer-Encoding", rng.choice(("chunked", "gzip, chunked", "x")))], broken, False
    lengths = (
        str(length + 9),
        str(length // 2),
        "-1",
        "+5",
        "0x5",
        "9" * 30,
        "",
        "5, 5",
        "1e3",
        " 3",
    )
    framing = [("Content-Length", rng.choice(lengths)) for _ in range(rng.choice((1, 1, 2)))]
    if rng.random() < 0.2:
        framing.append(("Transfer-Encoding", "chunked"))
    return framing, body, False


def _chunked(rng: Random, body: bytes) -> bytes:
    size = rng.choice((1, 7, 1_000, 70_000)) if len(body) < 2_000 else 70_000
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    extension = rng.choice((b"", b"", b";x=y", b';"' + b"x" * 200 + b'"'))
    trailer = rng.choice((b"", b"", b"X: y\r\n"))
    chunks = [b"%X%s\r\n%s\r\n" % (len(part), extension, part) for part in parts]
    return b"".join(chunks) + b"0\r\n" + trailer + b"\r\n"


def _body(target: Target, rng: Random) -> tuple[bytes, str]:
    """Return a body and its type, mostly a multipart form."""
    boundary = "XX" if rng.random() < 0.9 else rng.choice(BOUNDARIES)
    parts = [_part(target, rng) for _ in range(rng.choice((1, 1, 2, 2, 3, 12, 120)))]
    mark = b"--" + boundary.encode("latin-1")
    ends = (b"--\r\n",) * 20 + (b"", b"--", b"\r\n", b"--\r\nmore")
    body = b"".join(mark + b"\r\n" + part for part in parts) + mark + rng.choice(ends)
    if rng.random() < 0.1:
        body = mangled(rng, body[:600], 8) + body[600:]
    quoted = rng.choice((boundary, f'"{boundary}"'))
    kind = f"multipart/form-data; boundary={quoted}"
    if rng.random() < 0.2:
        kind += f"; charset={rng.choice(CHARSETS)}"
    return body, rng.choice(OTHER_TYPES) if rng.random() < 0.05 else kind


def _part(target: Target, rng: Random) -> bytes:
    """Return one part of a form, with its headers."""
    name = rng.choice(PART_NAMES[:4] if rng.random() < 0.85 else PART_NAMES)
    head = f'Content-Disposition: form-data; name="{name}"'
    if name.startswith("file") or rng.random() < 0.1:
        head += rng.choice(
            ('; filename="a.wav"', "; filename=a", "; filename*=utf-7''%ff", '; filename=""', "")
        )
    if rng.random() < 0.15:
        head += "\r\n" + rng.choice(
            (
                f"Content-Type: text/plain; charset={rng.choice(CHARSETS)}",
                "Content-Transfer-Encoding: base64",
                "Content-Disposition: form-data; name=file",
                "X: " + "x" * rng.choice((10, 5_000)),
                "X\0: \xff",
                "\r\n".join(f"X-{index}: y" for index in range(rng.choice((3, 200)))),
            )
        )
    return f"{head}\r\n\r\n".encode("latin-1", "replace") + _content(target, rng, name) + b"\r\n"


def _content(target: Target, rng: Random, name: str) -> bytes:
    """Return what stands in a part: half of the time what belongs there, changed or not."""
    if rng.random() < HUGE:
        return b"b" * 300_000 + b"-" + b"aa" * 300_000
    kind = rng.random()
    if name == "baseline" and kind < 0.8:
        return encoded(mutated_json(rng, target.baseline))
    if name.startswith("file") and kind < 0.3:
        return recording()
    if name.startswith("file") and kind < 0.5:
        return mangled(rng, recording())
    if kind < 0.7:
        return encoded(any_text(rng))
    return rng.choice(
        (b"", rng.randbytes(rng.randrange(300)), quote(any_text(rng), errors="replace").encode())
    )


@cache
def recording() -> bytes:
    """Return a third of a second of speech as FLAC."""
    samples, rate = soundfile.read(REPOSITORY / "examples" / "even.flac")
    file = io.BytesIO()
    soundfile.write(file, samples[rate // 2 : rate // 2 + rate // 3], rate, format="FLAC")
    return file.getvalue()
