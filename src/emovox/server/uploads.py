"""Requests with recordings: /v1/predict and /v1/baselines, read into memory and never to disk."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ..baseline import Baseline
from .recordings import Channels, answer_baseline, answer_segments, answer_whole
from .refusals import RefusedError
from .service import Service
from .settings import ServerSettings

_MAX_FILES = 100  # in one request for a baseline
_MAX_HELD = 4  # requests of the largest size that are held in memory at the same time
_MAX_NAME = 200  # letters, of a speaker
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "Not a readable multipart body"},
    401: {"description": "No known token"},
    403: {"description": "A foreign host or origin"},
    408: {"description": "The request came too slowly"},
    413: {"description": "Too many bytes, or too long a recording"},
    415: {"description": "No multipart body, or no audio that can be read"},
    422: {"description": "No speech, a broken recording, or a parameter that cannot be"},
    429: {"description": "Too many requests from one address"},
    503: {"description": "Busy; try again"},
}
_FILE = {"type": "string", "format": "binary"}


def _body(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """Describe a multipart body for the OpenAPI document."""
    schema = {"type": "object", "properties": properties, "required": required}
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }


_PREDICT_BODY = _body({"file": _FILE, "baseline": {"type": "string"}}, ["file"])
_BASELINE_BODY = _body(
    {"files": {"type": "array", "items": _FILE}, "name": {"type": "string"}}, ["files"]
)


def add_uploads(app: FastAPI, service: Service) -> None:
    """Add the routes that take recordings."""
    slots = _Slots(service.settings)

    @app.post("/v1/predict", openapi_extra=_PREDICT_BODY, responses=_REFUSALS, tags=["recordings"])
    async def predict(
        request: Request,
        segments: bool = False,
        explain: bool = False,
        channels: Channels = "mix",
    ) -> JSONResponse:
        """Recognise the emotion of a recording: as a whole, or of each part of speech."""
        if channels == "separate" and not segments:
            raise RefusedError(422, "parameter", "channels=separate goes with segments=true alone")
        with slots.taken() as hold:
            async with _form(request, service, hold, max_files=1) as form:
                content, baseline = await _content(form.get("file"), "file"), _baseline(form)
            if not segments:
                answer = await answer_whole(service, content, baseline, explain)
            else:
                gone = request.is_disconnected
                answer = await answer_segments(service, content, baseline, explain, channels, gone)
        return JSONResponse(answer)

    @app.post(
        "/v1/baselines", openapi_extra=_BASELINE_BODY, responses=_REFUSALS, tags=["recordings"]
    )
    async def baselines(request: Request) -> Response:
        """Learn how a speaker usually sounds; the baseline is returned, and not kept."""
        with slots.taken() as hold:
            async with _form(request, service, hold, max_files=_MAX_FILES) as form:
                contents = [await _content(one, "files") for one in form.getlist("files")]
                name = form.get("name", "")
            if not contents:
                raise RefusedError(422, "files", "expected recordings in the form field `files`")
            if not isinstance(name, str) or len(name) > _MAX_NAME:
                raise RefusedError(422, "name", f"expected a name of at most {_MAX_NAME} letters")
            text = await answer_baseline(service, contents, name)
        return Response(text, media_type="application/json")


class _Slots:
    """The requests with recordings that may be there at the same time, and their bytes."""

    def __init__(self, settings: ServerSettings) -> None:
        self._most = settings.max_uploads
        self._max_bytes = int(_MAX_HELD * 1e6 * settings.max_upload_mb)
        self._taken = 0
        self._bytes = 0

    @contextmanager
    def taken(self) -> Iterator[Callable[[int], None]]:
        """Take a place; call what is yielded with each number of bytes that is held."""
        if self._taken >= self._most:
            raise _busy(f"{self._most} recordings are being handled")
        held = 0

        def hold(n_bytes: int) -> None:
            nonlocal held
            if self._bytes + n_bytes > self._max_bytes:
                raise _busy(f"{self._max_bytes / 1e6:g} MB of recordings are being handled")
            held += n_bytes
            self._bytes += n_bytes

        self._taken += 1
        try:
            yield hold
        finally:
            self._taken -= 1
            self._bytes -= held


def _busy(why: str) -> RefusedError:
    return RefusedError(503, "busy", f"{why}, which is the limit; try again", {"Retry-After": "1"})


class _MemoryParser(MultiPartParser):
    """A parser of multipart bodies that never begins a file on the disk."""

    spool_max_size = sys.maxsize


@asynccontextmanager
async def _form(
    request: Request, service: Service, hold: Callable[[int], None], max_files: int
) -> AsyncIterator[FormData]:
    """Read a multipart body within the limits of size and time; it is gone afterwards."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise RefusedError(415, "content_type", "expected a body of the type multipart/form-data")
    body = _limited(request, int(service.settings.max_upload_mb * 1e6), hold)
    parser = _MemoryParser(request.headers, body, max_files=max_files, max_fields=10)
    try:
        async with asyncio.timeout(service.settings.upload_timeout_s):
            form = await parser.parse()
    except TimeoutError:
        raise RefusedError(
            408,
            "too_slow",
            f"expected the whole request within {service.settings.upload_timeout_s:g} s",
            {"Connection": "close"},
        ) from None
    except MultiPartException as error:
        raise RefusedError(
            400, "multipart", f"not a readable multipart body: {error.message}"
        ) from None
    try:
        yield form
    finally:
        await form.close()


async def _limited(
    request: Request, most: int, hold: Callable[[int], None]
) -> AsyncGenerator[bytes, None]:
    """Pass a request's body on, unless it is or becomes too large."""
    too_large = RefusedError(
        413,
        "too_large",
        f"expected a request of at most {most / 1e6:g} MB; cut or compress the recording",
    )
    told = request.headers.get("content-length", "0")
    if told.isdecimal() and int(told) > most:
        raise too_large
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > most:
            too_large.headers = {"Connection": "close"}
            raise too_large
        hold(len(chunk))
        yield chunk


async def _content(found: UploadFile | str | None, name: str) -> bytes:
    if not isinstance(found, UploadFile):
        raise RefusedError(422, name, f"expected a recording in the form field `{name}`")
    return await found.read()


def _baseline(form: FormData) -> Baseline | None:
    text = form.get("baseline")
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise RefusedError(422, "baseline", "expected the baseline as JSON text, got a file")
    return Baseline.from_json(text)
