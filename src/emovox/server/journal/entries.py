"""The entries of a journal: sessions, recordings that are added, and check-ins."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import FastAPI, Path, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from ...journal import as_json
from ...journal.adding import Recording, digest_of
from ...journal.adding import add as add_recording
from ...journal.records import CheckIn, checked_tags
from ...journal.store import Journal
from ..bodies import Slots, checked, content_of, form_of, unless_gone
from ..recordings import check_sound, too_long
from ..refusals import Json, RefusedError
from ..service import Service
from ..uploads import FILE, body_of
from ..workers import Turn
from . import answers
from .access import Reach
from .asking import (
    RESPONSES,
    TOLD,
    Number,
    Reached,
    asked_of,
    in_journal,
    json_body,
    session_of,
)

_Place = Annotated[int, Path(ge=0, le=2**53)]
_ADD_BODY = body_of(
    {
        "file": FILE,
        "began": {"type": "string", "description": "ISO 8601 with the offset from UTC"},
        **{name: {"type": "string"} for name in ("device", "note", "tags", "channel")},
    },
    ["file", "began"],
)


def add_sessions(app: FastAPI) -> None:
    """Add the routes of sessions."""
    path = "/v1/journal/{person}/sessions/{number}"

    @app.get(path, response_model=answers.WholeSession, **TOLD)
    def show(reach: Reached, number: Number) -> Json:
        """Return a session with its segments."""
        with reach.journal() as journal:
            session = session_of(journal, number)
            return Json(
                {
                    "session": as_json.session_json(session, journal.totals(number)),
                    "labels": list(session.labels),
                    "segments": [asdict(one) for one in journal.segments(number)],
                    "sounds": journal.sound_places(number),
                }
            )

    @app.get(
        path + "/sounds/{place}", response_class=Response,
        **TOLD | {"responses": RESPONSES | {200: {"content": {"audio/flac": {}}}}},
    )  # fmt: skip
    def sound(reach: Reached, number: Number, place: _Place) -> Response:
        """Return the sound of a segment, where it is kept."""
        with reach.journal() as journal:
            flac = journal.sound(number, place)
        if flac is None:
            raise RefusedError(404, "not_found", "no sound of this segment is kept")
        return Response(flac, media_type="audio/flac")

    @app.patch(
        path, response_model=answers.Session, openapi_extra=json_body(answers.Annotation), **TOLD
    )
    async def annotate(request: Request, reach: Reached, number: Number) -> Json:
        """Replace the note and the tags of a session."""
        asked = await asked_of(request, answers.Annotation)

        def change(journal: Journal) -> dict[str, Any]:
            session_of(journal, number)
            journal.annotate(number, asked.note, asked.tags)
            return as_json.session_json(journal.session(number), journal.totals(number))

        return Json(await in_journal(reach, change))

    @app.delete(path, response_model=answers.Done, **TOLD)
    def forget(reach: Reached, number: Number) -> Json:
        """Delete a session with its segments and sound."""
        with reach.journal() as journal:
            session_of(journal, number)
            journal.forget_session(number)
        return Json({"sessions": 1, "check_ins": 0, "practised": 0})


def add_recordings(app: FastAPI, service: Service, slots: Slots) -> None:
    """Add the route that takes recordings."""

    @app.post(
        "/v1/journal/{person}/recordings", response_model=answers.AddedSession,
        openapi_extra=_ADD_BODY, **TOLD,
    )  # fmt: skip
    async def add(request: Request, reach: Reached) -> Json:
        """Add a recording; one that is in the journal already is not added again."""
        with slots.taken(request) as hold:
            async with form_of(request, service, hold, max_files=1) as form:
                content = checked(await content_of(form.get("file"), "file"), service)
                recording = _recording(content, form)

            def run(turn: Turn) -> dict[str, Any]:
                return _added(service, reach, recording, turn)

            return Json(await unless_gone(request, service.workers.run_upload(run)))


def _recording(content: bytes, form: FormData) -> Recording:
    texts = {name: form.get(name) or "" for name in ("began", "device", "note", "tags", "channel")}
    began, device, note, tags, channel = map(str, texts.values())
    try:
        moment = datetime.fromisoformat(began)
        number = int(channel) if channel else None
    except ValueError:
        raise RefusedError(
            422, "parameter", "expected `began` in ISO 8601, and `channel` as a number from 0"
        ) from None
    if moment.utcoffset() is None:
        raise RefusedError(422, "parameter", "began: expected an offset from UTC, such as +01:00")
    return Recording(content, moment, number, device, note, checked_tags(tags.split(",")))


def _added(service: Service, reach: Reach, recording: Recording, turn: Turn) -> dict[str, Any]:
    max_s = service.settings.max_seconds
    assert isinstance(recording.file, bytes)  # of an upload
    check_sound(recording.file, max_s, "", whole=False)

    def on_progress(done_s: int, _: int) -> None:
        turn()
        if done_s > max_s:  # the header promised less
            raise too_long(max_s, "")

    with reach.journal() as journal:
        recognizer = service.recognizer.pausing(turn) if journal.consent.emotion else None
        try:
            added = add_recording(journal, recording, recognizer, on_progress)
        except RefusedError:  # what was kept until then is no part of a recording that is refused
            _forget(journal, digest_of(recording))
            raise
        session, totals = added.session, journal.totals(added.session.id)
    service.metrics.audio_seconds.labels("upload").inc(session.conditions.seconds)
    return {
        "session": as_json.session_json(session, totals),
        "is_new": added.is_new,
        "resumed_s": added.resumed_s,
        "warning": added.broken,
    }


def _forget(journal: Journal, digest: str) -> None:
    for number in [one.id for one in journal.sessions() if one.digest == digest]:
        journal.forget_session(number)


def add_check_ins(app: FastAPI) -> None:
    """Add the routes of check-ins."""
    path, body = "/v1/journal/{person}/checkins", json_body(answers.Feeling)

    @app.post(path, response_model=answers.CheckIn, openapi_extra=body, **TOLD)
    async def check_in(request: Request, reach: Reached) -> Json:
        """Write down how the person says that they feel."""
        asked = await asked_of(request, answers.Feeling)

        def keep(journal: Journal) -> dict[str, Any]:
            at = asked.at or datetime.now().astimezone()
            labels = tuple(dict.fromkeys(asked.labels))
            given = CheckIn(at, asked.kind, asked.valence, labels, asked.note)
            return as_json.checkin_json(journal.check_in(given))

        return Json(await in_journal(reach, keep))

    @app.delete(path + "/{number}", response_model=answers.Done, **TOLD)
    def forget(reach: Reached, number: Number) -> Json:
        """Delete a check-in."""
        with reach.journal() as journal:
            if number not in (one.id for one in journal.check_ins()):
                raise RefusedError(404, "not_found", f"the journal has no check-in {number}")
            journal.forget_check_in(number)
        return Json({"sessions": 0, "check_ins": 1, "practised": 0})
