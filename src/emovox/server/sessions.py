"""Live sessions: audio of one speaker in, decisions out, over a WebSocket."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from ..errors import EmovoxError
from ..prediction import Prediction
from .ear import Ear, Heard, Piece
from .logs import log
from .messages import MessageError, Update, read_message, read_samples, read_update
from .rates import Bucket
from .refusals import RefusedError
from .service import Service

T = TypeVar("T")
_MAX_JOB_S = 0.5  # of audio in one job, so that nobody waits long for a turn
_MAX_WAITING_S = 2.0  # of audio that is kept for the next jobs; then nothing more is read
_MAX_ERRORS = 100  # messages that cannot be heeded; then the session is closed


@dataclass(frozen=True)
class _End:
    """Why a session ends, and how it is closed."""

    reason: str
    close_code: int = 1000
    message: str = ""  # of an error to be told first


class _GoneError(Exception):
    """The client went away, or does not read what it is sent."""


class Sessions:
    """The live sessions of one app."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._open: set[Session] = set()
        self._closing = False

    @property
    def full(self) -> bool:
        """Whether no other session would be taken."""
        return self._closing or len(self._open) >= self._service.settings.max_sessions

    def refusal(self) -> RefusedError:
        """Return what those are told who come too late."""
        most = self._service.settings.max_sessions
        why = "the service stops" if self._closing else f"all {most} live sessions are taken"
        return RefusedError(503, "busy", f"{why}; try again later", {"Retry-After": "5"})

    async def run(self, websocket: WebSocket) -> None:
        """Run one session from its handshake to its end."""
        if self.full:
            await websocket.send_denial_response(self.refusal().response())
            return
        session = Session(websocket, self._service)
        self._open.add(session)
        self._service.metrics.live_sessions.inc()
        try:
            await session.run()
        finally:
            self._open.discard(session)
            self._service.metrics.live_sessions.dec()

    async def close(self) -> None:
        """End all sessions in good order, within the time for it, and take no other."""
        self._closing = True
        for session in self._open:
            session.end(_End("shutdown", 1001))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._service.settings.shutdown_s):
                while self._open:
                    await asyncio.sleep(0.02)


class Session:
    """One speaker's WebSocket.

    One task reads messages into an inbox, another works it off in order: audio in jobs of the
    workers' threads, never more than one at a time, and all else at once.
    """

    def __init__(self, websocket: WebSocket, service: Service) -> None:
        self._websocket = websocket
        self._service = service
        self._settings = service.settings
        self._id = secrets.token_hex(8)
        self._wishes = Update()
        self._inbox: deque[Piece | dict[str, Any] | _End] = deque()
        self._changed = asyncio.Event()  # something came in
        self._room = asyncio.Event()  # or went out
        self._n_waiting = 0  # samples in the inbox
        self._heard_audio = False
        self._decisions = 0
        self._speech_s = 0.0
        self._n_errors = 0
        self._ear: Ear

    def end(self, end: _End) -> None:
        """Let the session end after what has come in so far."""
        self._put(end)

    async def run(self) -> None:
        """Run the session until it ends."""
        offered = self._websocket.scope.get("subprotocols", [])
        # A browser gives up unless one of the subprotocols it offered is taken.
        chosen = next((name for name in offered if name.startswith("bearer.")), None)
        await self._websocket.accept(chosen)
        reader = asyncio.create_task(self._read())
        worker = asyncio.create_task(self._work())
        limit = asyncio.get_running_loop().call_later(
            self._settings.max_session_s,
            self.end,
            _End("session_limit", 1008, f"a session lasts {self._settings.max_session_s:g} s"),
        )
        reason = "internal"
        try:
            await asyncio.wait({reader, worker}, return_when=asyncio.FIRST_COMPLETED)
            if worker.done() or reader.result():
                reason = await worker
            else:
                reason = "gone"
        except (_GoneError, WebSocketDisconnect):
            reason = "gone"
        except Exception:
            logging.getLogger("emovox.server").exception("session_failed")
            await self._say_failed()
        finally:
            limit.cancel()
            await _cancelled(reader, worker)
            self._service.metrics.sessions.labels(reason).inc()
            log("session_end", session=self._id, reason=reason, decisions=self._decisions)

    async def _read(self) -> bool:
        """Put what comes into the inbox until an end has; False: the client is gone."""
        bucket = Bucket(self._settings.max_messages_per_s, 2 * self._settings.max_messages_per_s)
        while True:
            try:
                async with asyncio.timeout(self._settings.idle_s):
                    message = await self._websocket.receive()
            except TimeoutError:
                idle = f"no message for {self._settings.idle_s:g} s"
                self._put(_End("idle", 1008, idle))
                return True
            if message["type"] != "websocket.receive":
                return False
            while delay := bucket.take():
                await asyncio.sleep(delay)  # what is not read, the client has to wait with
            if self._take_in(message):
                return True
            while self._n_waiting > _MAX_WAITING_S * self._wishes.rate:
                self._room.clear()
                await self._room.wait()

    def _take_in(self, message: Any) -> bool:
        """Check a message and put it into the inbox; True: it is the last one."""
        try:
            if (text := message.get("text")) is not None:
                said = read_message(text)
                if said["type"] == "session.close":
                    self._put(_End("session.close"))
                    return True
                self._put(said)
            elif data := message.get("bytes"):
                samples = read_samples(data)
                self._n_waiting += len(samples)
                self._put(Piece(samples, time.perf_counter()))
        except MessageError as error:
            self._n_errors += 1
            if self._n_errors >= _MAX_ERRORS:
                self._put(_End("too_many_errors", 1008, f"{_MAX_ERRORS} messages were not heeded"))
                return True
            self._put({"type": "error", "code": error.code, "message": str(error)})
        return False

    def _put(self, item: "Piece | dict[str, Any] | _End") -> None:
        self._inbox.append(item)
        self._changed.set()

    async def _work(self) -> str:
        """Work off the inbox until the session ends; return why it did."""
        self._ear = await self._in_thread(partial(Ear, self._service, self._wishes))
        await self._send(self._created())
        while True:
            while not self._inbox:
                self._changed.clear()
                await self._changed.wait()
            item = self._inbox[0]
            if isinstance(item, Piece):
                await self._hear(self._pieces())
                continue
            self._inbox.popleft()
            if isinstance(item, _End):
                await self._close(item)
                return item.reason
            await self._heed(item)

    def _pieces(self) -> list[Piece]:
        """Take the audio of the next job out of the inbox."""
        pieces: list[Piece] = []
        n_samples = 0
        while self._inbox and n_samples < _MAX_JOB_S * self._wishes.rate:
            piece = self._inbox[0]
            if not isinstance(piece, Piece):
                break
            self._inbox.popleft()
            pieces.append(piece)
            n_samples += len(piece.samples)
        self._n_waiting -= n_samples
        self._room.set()
        return pieces

    async def _hear(self, pieces: list[Piece]) -> None:
        self._heard_audio = True
        before = self._ear.seconds
        await self._tell(await self._in_thread(partial(self._ear.hear, pieces)))
        self._service.metrics.audio_seconds.labels("live").inc(self._ear.seconds - before)

    async def _tell(self, heard: list[Heard]) -> None:
        for one in heard:
            if one.prediction:
                self._count(one.prediction, time.perf_counter() - one.arrived)
                one.message["latency_ms"] = round(1000 * (time.perf_counter() - one.arrived), 1)
            await self._send(one.message)

    def _count(self, prediction: Prediction, latency_s: float) -> None:
        self._decisions += 1
        if prediction.final:
            self._speech_s += prediction.end - prediction.start
        self._service.metrics.decisions.labels("live", prediction.label).inc()
        self._service.metrics.decision_seconds.observe(latency_s)

    async def _heed(self, message: dict[str, Any]) -> None:
        """Do what a text message asks for."""
        kind = message["type"]
        if kind == "error":
            await self._send({**message, "fatal": False})
        elif kind == "ping":
            await self._send({"type": "pong"})
        elif kind == "flush":
            await self._tell(await self._in_thread(self._ear.flush))
        elif kind == "baseline.get":
            await self._send_baseline()
        elif kind == "baseline.reset":
            self._ear.forget()
            await self._send_baseline()
        else:
            await self._update(message)

    async def _send_baseline(self) -> None:
        baseline = await self._in_thread(self._ear.baseline)  # as a job, it has to wait its turn
        await self._send({"type": "baseline", "baseline": baseline})

    async def _update(self, message: dict[str, Any]) -> None:
        try:
            if self._heard_audio:
                raise MessageError("too_late", "session.update has to come before the first audio")
            wishes = read_update(message, self._wishes)
            self._ear = await self._in_thread(partial(Ear, self._service, wishes))
        except MessageError as error:
            await self._send(_error(error.code, str(error)))
        except EmovoxError as error:
            await self._send(_error("baseline", str(error)))
        else:
            self._wishes = wishes
            await self._send({"type": "session.updated", **wishes.to_dict()})

    async def _close(self, end: _End) -> None:
        """Say what is still to be said, and close."""
        await self._tell(await self._in_thread(self._ear.flush))
        if end.message:
            await self._send({**_error(end.reason, end.message), "fatal": True})
        await self._send(
            {
                "type": "session.closed",
                "seconds": round(self._ear.seconds, 3),
                "speech_seconds": round(self._speech_s, 3),
                "decisions": self._decisions,
                "reason": end.reason,
            }
        )
        await self._websocket.close(end.close_code, end.reason)

    async def _say_failed(self) -> None:
        with contextlib.suppress(Exception):
            await self._send({**_error("internal", "a mistake of the service"), "fatal": True})
            await self._websocket.close(1011, "internal")

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._settings.send_timeout_s):
                await self._websocket.send_json(message)
        except (TimeoutError, WebSocketDisconnect, RuntimeError):  # RuntimeError: already closed
            raise _GoneError from None

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await self._service.workers.run("live", call)

    def _created(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "type": "session.created",
            "session": self._id,
            "model": self._service.recognizer.fingerprint,
            "labels": list(self._service.recognizer.labels),
            "rate": self._wishes.rate,
            "interval_s": self._wishes.interval_s,
            "limits": {
                "max_message_bytes": int(settings.max_message_kb * 1000),
                "max_messages_per_s": settings.max_messages_per_s,
                "max_session_s": settings.max_session_s,
                "idle_s": settings.idle_s,
            },
        }


def _error(code: str, message: str) -> dict[str, Any]:
    return {"type": "error", "code": code, "message": message, "fatal": False}


async def _cancelled(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def add_live(app: FastAPI, sessions: Sessions) -> None:
    """Add the route of live sessions."""

    @app.websocket("/v1/stream")
    async def stream(websocket: WebSocket) -> None:
        await sessions.run(websocket)
