"""Requests with recordings: /v1/predict and /v1/baselines, read into memory and never to disk."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, BinaryIO, TypeVar

from fastapi import FastAPI, Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ..baseline import Baseline
from ..recognizer import Prediction
from .refusals import RefusedError
from .service import Service

T = TypeVar("T")
_MAX_FILES = 100  # in one request for a baseline
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
    slots = _Slots(service.settings.max_uploads)

    @app.post("/v1/predict", openapi_extra=_PREDICT_BODY, tags=["recordings"])
    async def predict(request: Request) -> dict[str, Any]:
        """Recognise the emotion of one recording."""
        with slots:
            async with _form(request, service, max_files=1) as form:
                baseline = _baseline(form)
                return await _whole(service, _file(form), baseline)


class _Slots:
    """The requests with recordings that may be there at the same time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0

    def __enter__(self) -> None:
        if self._taken >= self._most:
            raise RefusedError(
                503,
                "busy",
                f"{self._most} recordings are being handled, which is the limit; try again",
                {"Retry-After": "1"},
            )
        self._taken += 1

    def __exit__(self, *_: object) -> None:
        self._taken -= 1


class _MemoryParser(MultiPartParser):
    """A parser of multipart bodies that never begins a file on the disk."""

    spool_max_size = sys.maxsize


@asynccontextmanager
async def _form(request: Request, service: Service, max_files: int) -> AsyncIterator[FormData]:
    """Read a multipart body within the limits of size and time; it is gone afterwards."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise RefusedError(415, "content_type", "expected a body of the type multipart/form-data")
    body = _limited(request, int(service.settings.max_upload_mb * 1e6))
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


async def _limited(request: Request, most: int) -> AsyncGenerator[bytes, None]:
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
        yield chunk


def _file(form: FormData) -> BinaryIO:
    found = form.get("file")
    if not isinstance(found, UploadFile):
        raise RefusedError(422, "file", "expected a recording in the form field `file`")
    return found.file


def _baseline(form: FormData) -> Baseline | None:
    text = form.get("baseline")
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise RefusedError(422, "baseline", "expected the baseline as JSON text, got a file")
    return Baseline.from_json(text)


async def _whole(service: Service, file: BinaryIO, baseline: Baseline | None) -> dict[str, Any]:
    """Answer a recording as a whole."""

    def recognise() -> Prediction:
        return service.recognizer.predict(
            file, baseline=baseline, max_seconds=service.settings.max_seconds
        )

    prediction, compute_ms = await _timed(service, recognise)
    service.metrics.audio_seconds.labels("upload").inc(prediction.end)
    service.metrics.decisions.labels("upload", prediction.label).inc()
    return {
        "prediction": prediction.to_dict(),
        "model": service.recognizer.fingerprint,
        "seconds": prediction.end,
        "compute_ms": compute_ms,
    }


async def _timed(service: Service, call: Callable[[], T]) -> tuple[T, float]:
    """Run a call in the workers' threads; also say how many milliseconds it took there."""

    def run() -> tuple[T, float]:
        started = time.perf_counter()
        result = call()
        return result, round(1000 * (time.perf_counter() - started), 2)

    return await service.workers.run("upload", run)
