"""Errors of the service: a status, a code for programs, a line for people."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ..errors import (
    AudioError,
    BaselineError,
    EmovoxError,
    JournalError,
    MissingExtraError,
    SilenceError,
    TurnsError,
)
from .workers import GivenUpError

_MAX_MESSAGE = 500  # characters
# Of our errors, the more special ones first.
_KINDS: Mapping[type[EmovoxError], tuple[int, str]] = {
    SilenceError: (422, "no_speech"),
    AudioError: (422, "audio"),
    BaselineError: (422, "baseline"),
    TurnsError: (422, "turns"),
    JournalError: (409, "journal"),
    MissingExtraError: (501, "missing_extra"),
}
_CODES = {404: "not_found", 405: "method_not_allowed"}


class Json(JSONResponse):
    """An answer that is valid JSON whatever it quotes; NaN raises ValueError."""

    def render(self, content: Any) -> bytes:
        """Return the JSON in ASCII, since UTF-8 has no lone surrogates."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


class RefusedError(EmovoxError):
    """A refused request: an HTTP status, a code for programs, a line for people."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers

    def response(self) -> Json:
        """Return the refusal as it is sent, its message as one line of limited length."""
        line = " ".join(str(self).split())
        short = line if len(line) <= _MAX_MESSAGE else f"{line[:_MAX_MESSAGE]}…"
        body = {"error": {"code": self.code, "message": short}}
        return Json(body, self.status, self.headers)


def busy(reason: str, retry_s: int) -> RefusedError:
    """Return a refusal that asks the client to try again after some seconds."""
    return RefusedError(503, "busy", f"{reason}; try again later", {"Retry-After": str(retry_s)})


def add_refusals(app: FastAPI) -> None:
    """Give all errors of an app the same form."""

    async def on_error(request: Request, error: Exception) -> Json:
        return as_refusal(error).response()

    ours = (EmovoxError, GivenUpError)
    for kind in (*ours, RequestValidationError, HTTPException, ClientDisconnect, Exception):
        app.add_exception_handler(kind, on_error)


def as_refusal(error: Exception) -> RefusedError:
    """Map an exception to an HTTP error; hide the details of internal ones."""
    if isinstance(error, RefusedError):
        return error
    for kind, (status, code) in _KINDS.items():
        if isinstance(error, kind):
            return RefusedError(status, code, str(error))
    if isinstance(error, ClientDisconnect):  # only the log shows this
        return RefusedError(499, "gone", "the client went away")
    if isinstance(error, GivenUpError):
        return RefusedError(503, "busy", "the service is stopping; try again later")
    if isinstance(error, RequestValidationError):
        return RefusedError(422, "parameter", _first_problem(error))
    if isinstance(error, HTTPException):
        code = _CODES.get(error.status_code, "request")
        headers = dict(error.headers) if error.headers else None
        return RefusedError(error.status_code, code, str(error.detail), headers)
    return RefusedError(
        500, "internal", "an internal error of the service; its log has the details"
    )


def _first_problem(error: RequestValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first.get("loc", ()))
    return f"{where}: {first.get('msg', 'invalid')}"
