"""Live sessions of a client: one timeline, however often the connection is lost and comes back."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..baseline import Baseline
from ..errors import EmovoxError, ServiceError, optional
from ..measuring import Measurement
from ..prediction import Prediction
from .answers import (
    Gap,
    Problem,
    Result,
    Speech,
    TurnResult,
    error_of,
    measurement_of,
    prediction_of,
)

with optional():
    from websockets.asyncio.client import ClientConnection, connect
    from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

T = TypeVar("T")
Event = Result | TurnResult | Speech | Gap | Problem
_FOR_GOOD = (1003, 1007, 1008, 1009)  # close codes: trying again would end the same way
_PROMPT_S = 10.0  # for the service to answer what opens a session
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 5.0  # between two tries
_MESSAGE = 16_000  # bytes at most, of audio: far less than the service takes
_BYTES = {"linear16": 2, "mulaw": 1, "alaw": 1}  # of a sample


@dataclass(frozen=True)
class LiveOptions:
    """How a live session hears.

    Parameters
    ----------
    encoding : str
        linear16, mulaw, alaw, or opus, a packet a message.
    rate : int
        Hz, 8,000 to 192,000; for opus one of its own rates.
    channels : int
        1 to 8, interleaved, each a speaker of its own.
    baselines : tuple of (Baseline or None)
        What was heard of the speaker on each channel before.
    interval_s : float
        Seconds of speech between interim predictions, 0.1 to 10.
    learn : bool
        Whether the baselines learn as the speakers speak.
    prosody, emotion : bool
        Whether final predictions have measurements; without emotion there are measurements alone.
    labels : tuple of str, optional
        Answer with these labels alone, as for `Recognizer.predict`.
    retry_s : float
        Seconds after which a lost connection is given up; 0: at once.
    """

    encoding: str = "linear16"
    rate: int = 16_000
    channels: int = 1
    baselines: tuple[Baseline | None, ...] = ()
    interval_s: float = 0.5
    learn: bool = True
    prosody: bool = False
    emotion: bool = True
    labels: tuple[str, ...] | None = None
    retry_s: float = 60.0

    def update(self, baselines: list[Baseline | None]) -> str:
        """Return the message that opens a session with these baselines."""
        names = (
            "encoding", "rate", "channels", "interval_s", "learn", "prosody", "emotion", "labels"
        )  # fmt: skip
        options = {name: getattr(self, name) for name in names}
        heard = [baseline.to_dict() if baseline else None for baseline in baselines]
        return json.dumps({"type": "session.update", **options, "baselines": heard})


class AsyncLive:
    """A live session for asyncio, begun with `async with`: send audio, and iterate over answers.

    If the connection is lost, it comes back with the baselines learned so far. The audio sent in
    the meantime is lost; a `Gap` tells from when to when. `AsyncClient.live` makes a session.

    Raises
    ------
    EmovoxError
        On entering, if the service refuses the session or cannot be reached; while sending or
        iterating, if the session is refused later or the connection does not come back.
    """

    def __init__(self, url: str, options: LiveOptions, token: str | None = None) -> None:
        self._url = f"{url.rstrip('/')}/v1/stream".replace("http", "ws", 1)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._options = options
        self._baselines = list(options.baselines or (None,) * options.channels)
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()  # None: there are no more
        self._socket: ClientConnection | None = None
        self._opened = False
        self._ready = asyncio.Event()  # open, or over
        self._error: EmovoxError | None = None
        self._closing = False
        self._sent_s = 0.0
        self._origin_s = 0.0  # of the service's clock on the timeline

    @property
    def baseline(self) -> Baseline | None:
        """What was heard of the speaker on the first channel, as of the last final answer."""
        return self._baselines[0]

    @property
    def baselines(self) -> tuple[Baseline | None, ...]:
        """What was heard of the speaker on each channel, as of the last final answer of each."""
        return tuple(self._baselines)

    async def __aenter__(self) -> "AsyncLive":
        self._began = time.monotonic()
        self._task = asyncio.create_task(self._run())
        await self._ready.wait()
        if self._error:
            raise self._error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.finish()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def send(self, audio: bytes | NDArray[Any]) -> None:
        """Send audio of any length: bytes as encoded, for opus one packet; for linear16 samples.

        Samples are int16, or floats in [-1, 1], shape=(n_samples,) or (n_samples, n_channels).
        """
        data = audio if isinstance(audio, bytes) else _encoded(audio, self._options)
        size = _MESSAGE - _MESSAGE % (2 * self._options.channels)
        for first in range(0, len(data), size):
            await self._send(data[first : first + size])

    async def _send(self, data: bytes) -> None:
        if self._error:
            raise self._error
        socket = self._socket
        self._sent_s = self._now(len(data))
        if socket is not None:
            with contextlib.suppress(ConnectionClosed):  # the other task notices, too
                await socket.send(data)

    async def flush(self) -> None:
        """End the current segments without waiting for a pause."""
        await self._tell("flush")

    async def turn(self, channel: int | None = None) -> None:
        """Ask for the answer to all that was said since the last turn; a `TurnResult` brings it.

        Without a channel there is one for each. It is lost if the connection is lost before it
        comes: ask again after a `Gap`.
        """
        await self._tell("turn", **({} if channel is None else {"channel": channel}))

    async def finish(self) -> None:
        """Send no more; what is left of the answers still comes."""
        if self._closing:
            return
        self._closing = True
        for kind in ("flush", "baseline.get", "session.close"):
            await self._tell(kind)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._task), _PROMPT_S)

    async def __aiter__(self) -> AsyncIterator[Event]:
        while (event := await self._events.get()) is not None:
            yield event
        self._events.put_nowait(None)  # for who iterates again
        if self._error:
            raise self._error

    def _now(self, n_bytes: int) -> float:
        """Return the seconds on the timeline after so many bytes more."""
        if self._options.encoding == "opus":
            return time.monotonic() - self._began
        n_each = _BYTES[self._options.encoding] * self._options.channels * self._options.rate
        return self._sent_s + n_bytes / n_each

    async def _tell(self, kind: str, **fields: int) -> None:
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(json.dumps({"type": kind, **fields}))

    async def _run(self) -> None:
        """Keep a connection open until the session is over."""
        try:
            while not await self._connected():
                await self._wait()
        except EmovoxError as error:
            self._error = error
        finally:
            self._socket = None
            self._ready.set()
            self._events.put_nowait(None)

    async def _connected(self) -> bool:
        """Open a connection and read from it; return whether the session is over."""
        try:
            async with connect(self._url, additional_headers=self._headers) as socket:
                await self._open(socket)
                async for text in socket:
                    if await self._hear(socket, json.loads(text)):
                        return True
                return self._closing
        except (OSError, TimeoutError, WebSocketException) as error:
            self._check(error)
            return self._closing
        finally:
            if self._socket is not None:
                self._lost_s, self._lost_at = self._sent_s, time.monotonic()
                self._socket, self._tries = None, 0

    async def _open(self, socket: "ClientConnection") -> None:
        await socket.send(self._options.update(self._baselines))
        async with asyncio.timeout(_PROMPT_S):
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "error":
                    raise error_of(message["code"], message["message"])
                if message["type"] == "session.updated":
                    break
            else:
                raise ServiceError(f"the service at {self._url} closed the session")
        if self._opened:
            self._events.put_nowait(Gap(round(self._lost_s, 4), round(self._sent_s, 4)))
        self._origin_s, self._socket, self._opened = self._sent_s, socket, True
        self._ready.set()

    async def _wait(self) -> None:
        """Wait before the next try; raise if it is too late for one."""
        if time.monotonic() - self._lost_at >= self._options.retry_s:
            raise ServiceError(
                f"the connection to {self._url} is lost, for {self._options.retry_s:g} s"
            )
        await asyncio.sleep(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**self._tries))
        self._tries += 1

    def _check(self, error: Exception) -> None:
        """Raise an error that another try would meet again, and any of the very first try."""
        status = error.response.status_code if isinstance(error, InvalidStatus) else 0
        frame = error.rcvd if isinstance(error, ConnectionClosed) else None
        if frame is not None and frame.code in _FOR_GOOD:
            raise ServiceError(f"the service ended the session: {error}") from None
        if not self._opened or (400 <= status < 500 and status != 429):
            raise ServiceError(f"no session at {self._url}: {error}", status=status) from None

    async def _hear(self, socket: "ClientConnection", message: dict[str, Any]) -> bool:
        """Take in a message; return whether it was the last one."""
        kind, channel = message["type"], message.get("channel", 0)
        if kind == "session.closed":
            return bool(message["reason"] == "session.close")
        if kind == "error":
            if message["fatal"]:
                raise error_of(message["code"], message["message"])
            self._events.put_nowait(Problem(message["code"], message["message"]))
        elif kind == "baseline":
            self._baselines[channel] = Baseline.from_dict(message["baseline"])
        elif kind in ("speech.start", "speech.end"):
            at = round(message["at"] + self._origin_s, 4)
            self._events.put_nowait(Speech(at, kind == "speech.start", channel))
        elif kind == "turn":
            answer = self._answer(message)
            self._events.put_nowait(TurnResult(answer, channel, message["latency_ms"]))
        elif kind in ("result", "measurement"):
            result = self._result(message, channel)
            self._events.put_nowait(result)
            if self._options.learn and getattr(result.answer, "final", False):
                await socket.send(json.dumps({"type": "baseline.get", "channel": channel}))
        return False

    def _result(self, message: dict[str, Any], channel: int) -> Result:
        answer = self._answer(message)
        assert answer is not None, "only a turn may have none"
        baseline_s = message.get("baseline_seconds", 0.0)
        return Result(answer, channel, message["latency_ms"], baseline_s)

    def _answer(self, message: dict[str, Any]) -> Prediction | Measurement | None:
        """Return what a message says of speech, on the timeline."""
        if message.get("prediction"):
            return prediction_of(message["prediction"], self._origin_s)
        if message.get("measurement"):
            return measurement_of(message["measurement"], self._origin_s)
        return None


class Live:
    """The same without asyncio: `AsyncLive` describes it. `Client.live` makes one.

    One thread may send while another iterates.
    """

    def __init__(self, url: str, options: LiveOptions, token: str | None = None) -> None:
        self._url, self._options, self._token = url, options, token
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def baseline(self) -> Baseline | None:
        """What was heard of the speaker on the first channel, as of the last final answer."""
        return self._live.baseline

    @property
    def baselines(self) -> tuple[Baseline | None, ...]:
        """What was heard of the speaker on each channel, as of the last final answer of each."""
        return self._live.baselines

    def __enter__(self) -> "Live":
        self._thread.start()
        try:
            self._live = self._await(self._begun())
        except BaseException:
            self._stop()
            raise
        return self

    async def _begun(self) -> AsyncLive:
        return await AsyncLive(self._url, self._options, self._token).__aenter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._await(self._live.__aexit__(kind, error, trace))
        finally:
            self._stop()

    def send(self, audio: bytes | NDArray[Any]) -> None:
        """Send audio; see `AsyncLive.send`."""
        self._await(self._live.send(audio))

    def flush(self) -> None:
        """End the current segments without waiting for a pause."""
        self._await(self._live.flush())

    def turn(self, channel: int | None = None) -> None:
        """Ask for the answer to all that was said since the last turn; see `AsyncLive.turn`."""
        self._await(self._live.turn(channel))

    def finish(self) -> None:
        """Send no more; what is left of the answers still comes."""
        self._await(self._live.finish())

    def __iter__(self) -> Iterator[Event]:
        events = self._live.__aiter__()
        while True:
            try:
                yield self._await(_next(events))
            except StopAsyncIteration:
                return

    def _await(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _next(events: AsyncIterator[Event]) -> Event:
    return await anext(events)


def _encoded(audio: NDArray[Any], options: LiveOptions) -> bytes:
    """Return samples as little-endian 16-bit ones."""
    if options.encoding != "linear16":
        raise ServiceError(f"expected bytes of {options.encoding}, got an array")
    samples = np.asarray(audio)
    if np.issubdtype(samples.dtype, np.floating):
        samples = np.round(32_767 * np.clip(samples, -1, 1))
    elif samples.dtype != np.int16:
        raise ServiceError(f"expected samples of int16 or floats, got {samples.dtype}")
    return samples.astype("<i2").tobytes()
