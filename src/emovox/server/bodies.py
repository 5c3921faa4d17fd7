"""Bodies of requests, read into memory within limits, and never to disk."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from ..sound import CONVERT, other_format
from .rates import Shares, address_of
from .refusals import RefusedError, busy
from .service import Service
from .settings import ServerSettings

T = TypeVar("T")
Hold = Callable[[int], None]
"""Called with the size of each piece of a body that is kept in memory."""
_MAX_HELD = 4  # requests of maximum size that are held in memory at the same time


class Slots:
    """Limits the number and the bytes of concurrent requests with recordings."""

    def __init__(self, settings: ServerSettings) -> None:
        self._places = Shares("requests with recordings", settings.max_uploads, settings.max_share)
        self._max_bytes = int(_MAX_HELD * 1e6 * settings.max_upload_mb)
        self._bytes = 0

    @contextmanager
    def taken(self, request: Request) -> Iterator[Hold]:
        """Take a place; yield a function to call with the size of each piece that is kept."""
        held = 0

        def hold(n_bytes: int) -> None:
            nonlocal held
            if self._bytes + n_bytes > self._max_bytes:
                limit = f"{self._max_bytes / 1e6:g} MB is the limit of concurrent recordings"
                raise busy(limit, 1)
            held += n_bytes
            self._bytes += n_bytes

        with self._places.place(address_of(request.scope)):
            try:
                yield hold
            finally:
                self._bytes -= held


class _MemoryParser(MultiPartParser):
    """A parser of multipart bodies that never writes to disk."""

    spool_max_size = sys.maxsize


async def unless_gone(request: Request, answer: Coroutine[Any, Any, T]) -> T:
    """Await an answer, but cancel it if the client disconnects."""
    made = asyncio.ensure_future(answer)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({made, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not made.done():
            raise ClientDisconnect
        return made.result()
    finally:
        made.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def kind_of(request: Request) -> str:
    """Return the type of a request's body, without its options."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@asynccontextmanager
async def in_time(service: Service) -> AsyncIterator[None]:
    """Refuse a request that does not arrive within `upload_timeout_s`."""
    max_s = service.settings.upload_timeout_s
    try:
        async with asyncio.timeout(max_s):
            yield
    except TimeoutError:
        reason = f"expected the whole request within {max_s:g} s"
        raise RefusedError(408, "too_slow", reason, {"Connection": "close"}) from None


@asynccontextmanager
async def form_of(
    request: Request, service: Service, hold: Hold, max_files: int
) -> AsyncIterator[FormData]:
    """Read a multipart body within the limits of size and time; close it at the end."""
    _check_form(request)
    body = limited(request, service, hold)
    parser = _MemoryParser(request.headers, body, max_files=max_files, max_fields=10)
    try:
        async with in_time(service):
            form = await parser.parse()
    except MultiPartException as error:
        raise RefusedError(
            400, "multipart", f"unreadable multipart body: {error.message}"
        ) from None
    try:
        yield form
    finally:
        await form.close()


def _check_form(request: Request) -> None:
    """Refuse other bodies than forms, and other charsets than UTF-8: some decode very slowly.

    No browser, and no other client that was tried, sends a charset.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        raise RefusedError(
            415,
            "content_type",
            f"expected a multipart form, got {kind_of(request)[:100] or 'a body without a type'}; "
            "with curl use -F file=@recording.wav, or to send the recording as the body "
            "--data-binary @recording.wav -H 'Content-Type: audio/wav'",
        )
    if options.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8"):
        raise RefusedError(415, "content_type", "expected a form in UTF-8, without a charset")


async def limited(request: Request, service: Service, hold: Hold) -> AsyncGenerator[bytes, None]:
    """Yield a request's body, unless it is or becomes too large."""
    max_bytes = int(service.settings.max_upload_mb * 1e6)
    too_large = RefusedError(
        413,
        "too_large",
        f"expected a request of at most {max_bytes / 1e6:g} MB; cut or compress the recording",
    )
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise too_large
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > max_bytes:
            too_large.headers = {"Connection": "close"}
            raise too_large
        hold(len(chunk))
        yield chunk


async def content_of(field: UploadFile | str | None, name: str) -> bytes:
    """Return the recording in a field of a form."""
    if not isinstance(field, UploadFile):
        raise RefusedError(422, name, f"expected a recording in the form field `{name}`")
    return await field.read()


def checked(content: bytes, service: Service) -> bytes:
    """Refuse a recording that only ffmpeg can read, unless the service may run it."""
    if not service.settings.ffmpeg and (other := other_format(content[:16])):
        reason = f"{other} is not read by this service; {CONVERT}"
        raise RefusedError(415, "unsupported_audio", reason)
    return content
