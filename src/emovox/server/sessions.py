"""Live sessions over a WebSocket: the audio of one or more speakers in, predictions out."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from ..errors import ConfigError, EmovoxError, MissingExtraError
from ..prediction import Prediction
from .channels import Channels, Encoded, Makers
from .inbox import End, Inbox, Item
from .live import Result, Update
from .logs import log
from .protocol import MessageError, Request, SessionOptions, as_text, read_message
from .rates import Bucket, Shares, address_of
from .refusals import RefusedError, busy
from .service import Service

T = TypeVar("T")
_MAX_ERRORS = 100  # invalid messages after which a session is closed
_VIOLATION = 1008  # close code of a session that breaks a rule
_RETRY_S = 5  # after which a client that found no place may try again


class _GoneError(Exception):
    """The client has disconnected, or does not read its messages."""


class Sessions:
    """The live sessions of one app."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._open: set[Session] = set()
        self._closing = False
        settings = service.settings
        self._places = Shares("live sessions", settings.max_sessions, settings.max_share, _RETRY_S)

    def check_room(self, address: str) -> None:
        """Check that the address could open another session.

        Raises
        ------
        RefusedError
            If the service is stopping, or the limit of sessions, in all or of one address, is
            reached.
        """
        with self._place(address):
            pass

    def _place(self, address: str) -> contextlib.AbstractContextManager[None]:
        if self._closing:
            raise busy("the service is stopping", _RETRY_S)
        return self._places.place(address)

    async def run(self, websocket: WebSocket, makers: Makers | None = None) -> None:
        """Run one session from its handshake to its end.

        One with streams of another kind is private: its labels are not counted.
        """
        gauge, address = self._service.metrics.live_sessions, address_of(websocket.scope)
        session = Session(websocket, self._service, partial(self._place, address), makers)
        try:
            with self._place(address), gauge.track_inprogress():
                self._open.add(session)
                await session.run()
        except RefusedError as refusal:
            await websocket.send_denial_response(refusal.response())
        finally:
            self._open.discard(session)

    async def close(self) -> None:
        """End all sessions cleanly, within `shutdown_s`, and accept no more."""
        self._closing = True
        for session in self._open:
            session.end(End("shutdown", 1001))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._service.settings.shutdown_s):
                while self._open:
                    await asyncio.sleep(0.02)


class Session:
    """One WebSocket, of one speaker on each channel.

    One task reads messages into an inbox; another handles them in order. Audio is recognised in
    the workers' threads, one job of a session at a time. `place` takes a place of another session:
    each channel beyond the first counts as one.
    """

    def __init__(
        self,
        websocket: WebSocket,
        service: Service,
        place: Callable[[], contextlib.AbstractContextManager[None]],
        makers: Makers | None = None,
    ) -> None:
        self._is_private = makers is not None
        self._make_channels = partial(Channels, service, makers=makers)
        self._websocket = websocket
        self._service = service
        self._place, self._places = place, contextlib.ExitStack()
        self._settings = service.settings
        self._id = secrets.token_hex(8)
        self._options = SessionOptions()
        self._inbox = Inbox()
        self._decisions = 0
        self._speech_s = 0.0
        self._n_errors = 0
        self._stream: Channels

    def end(self, end: End) -> None:
        """End the session after the messages received so far."""
        self._inbox.put(end)

    async def run(self) -> None:
        """Run the session until it ends."""
        offered = self._websocket.scope.get("subprotocols", [])
        # A browser gives up unless one of the subprotocols it offered is taken.
        chosen = next((name for name in offered if name.startswith(("bearer.", "key."))), None)
        await self._websocket.accept(chosen)
        reader = asyncio.create_task(self._read())
        worker = asyncio.create_task(self._work())
        limit = asyncio.get_running_loop().call_later(
            self._settings.max_session_s,
            self.end,
            End("session_limit", _VIOLATION, f"a session lasts {self._settings.max_session_s:g} s"),
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
            await self._send_failure()
        finally:
            limit.cancel()
            await _cancelled(reader, worker)
            self._places.close()
            self._service.metrics.sessions.labels(reason).inc()
            log("session_end", session=self._id, reason=reason, decisions=self._decisions)

    async def _read(self) -> bool:
        """Read messages into the inbox, up to the last one; return False if the client is gone."""
        bucket = Bucket(self._settings.max_messages_per_s, 2 * self._settings.max_messages_per_s)
        while True:
            try:
                async with asyncio.timeout(self._settings.idle_s):
                    message = await self._websocket.receive()
            except TimeoutError:
                self.end(End("idle", _VIOLATION, f"no message for {self._settings.idle_s:g} s"))
                return True
            if message["type"] != "websocket.receive":
                return False
            item, n_bytes = _read_item(message)
            self._inbox.put(item, n_bytes)
            if isinstance(item, Request) and item.kind == "session.close":
                return True
            while delay := bucket.take(_cost(item, n_bytes)):
                await asyncio.sleep(delay)  # backpressure: unread messages make the client wait
            await self._inbox.room(self._options.bytes_per_s)

    async def _work(self) -> str:
        """Handle the messages in the inbox until the session ends; return the reason."""
        self._stream = await self._in_thread(partial(self._make_channels, self._options))
        try:
            await self._send(self._created())
            while True:
                item = await self._inbox.take(self._options.bytes_per_s)
                if end := item if isinstance(item, End) else await self._handle(item):
                    await self._close(end)
                    return end.reason
        finally:
            await self._in_thread(self._stream.close)

    async def _feed(self, messages: list[Encoded]) -> End | None:
        before = self._stream.seconds
        feed = partial(self._stream.feed, messages)
        updates, errors = await self._in_thread(feed)
        await self._send_updates(updates)
        heard_s = (self._stream.seconds - before) * self._stream.n_channels
        self._service.metrics.audio_seconds.labels("live").inc(heard_s)
        for error in errors:
            if end := await self._refuse(error):
                return end
        return None

    async def _send_updates(self, updates: list[Update]) -> None:
        for update in updates:
            await self._send(self._message(update) if isinstance(update, Result) else update)

    def _message(self, result: Result) -> dict[str, Any]:
        """Count a result and return its message, with the latency until now."""
        latency_s = time.perf_counter() - result.arrived
        answer = result.answer
        if not isinstance(answer, Prediction) or answer.final:
            self._speech_s += answer.end - answer.start
        if isinstance(answer, Prediction):
            self._decisions += 1
            if not self._is_private:
                self._service.metrics.decisions.labels("live", answer.label).inc()
            self._service.metrics.decision_seconds.observe(latency_s)
        return result.message(latency_s)

    async def _handle(self, item: list[Encoded] | Request | MessageError) -> End | None:
        """Handle what the client sent; return an End if the session ends with it."""
        try:
            if isinstance(item, MessageError):
                raise item
            return await (self._feed(item) if isinstance(item, list) else self._execute(item))
        except MessageError as error:
            return await self._refuse(error)

    async def _refuse(self, error: MessageError) -> End | None:
        """Tell the client about an invalid message; return an End if the session ends with it.

        It does before the first audio, and after a session.update at any time: the message may have
        set options, and audio interpreted with the wrong options gives meaningless results.
        """
        if error.fatal or not self._stream.seconds:
            return End(error.code, _VIOLATION, str(error))
        self._n_errors += 1
        if self._n_errors >= _MAX_ERRORS:
            return End("too_many_errors", _VIOLATION, f"{_MAX_ERRORS} invalid messages")
        await self._send(_error(error.code, str(error)))
        return None

    async def _execute(self, request: Request) -> End | None:
        if request.kind == "session.close":
            return End(request.kind)
        if request.kind == "session.update":
            await self._update(request.changes)
        elif request.kind == "ping":
            await self._send({"type": "pong"})
        elif request.kind == "turn":
            await self._send_updates(await self._turns(request.channel))
        elif request.kind == "practice":
            practise = partial(self._stream.practise, request.changes["practice"])
            await self._send_updates(await self._in_thread(practise))
        else:
            channel, reset = request.channel, request.kind == "baseline.reset"
            call = partial(self._stream.baselines, channel, reset=reset)
            if request.kind == "flush":
                call = partial(self._stream.flush, channel)
            await self._send_updates(await self._in_thread(call))
        return None

    async def _turns(self, channel: int | None) -> list[Update]:
        """Return a message for each channel about what was said there since its last turn."""
        asked = time.perf_counter()
        turns = await self._in_thread(partial(self._stream.turns, channel))
        latency_ms = round(1000 * (time.perf_counter() - asked), 1)
        return [{**turn, "latency_ms": latency_ms} for turn in turns]

    async def _update(self, changes: Mapping[str, Any]) -> None:
        if self._stream.seconds:
            reason = "session.update has to come before the first audio"
            raise MessageError("too_late", reason, fatal=True)
        options = self._options.changed(changes)
        self._take_places(options.channels - 1)
        try:
            self._stream = await self._in_thread(partial(self._make_channels, options))
        except MissingExtraError as error:
            raise MessageError("parameter", f"encoding: {error}", fatal=True) from None
        except ConfigError as error:  # of labels it names them itself
            reason = f"practice: {error}" if options.practice else str(error)
            raise MessageError("parameter", reason, fatal=True) from None
        except EmovoxError as error:
            code = error.code if isinstance(error, RefusedError) else "baseline"
            raise MessageError(code, str(error), fatal=True) from None
        self._options = options
        await self._send({"type": "session.updated", **options.to_dict()})

    def _take_places(self, n_places: int) -> None:
        """Take the places of this many further channels."""
        self._places.close()
        try:
            for _ in range(n_places):
                self._places.enter_context(self._place())
        except RefusedError as refusal:
            raise MessageError(refusal.code, str(refusal), fatal=True) from None

    async def _close(self, end: End) -> None:
        """Send the remaining messages and close the connection."""
        try:
            await self._send_updates(await self._in_thread(self._stream.flush))
            await self._in_thread(self._stream.close)
        except MessageError as error:
            end = End(error.code, _VIOLATION, str(error))
        if end.message:
            await self._send({**_error(end.reason, end.message), "fatal": True})
        await self._send(
            {
                "type": "session.closed",
                "seconds": round(self._stream.seconds, 3),
                "speech_seconds": round(self._speech_s, 3),
                "decisions": self._decisions,
                "reason": end.reason,
            }
        )
        await self._websocket.close(end.close_code, end.reason)

    async def _send_failure(self) -> None:
        with contextlib.suppress(Exception):
            await self._send({**_error("internal", "an error of the service"), "fatal": True})
            await self._websocket.close(1011, "internal")

    async def _send(self, message: dict[str, Any]) -> None:
        text = as_text(message)
        try:
            async with asyncio.timeout(self._settings.send_timeout_s):
                await self._websocket.send_text(text)
        except (TimeoutError, WebSocketDisconnect, RuntimeError):  # RuntimeError: already closed
            raise _GoneError from None

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await self._service.workers.run_live(call)

    def _created(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "type": "session.created",
            "session": self._id,
            "model": self._service.recognizer.fingerprint,
            "labels": list(self._service.recognizer.labels),
            "rate": self._options.rate_hz,
            "interval_s": self._options.interval_s,
            "limits": {
                "max_message_bytes": int(settings.max_message_kb * 1000),
                "max_messages_per_s": settings.max_messages_per_s,
                "max_session_s": settings.max_session_s,
                "idle_s": settings.idle_s,
            },
        }


def _read_item(message: Mapping[str, Any]) -> tuple[Item, int]:
    """Parse a message; return it and its size in bytes."""
    text, data = message.get("text"), message.get("bytes") or b""
    n_bytes = len(data) if text is None else len(text.encode())
    try:
        if text is not None:
            return read_message(text), n_bytes
        return Encoded(data, time.perf_counter()), n_bytes
    except MessageError as error:
        return error, n_bytes


def _cost(item: Item, n_bytes: int) -> float:
    """Return how many ordinary messages an item counts as: text has to be parsed, or is work."""
    if isinstance(item, Encoded):
        return 1.0
    return n_bytes / 1000 + (item.cost if isinstance(item, Request) else 1.0)


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
