"""Requests with recordings, read into memory and never to disk: to predict, measure or enrol."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from ..baseline import Baseline
from ..errors import ConfigError, one_line
from ..sound import CONVERT, other_format
from ..turns.reading import turns_of
from ..turns.turn import Turn
from .answers import Baseline as BaselineAnswer
from .answers import MeasuredSegments, MeasuredWhole, Refusal, Segments, Turns, Whole
from .rates import Shares, address_of
from .recordings import (
    Channels,
    TurnsAsked,
    answer_baseline,
    answer_measured,
    answer_segments,
    answer_turns,
    answer_whole,
)
from .refusals import Json, RefusedError, busy
from .service import Service
from .settings import ServerSettings

T = TypeVar("T")
_MAX_FILES = 100  # files in a request for a baseline
_MAX_HELD = 4  # requests of maximum size that are held in memory at the same time
_MAX_TURNS = 1_000_000  # bytes of a file of turns
_MAX_NAME = 200  # characters in a speaker's name
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": description, "model": Refusal}
    for status, description in (
        (400, "Unreadable request or multipart body"),
        (401, "No valid token"),
        (403, "Host or origin not allowed"),
        (408, "The request came too slowly"),
        (413, "Too many bytes, or too long a recording"),
        (415, "No multipart body or recording, or unreadable audio"),
        (422, "No speech, a broken recording, or an invalid parameter"),
        (429, "Too many requests from one address"),
        (503, "Busy; try again"),
    )
}
_FILE = {"type": "string", "format": "binary"}


def _body(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """Describe a multipart body for the OpenAPI document."""
    schema = {"type": "object", "properties": properties, "required": required}
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }


def _recording_body(fields: dict[str, Any]) -> dict[str, Any]:
    """Describe a recording with other fields in a form, or as the body itself."""
    body = _body({"file": _FILE, **fields}, ["file"])
    kinds = ("audio/*", "application/octet-stream")
    body["requestBody"]["content"] |= {kind: {"schema": _FILE} for kind in kinds}
    return body


_PREDICT_BODY = _recording_body({"baseline": {"type": "string"}})
_TURNS_BODY = _body({"file": _FILE, "turns": _FILE, "baseline": {"type": "string"}}, ["file"])
_MEASURE_BODY = _recording_body({})
_BASELINE_BODY = _body(
    {"files": {"type": "array", "items": _FILE}, "name": {"type": "string"}}, ["files"]
)


def add_uploads(app: FastAPI, service: Service) -> None:
    """Add the routes that take recordings."""
    slots = _Slots(service.settings)
    _add_turns(app, service, slots)

    @app.post(
        "/v1/predict",
        response_model=Whole | Segments,
        openapi_extra=_PREDICT_BODY,
        responses=_REFUSALS,
        tags=["recordings"],
    )
    async def predict(
        request: Request,
        segments: bool = False,
        explain: bool = False,
        prosody: bool = False,
        channels: Channels = "mix",
        labels: str | None = None,
    ) -> Json:
        """Recognise the emotion of a recording, as a whole or segment by segment."""
        _check_channels(channels, segments)
        chosen = _labels(labels, service)
        with slots.taken(request) as hold:
            content, baseline = await _recording(request, service, hold)
            asked = (service, content, baseline, chosen, explain, prosody)
            answer = answer_segments(*asked, channels) if segments else answer_whole(*asked)
            return Json(await _unless_gone(request, answer))

    @app.post(
        "/v1/measure",
        response_model=MeasuredWhole | MeasuredSegments,
        openapi_extra=_MEASURE_BODY,
        responses=_REFUSALS,
        tags=["recordings"],
    )
    async def measure(request: Request, segments: bool = False, channels: Channels = "mix") -> Json:
        """Measure pitch, loudness, tempo and pauses of a recording; no emotion is recognised."""
        _check_channels(channels, segments)
        with slots.taken(request) as hold:
            content, _ = await _recording(request, service, hold)
            answer = answer_measured(service, content, segments, channels)
            return Json(await _unless_gone(request, answer))

    @app.post(
        "/v1/baselines",
        response_model=BaselineAnswer,
        openapi_extra=_BASELINE_BODY,
        responses=_REFUSALS,
        tags=["recordings"],
    )
    async def baselines(request: Request) -> Response:
        """Learn a speaker's baseline and return it; the service does not keep it."""
        with slots.taken(request) as hold:
            async with _form(request, service, hold, max_files=_MAX_FILES) as form:
                contents = [await _content(field, "files") for field in form.getlist("files")]
                contents = [_checked(content, service) for content in contents]
                name = form.get("name", "")
            if not contents:
                raise RefusedError(422, "files", "expected recordings in the form field `files`")
            if not isinstance(name, str) or len(name) > _MAX_NAME:
                raise RefusedError(
                    422, "name", f"expected a name of at most {_MAX_NAME} characters"
                )
            text = await _unless_gone(request, answer_baseline(service, contents, name))
        return Response(text, media_type="application/json")


def _add_turns(app: FastAPI, service: Service, slots: "_Slots") -> None:
    @app.post(
        "/v1/turns",
        response_model=Turns,
        openapi_extra=_TURNS_BODY,
        responses=_REFUSALS,
        tags=["recordings"],
    )
    async def turns(
        request: Request,
        speakers: Annotated[str, Query(pattern="^(auto|[1-9]|10)$")] = "auto",
        explain: bool = False,
        prosody: bool = False,
    ) -> Json:
        """Recognise the turns of a recording, those in the field `turns` or those of `speakers`."""
        with slots.taken(request) as hold:
            async with _form(request, service, hold, max_files=2) as form:
                content = await _content(form.get("file"), "file")
                given, baseline = await _turns(form), _baseline(form)
            asked = TurnsAsked(given, None if speakers == "auto" else int(speakers))
            answer = answer_turns(service, content, asked, baseline, explain, prosody)
            return Json(await _unless_gone(request, answer))


def _check_channels(channels: Channels, segments: bool) -> None:
    if channels == "separate" and not segments:
        raise RefusedError(422, "parameter", "channels=separate needs segments=true")


def _labels(text: str | None, service: Service) -> list[str] | None:
    """Return the labels of a parameter that separates them by commas; None: all."""
    if text is None:
        return None
    labels = [label.strip() for label in text.split(",")]
    try:
        service.recognizer.among(labels)
    except ConfigError as error:
        raise RefusedError(422, "parameter", str(error)) from None
    return labels


class _Slots:
    """Limits the number and the bytes of concurrent requests with recordings."""

    def __init__(self, settings: ServerSettings) -> None:
        self._places = Shares("requests with recordings", settings.max_uploads, settings.max_share)
        self._max_bytes = int(_MAX_HELD * 1e6 * settings.max_upload_mb)
        self._bytes = 0

    @contextmanager
    def taken(self, request: Request) -> Iterator[Callable[[int], None]]:
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


async def _unless_gone(request: Request, answer: Coroutine[Any, Any, T]) -> T:
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


async def _recording(
    request: Request, service: Service, hold: Callable[[int], None]
) -> tuple[bytes, Baseline | None]:
    """Read the recording of a request, from a form or from the body itself."""
    kind = _kind(request)
    if kind.startswith("audio/") or kind == "application/octet-stream":
        async with _in_time(service):
            body = _limited(request, service, hold)
            content = b"".join([chunk async for chunk in body])
        return _checked(content, service), None
    async with _form(request, service, hold, max_files=1) as form:
        content = await _content(form.get("file"), "file")
        return _checked(content, service), _baseline(form)


def _checked(content: bytes, service: Service) -> bytes:
    """Refuse a recording that only ffmpeg can read, unless the service may run it."""
    if not service.settings.ffmpeg and (other := other_format(content[:16])):
        reason = f"{other} is not read by this service; {CONVERT}"
        raise RefusedError(415, "unsupported_audio", reason)
    return content


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@asynccontextmanager
async def _in_time(service: Service) -> AsyncIterator[None]:
    """Refuse a request that does not arrive within `upload_timeout_s`."""
    max_s = service.settings.upload_timeout_s
    try:
        async with asyncio.timeout(max_s):
            yield
    except TimeoutError:
        reason = f"expected the whole request within {max_s:g} s"
        raise RefusedError(408, "too_slow", reason, {"Connection": "close"}) from None


@asynccontextmanager
async def _form(
    request: Request, service: Service, hold: Callable[[int], None], max_files: int
) -> AsyncIterator[FormData]:
    """Read a multipart body within the limits of size and time; close it at the end."""
    _check_form(request)
    body = _limited(request, service, hold)
    parser = _MemoryParser(request.headers, body, max_files=max_files, max_fields=10)
    try:
        async with _in_time(service):
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
            f"expected a multipart form, got {_kind(request)[:100] or 'a body without a type'}; "
            "with curl use -F file=@recording.wav, or to send the recording as the body "
            "--data-binary @recording.wav -H 'Content-Type: audio/wav'",
        )
    if options.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8"):
        raise RefusedError(415, "content_type", "expected a form in UTF-8, without a charset")


async def _limited(
    request: Request, service: Service, hold: Callable[[int], None]
) -> AsyncGenerator[bytes, None]:
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


async def _content(field: UploadFile | str | None, name: str) -> bytes:
    if not isinstance(field, UploadFile):
        raise RefusedError(422, name, f"expected a recording in the form field `{name}`")
    return await field.read()


async def _turns(form: FormData) -> list[Turn] | None:
    """Read the file of turns, if there is one; its name tells the format."""
    field = form.get("turns")
    if field is None or field == "":
        return None
    if not isinstance(field, UploadFile) or not field.filename:
        raise RefusedError(422, "turns", "expected a file with its name in the form field `turns`")
    content = await field.read()
    if len(content) > _MAX_TURNS:
        limit = f"expected a file of turns of at most {_MAX_TURNS / 1e6:g} MB"
        raise RefusedError(413, "too_large", limit)
    return turns_of(content, one_line(field.filename)[-_MAX_NAME:])


def _baseline(form: FormData) -> Baseline | None:
    text = form.get("baseline")
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise RefusedError(422, "baseline", "expected the baseline as JSON text, got a file")
    return Baseline.from_json(text)
