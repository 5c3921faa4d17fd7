"""Requests with recordings: to predict, to measure or to enrol."""

from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response
from starlette.datastructures import FormData, UploadFile

from ..baseline import Baseline
from ..errors import ConfigError, one_line
from ..turns.reading import turns_of
from ..turns.turn import Turn
from .answers import Baseline as BaselineAnswer
from .answers import MeasuredSegments, MeasuredWhole, Refusal, Segments, Turns, Whole
from .bodies import (
    Hold,
    Slots,
    checked,
    content_of,
    form_of,
    in_time,
    kind_of,
    limited,
    unless_gone,
)
from .recordings import (
    Channels,
    TurnsAsked,
    answer_baseline,
    answer_measured,
    answer_segments,
    answer_turns,
    answer_whole,
)
from .refusals import Json, RefusedError
from .service import Service

_MAX_FILES = 100  # files in a request for a baseline
_MAX_TURNS = 1_000_000  # bytes of a file of turns
_MAX_NAME = 200  # characters in a speaker's name
REFUSALS: dict[int | str, dict[str, Any]] = {
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
FILE = {"type": "string", "format": "binary"}


def body_of(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """Describe a multipart body for the OpenAPI document."""
    schema = {"type": "object", "properties": properties, "required": required}
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }


def _recording_body(fields: dict[str, Any]) -> dict[str, Any]:
    """Describe a recording with other fields in a form, or as the body itself."""
    body = body_of({"file": FILE, **fields}, ["file"])
    kinds = ("audio/*", "application/octet-stream")
    body["requestBody"]["content"] |= {kind: {"schema": FILE} for kind in kinds}
    return body


_PREDICT_BODY = _recording_body({"baseline": {"type": "string"}})
_TURNS_BODY = body_of({"file": FILE, "turns": FILE, "baseline": {"type": "string"}}, ["file"])
_MEASURE_BODY = _recording_body({})
_BASELINE_BODY = body_of(
    {"files": {"type": "array", "items": FILE}, "name": {"type": "string"}}, ["files"]
)


def add_uploads(app: FastAPI, service: Service, slots: Slots) -> None:
    """Add the routes that take recordings."""
    _add_turns(app, service, slots)

    @app.post(
        "/v1/predict",
        response_model=Whole | Segments,
        openapi_extra=_PREDICT_BODY,
        responses=REFUSALS,
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
            return Json(await unless_gone(request, answer))

    @app.post(
        "/v1/measure",
        response_model=MeasuredWhole | MeasuredSegments,
        openapi_extra=_MEASURE_BODY,
        responses=REFUSALS,
        tags=["recordings"],
    )
    async def measure(request: Request, segments: bool = False, channels: Channels = "mix") -> Json:
        """Measure pitch, loudness, tempo and pauses of a recording; no emotion is recognised."""
        _check_channels(channels, segments)
        with slots.taken(request) as hold:
            content, _ = await _recording(request, service, hold)
            answer = answer_measured(service, content, segments, channels)
            return Json(await unless_gone(request, answer))

    @app.post(
        "/v1/baselines",
        response_model=BaselineAnswer,
        openapi_extra=_BASELINE_BODY,
        responses=REFUSALS,
        tags=["recordings"],
    )
    async def baselines(request: Request) -> Response:
        """Learn a speaker's baseline and return it; the service does not keep it."""
        with slots.taken(request) as hold:
            async with form_of(request, service, hold, max_files=_MAX_FILES) as form:
                contents = [await content_of(field, "files") for field in form.getlist("files")]
                contents = [checked(content, service) for content in contents]
                name = form.get("name", "")
            if not contents:
                raise RefusedError(422, "files", "expected recordings in the form field `files`")
            if not isinstance(name, str) or len(name) > _MAX_NAME:
                raise RefusedError(
                    422, "name", f"expected a name of at most {_MAX_NAME} characters"
                )
            text = await unless_gone(request, answer_baseline(service, contents, name))
        return Response(text, media_type="application/json")


def _add_turns(app: FastAPI, service: Service, slots: Slots) -> None:
    @app.post(
        "/v1/turns",
        response_model=Turns,
        openapi_extra=_TURNS_BODY,
        responses=REFUSALS,
        tags=["recordings"],
    )
    async def turns(
        request: Request,
        speakers: Annotated[str, Query(pattern="^(auto|[1-9]|10)$")] = "auto",
        explain: bool = False,
        prosody: bool = False,
        labels: str | None = None,
    ) -> Json:
        """Recognise the turns of a recording, those in the field `turns` or those of `speakers`."""
        chosen = _labels(labels, service)
        with slots.taken(request) as hold:
            async with form_of(request, service, hold, max_files=2) as form:
                content = checked(await content_of(form.get("file"), "file"), service)
                given, baseline = await _turns(form), _baseline(form)
            asked = TurnsAsked(given, None if speakers == "auto" else int(speakers))
            answer = answer_turns(service, content, asked, baseline, chosen, explain, prosody)
            return Json(await unless_gone(request, answer))


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


async def _recording(
    request: Request, service: Service, hold: Hold
) -> tuple[bytes, Baseline | None]:
    """Read the recording of a request, from a form or from the body itself."""
    kind = kind_of(request)
    if kind.startswith("audio/") or kind == "application/octet-stream":
        async with in_time(service):
            body = limited(request, service, hold)
            content = b"".join([chunk async for chunk in body])
        return checked(content, service), None
    async with form_of(request, service, hold, max_files=1) as form:
        content = await content_of(form.get("file"), "file")
        return checked(content, service), _baseline(form)


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
