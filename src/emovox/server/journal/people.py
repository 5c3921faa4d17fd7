"""Whose journals there are: begun, agreed to, unlocked and forgotten."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request
from fastapi.responses import Response

from ...journal import as_json
from ...journal.export import FILES, FOLDERS
from ...journal.records import CONSENT, CONSENT_VERSION, FEELINGS, KINDS, Consent
from ...journal.store import Journal
from ..refusals import Json, RefusedError
from . import answers
from .access import Reach
from .asking import TOLD, AllJournals, Reached, asked_of, in_journal, json_body


def add_people(app: FastAPI) -> None:
    """Add the routes of all journals together."""

    @app.get("/v1/journal", response_model=answers.State, **TOLD)
    def state(request: Request, journals: AllJournals) -> Json:
        """Tell whether there are journals, and whose."""
        why = journals.problem(request.scope)
        people = [] if why else [_person(file) for file in journals.files(request.scope)]
        return Json(
            {
                "offered": journals.are_offered(request.scope),
                "on": not why,
                "why": why,
                "people": people,
                "can_begin": not why and journals.can_begin(request.scope),
                "consent": {"version": CONSENT_VERSION, "text": CONSENT},
                "kinds": list(KINDS),
                "feelings": list(FEELINGS),
                "formats": [*FILES, *FOLDERS],
            }
        )

    @app.post(
        "/v1/journal",
        response_model=answers.Begun,
        openapi_extra=json_body(answers.NewJournal),
        **TOLD,
    )
    async def begin(request: Request, journals: AllJournals) -> Json:
        """Begin the journal of a person who has read the consent and agrees."""
        asked = await asked_of(request, answers.NewJournal)
        consent = _consent(asked, is_more=True)
        name, key = await journals.begin(request.scope, asked.name, consent, asked.passphrase)
        return Json({"id": name, "key": key})


def _person(file: Path) -> dict[str, Any]:
    """Return whose journal a file is, as far as it can be read without a passphrase."""
    person = {"id": file.stem, "name": None, "locked": False, "problem": ""}
    try:
        with Reach(file, lambda: None).journal() as journal:
            return {**person, "name": journal.name}
    except RefusedError as refusal:
        is_locked = refusal.code == "locked"
        return {**person, "locked": is_locked, "problem": "" if is_locked else str(refusal)}


def _consent(asked: answers.Switches, *, is_more: bool) -> Consent:
    if asked.version != CONSENT_VERSION:
        raise RefusedError(409, "consent", "the text of the consent has changed; reload the page")
    if is_more and not asked.agreed:
        raise RefusedError(409, "consent", "expected the person to agree to the text first")
    now = datetime.now().astimezone()
    return Consent(now, True, asked.emotion, asked.sound, asked.retention_days)


def add_person(app: FastAPI) -> None:
    """Add the routes of a journal as a whole."""

    @app.get("/v1/journal/{person}", response_model=answers.Overview, **TOLD)
    def overview(reach: Reached) -> Json:
        """Return all entries of a journal, sessions without their segments."""
        with reach.journal() as journal:
            return Json(_overview(reach, journal))

    @app.delete("/v1/journal/{person}", response_model=answers.Done, **TOLD)
    def forget(reach: Reached, journals: AllJournals) -> Json:
        """Delete the whole journal, the key of its passphrase first."""
        with reach.journal() as journal:
            done = {
                "sessions": len(journal.sessions()),
                "check_ins": len(journal.check_ins()),
                "practised": len(journal.practised()),
            }
            journal.erase()
        journals.forget(reach.path)
        return Json(done)

    body = json_body(answers.Passphrase)

    @app.post(
        "/v1/journal/{person}/unlock", response_model=answers.Unlocked, openapi_extra=body, **TOLD
    )
    async def unlock(request: Request, reach: Reached, journals: AllJournals) -> Json:
        """Give the passphrase; the service keeps the key in memory, and returns its handle."""
        asked = await asked_of(request, answers.Passphrase)
        return Json({"key": await journals.unlock(reach, asked.passphrase)})

    @app.post("/v1/journal/{person}/lock", status_code=204, **TOLD)
    async def lock(
        reach: Reached, journals: AllJournals, emovox_key: Annotated[str, Header()] = ""
    ) -> Response:
        """Forget the key of the header Emovox-Key."""
        journals.lock(emovox_key)
        return Response(status_code=204)

    body = json_body(answers.Switches)

    @app.put(
        "/v1/journal/{person}/consent", response_model=answers.Consent, openapi_extra=body, **TOLD
    )
    async def agree(request: Request, reach: Reached) -> Json:
        """Change what the person agrees to; sound that is withdrawn is deleted."""
        asked = await asked_of(request, answers.Switches)

        def change(journal: Journal) -> dict[str, Any]:
            before = journal.consent
            is_more = asked.emotion > before.emotion or asked.sound > before.sound
            journal.agree(_consent(asked, is_more=is_more))
            return _consent_json(journal.consent)

        return Json(await in_journal(reach, change))

    @app.post("/v1/journal/{person}/purge", response_model=answers.Done, **TOLD)
    def purge(reach: Reached) -> Json:
        """Delete what is older than the retention."""
        with reach.journal() as journal:
            gone = journal.purge(datetime.now().astimezone())
        counts = {name: len(numbers) for name, numbers in gone._asdict().items()}
        return Json(counts)


def _overview(reach: Reach, journal: Journal) -> dict[str, Any]:
    return {
        "id": reach.path.stem,
        "name": journal.name,
        "created": journal.created.isoformat(),
        "locked": journal.is_locked,
        "consent": _consent_json(journal.consent),
        "sessions": [as_json.session_json(*pair) for pair in journal.sessions_with_totals()],
        "check_ins": [as_json.checkin_json(one) for one in journal.check_ins()],
        "practised": [as_json.practice_json(one) for one in journal.practised()],
        "due": sum(map(len, journal.due(datetime.now().astimezone()))),
        "forgotten": [{"at": at.isoformat(), "entries": n} for at, n in journal.forgotten()],
    }


def _consent_json(consent: Consent) -> dict[str, Any]:
    return asdict(consent) | {"at": consent.at.isoformat()}
