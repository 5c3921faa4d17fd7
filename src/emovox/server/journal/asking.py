"""What the routes of a journal share: which journal is asked, and reading what is asked of it."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Path, Request
from pydantic import ValidationError

from ...errors import JournalError
from ...journal.records import Session
from ...journal.store import Journal
from ..answers import Refusal
from ..bodies import in_time, limited
from ..refusals import RefusedError
from ..service import Service
from ..uploads import REFUSALS
from . import answers
from .access import Journals, Reach

T = TypeVar("T")
Asked = TypeVar("Asked", bound=answers.Asked)
Number = Annotated[int, Path(ge=1, le=2**53)]
_MAX_ASKED = 200_000  # bytes of a body of JSON
RESPONSES: dict[int | str, dict[str, Any]] = REFUSALS | {
    status: {"description": description, "model": Refusal}
    for status, description in (
        (404, "No such journal or entry"),
        (409, "The journal cannot be opened or written"),
        (423, "The journal has a passphrase: unlock it"),
        (501, "A part of emovox that it needs is not installed"),
    )
}
TOLD: dict[str, Any] = {"responses": RESPONSES, "tags": ["journal"]}


async def _journals(request: Request) -> Journals:
    journals: Journals = request.app.state.journals
    return journals


async def _reached(
    request: Request,
    person: Annotated[str, Path(max_length=200)],
    emovox_key: Annotated[str, Header(max_length=100)] = "",
) -> Reach:
    return (await _journals(request)).reach(request.scope, person, emovox_key)


AllJournals = Annotated[Journals, Depends(_journals)]
Reached = Annotated[Reach, Depends(_reached)]


def json_body(model: type[answers.Asked]) -> dict[str, Any]:
    """Describe a body of JSON for the OpenAPI document."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


async def asked_of(request: Request, model: type[Asked]) -> Asked:
    """Read what is asked: JSON, of a size that nobody needs to exceed."""
    n_read = 0

    def hold(n_bytes: int) -> None:
        nonlocal n_read
        n_read += n_bytes
        if n_read > _MAX_ASKED:
            raise RefusedError(413, "too_large", f"expected at most {_MAX_ASKED:,} bytes of JSON")

    service: Service = request.app.state.service
    async with in_time(service):
        body = b"".join([chunk async for chunk in limited(request, service, hold)])
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise RefusedError(422, "parameter", f"{where}: {first['msg']}") from None


async def in_journal(reach: Reach, call: Callable[[Journal], T]) -> T:
    """Call something with the journal, open in a thread."""

    def run() -> T:
        with reach.journal() as journal:
            return call(journal)

    return await asyncio.to_thread(run)


def session_of(journal: Journal, number: int) -> Session:
    """Return a session by its number; refuse a number that no session has."""
    try:
        return journal.session(number)
    except JournalError:
        raise RefusedError(404, "not_found", f"the journal has no session {number}") from None
