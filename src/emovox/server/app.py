"""The FastAPI app: its routes and middleware."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles

from ..errors import ConfigError
from ..recognizer import Recognizer
from ..version import __version__
from .answers import Model, Refusal, Sign
from .bodies import Slots
from .guard import Guard
from .journal import add_journals
from .messages import asyncapi
from .metrics import CONTENT_TYPE_LATEST, Metrics
from .practice import add_practice
from .rates import address_of
from .refusals import Json, RefusedError, add_refusals
from .service import Service
from .sessions import Sessions, add_live
from .settings import ServerSettings
from .uploads import add_uploads
from .workers import Workers

_ABOUT = """Recognise emotion in speech. Scores are estimates of the emotion that a voice expresses,
not of what a person feels. Inform the speakers. No audio is kept but in the journals of people who
agreed to that."""
_REFERENCE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>emovox: reference</title>
<link rel="icon" href="page/icon.svg" type="image/svg+xml">
<h1>emovox</h1>
<p><a href="/openapi.json">openapi.json</a> describes the HTTP requests and their answers,
<a href="/asyncapi.json">asyncapi.json</a> the messages of live sessions, a WebSocket at
<code>/v1/stream</code>; docs/http.md in the repository has both.</p>
</html>
"""
# Where the page of `emovox page` was at this address before, its worker would show that for ever.
_NO_WORKER = """addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(leave()));
async function leave() {
  const names = (await caches.keys()).filter((name) => name.startsWith("emovox-"));
  await Promise.all(names.map((name) => caches.delete(name)));
  const pages = await clients.matchAll({ includeUncontrolled: true });
  await registration.unregister();
  await Promise.all(pages.map((page) => page.navigate(page.url).catch(() => null)));
}
"""
_CLOSE_S = 0.5  # seconds for the worker threads to end after all requests


def create_app(settings: ServerSettings | None = None) -> FastAPI:
    """Open the model and make the app, which any ASGI server can run.

    Parameters
    ----------
    settings : ServerSettings, optional
        Default: from the environment.

    Raises
    ------
    ConfigError, ModelError
        If a setting is invalid, or the model cannot be opened.
    """
    settings = settings or ServerSettings.from_environment()
    recognizer = Recognizer.load(settings.model)
    workers = Workers(settings.workers, settings.max_uploads)
    service = Service(settings, recognizer, workers, Metrics(workers))
    sessions = Sessions(service)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await sessions.close()
        workers.close(_CLOSE_S)

    app = FastAPI(
        title="emovox",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.state.sessions = sessions
    add_refusals(app)
    _add_operation(app, service, sessions)
    _add_model(app, service)
    add_practice(app, service)
    slots = Slots(settings)
    add_uploads(app, service, slots)
    add_live(app, sessions)
    add_journals(app, service, slots, sessions)
    _add_reference(app)
    _add_page(app, _device_folder(settings.page))
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization"],
        )
    app.add_middleware(Guard, settings=settings, metrics=service.metrics)
    return app


def _add_operation(app: FastAPI, service: Service, sessions: Sessions) -> None:
    @app.get("/healthz", tags=["operation"], response_model=Sign)
    async def healthz() -> dict[str, str]:
        """Check that the process answers."""
        return {"status": "ok"}

    busy = {"description": "Busy", "model": Refusal}

    @app.get("/readyz", tags=["operation"], response_model=Sign, responses={503: busy})
    async def readyz(request: Request) -> dict[str, str]:
        """Check whether a new live session would be accepted."""
        sessions.check_room(address_of(request.scope))
        return {"status": "ok"}

    @app.get("/metrics", tags=["operation"], response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Return metrics for Prometheus."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _add_model(app: FastAPI, service: Service) -> None:
    card: dict[str, Any] = json.loads(service.recognizer.card.to_json())
    answer = {**card, "fingerprint": service.recognizer.fingerprint}

    @app.get("/v1/model", tags=["model"], response_model=Model)
    async def model() -> Json:
        """Return the model card."""
        return Json(answer)


def _add_reference(app: FastAPI) -> None:
    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(_REFERENCE)

    @app.get("/asyncapi.json", include_in_schema=False)
    async def live() -> Json:
        return Json(asyncapi())


def _device_folder(page: str | None) -> Path | None:
    """Return the folder with what the page needs to recognise on the visitor's device."""
    if page is None:
        return None
    folder = Path(page) / "device"
    if not (folder / "model.json").is_file():
        raise ConfigError(f"{page}: expected a folder that `emovox page --out` wrote")
    return folder


def _add_page(app: FastAPI, device: Path | None) -> None:
    folder = Path(str(files("emovox"))) / "page"

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        index = folder / "index.html"
        if not index.is_file():
            raise RefusedError(404, "not_found", "this installation has no page")
        return FileResponse(index, media_type="text/html")

    @app.get("/service-worker.js", include_in_schema=False)
    async def no_worker() -> Response:
        return Response(_NO_WORKER, media_type="text/javascript")

    scripts = StaticFiles(directory=folder, check_dir=False, follow_symlink=True)
    app.mount("/page", scripts, name="page")
    if device is not None:
        app.mount("/device", StaticFiles(directory=device), name="device")
        return

    @app.get("/device/model.json", include_in_schema=False)
    async def nothing() -> Response:  # a browser would log 404 as an error
        return Response(status_code=204)
