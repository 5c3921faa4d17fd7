"""How the service says no: one status, one word for programs, one line for people."""

import json
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
    SilenceError,
)
from .workers import GivenUpError

_LONGEST = 500  # letters of a message
_CODES = {404: "not_found", 405: "method_not_allowed"}


class Json(JSONResponse):
    """An answer that is valid JSON whatever it quotes; NaN is a mistake of ours, and raises."""

    def render(self, content: Any) -> bytes:
        """Return the JSON in ASCII: half of a surrogate pair has no place in UTF-8."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


class RefusedError(EmovoxError):
    """A request that is not answered: an HTTP status, a code for programs, a line for people."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers

    def response(self) -> Json:
        """Return the refusal as it is sent."""
        return Json(error_body(self.code, str(self)), self.status, self.headers)


def busy(reason: str, retry_s: int) -> RefusedError:
    """Return a refusal that asks the client to try again after some seconds."""
    return RefusedError(503, "busy", f"{reason}; try again later", {"Retry-After": str(retry_s)})


def error_body(code: str, message: str) -> dict[str, Any]:
    """Return the JSON of every error of the service; what it quotes may be long, or many lines."""
    line = " ".join(message.split())
    short = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
    return {"error": {"code": code, "message": short}}


def add_refusals(app: FastAPI) -> None:
    """Give every error of an app the same form."""

    async def on_error(request: Request, error: Exception) -> Json:
        return as_refusal(error).response()

    ours = (EmovoxError, GivenUpError)
    for kind in (*ours, RequestValidationError, HTTPException, ClientDisconnect, Exception):
        app.add_exception_handler(kind, on_error)


def as_refusal(error: Exception) -> RefusedError:
    """Return what is said of an error; of a mistake of our own only that there was one."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, SilenceError):
        return RefusedError(422, "no_speech", str(error))
    if isinstance(error, AudioError):
        return RefusedError(422, "audio", str(error))
    if isinstance(error, BaselineError):
        return RefusedError(422, "baseline", str(error))
    if isinstance(error, ClientDisconnect):  # nobody reads this but the log
        return RefusedError(499, "gone", "the client went away")
    if isinstance(error, GivenUpError):
        return RefusedError(503, "busy", "the service stops; try again later")
    if isinstance(error, RequestValidationError):
        return RefusedError(422, "parameter", _first_problem(error))
    if isinstance(error, HTTPException):
        code = _CODES.get(error.status_code, "request")
        headers = dict(error.headers) if error.headers else None
        return RefusedError(error.status_code, code, str(error.detail), headers)
    return RefusedError(500, "internal", "a mistake of the service; its log has more")


def _first_problem(error: RequestValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first.get("loc", ()))
    return f"{where}: {first.get('msg', 'not as expected')}"
