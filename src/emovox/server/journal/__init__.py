"""The journal over HTTP and WebSocket, for the page: one person's, and off unless it is safe."""

from datetime import timedelta, timezone
from functools import partial

from fastapi import FastAPI, WebSocket

from ..bodies import Slots
from ..channels import Makers
from ..refusals import RefusedError
from ..service import Service
from ..sessions import Sessions
from .access import Journals
from .asking import in_journal
from .entries import add_check_ins, add_recordings, add_sessions
from .exports import add_export
from .kept import KeptStream
from .people import add_people, add_person
from .practised import KeptPractice, add_practised
from .views import add_views

__all__ = ["add_journals"]


def add_journals(app: FastAPI, service: Service, slots: Slots, sessions: Sessions) -> None:
    """Add the routes of journals."""
    app.state.journals = Journals(service.settings)
    add_people(app)
    add_person(app)
    add_sessions(app)
    add_recordings(app, service, slots)
    add_check_ins(app)
    add_practised(app)
    add_views(app)
    add_export(app)
    _add_stream(app, sessions)


def _add_stream(app: FastAPI, sessions: Sessions) -> None:
    @app.websocket("/v1/journal/{person}/stream")
    async def stream(
        websocket: WebSocket, person: str, device: str = "", offset_min: int | None = None
    ) -> None:
        journals: Journals = websocket.app.state.journals
        try:
            zone = None if offset_min is None else timezone(timedelta(minutes=offset_min))
            reach = journals.reach(websocket.scope, person, _key_in(websocket))
            await in_journal(reach, lambda journal: None)
        except (RefusedError, ValueError, OverflowError) as error:
            refusal = error if isinstance(error, RefusedError) else _no_offset()
            await websocket.send_denial_response(refusal.response())
            return
        practice = partial(KeptPractice, reach, zone)
        await sessions.run(websocket, Makers(partial(KeptStream, reach, device, zone), practice))


def _no_offset() -> RefusedError:
    return RefusedError(422, "parameter", "offset_min: expected minutes from UTC within a day")


def _key_in(websocket: WebSocket) -> str:
    """Return the handle of a key, which a browser can send as a subprotocol only."""
    offered: list[str] = websocket.scope.get("subprotocols", [])
    return next((name.removeprefix("key.") for name in offered if name.startswith("key.")), "")
