"""A Twilio call's ear: take its media streams, and say how caller and callee sound.

Run `emovox serve`, then this server, which Twilio must reach under a public name with TLS:

    python examples/twilio.py [--port 8080] [--url http://127.0.0.1:8000]

and answer the call with TwiML such as

    <Response><Start><Stream url="wss://HOST/" track="both_tracks"/></Start> ... </Response>

It needs `pip install 'emovox[client]'`. A line of JSON is printed for each thing said; put what
your application does with it into `main`. Twilio signs its requests (X-Twilio-Signature): check
that, for example in your proxy, before you let anybody in.
"""

import argparse
import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass, field
from typing import Any

import websockets

from emovox import EmovoxError
from emovox.client import AsyncClient, Result

RATE = 8_000  # Hz: Twilio sends mu-law at this rate, and no other
SILENCE = b"\xff"  # in mu-law
MAX_APART_MS = 400  # that one track waits for the other; then silence takes its place
MAX_GAP_MS = 60_000  # of silence that a message may bring about
Say = Callable[[dict[str, Any]], None]


class CallError(Exception):
    """A message that is not of Twilio's documented form."""


@dataclass
class Tracks:
    """The tracks of a call, side by side: each message goes to its time, and silence elsewhere."""

    names: tuple[str, ...]
    _waiting: dict[str, bytearray] = field(default_factory=dict)
    _taken: int = 0  # samples of each track

    def __post_init__(self) -> None:
        self._waiting = {name: bytearray() for name in self.names}

    def add(self, name: str, timestamp_ms: int, sound: bytes) -> bytes:
        """Take in a message; return what is complete, the tracks interleaved."""
        if name not in self._waiting:
            raise CallError(f"expected a track of {', '.join(self.names)}, got {name!r}")
        waiting = self._waiting[name]
        begin = timestamp_ms * RATE // 1000 - self._taken
        missing = begin - len(waiting)
        if missing > MAX_GAP_MS * RATE // 1000:
            raise CallError(f"expected a timestamp near those before, got {timestamp_ms} ms")
        if missing > 20 * RATE // 1000:  # timestamps are whole milliseconds: less is no gap
            waiting += SILENCE * missing
        waiting += sound
        longest = max(map(len, self._waiting.values()))
        shortest = min(map(len, self._waiting.values()))
        return self._take(max(shortest, longest - MAX_APART_MS * RATE // 1000))

    def rest(self) -> bytes:
        """Return what is left at the end of the call."""
        return self._take(max(map(len, self._waiting.values())))

    def _take(self, n_samples: int) -> bytes:
        sound = bytearray(n_samples * len(self.names))
        for index, waiting in enumerate(self._waiting.values()):
            sound[index :: len(self.names)] = waiting[:n_samples].ljust(n_samples, SILENCE)
            del waiting[:n_samples]
        self._taken += n_samples
        return bytes(sound)


async def follow(messages: AsyncIterable[str | bytes], client: AsyncClient, say: Say) -> None:
    """Follow one call from `connected` to `stop`, or until Twilio hangs up.

    Raises
    ------
    CallError
        If a message is not of the documented form.
    EmovoxError
        If the service cannot be reached or refuses the session.
    """
    start: dict[str, Any] | None = None
    iterator = aiter(messages)
    async for text in iterator:
        message = _parsed(text)
        if message["event"] == "start":
            start = message["start"]
            break
        if message["event"] != "connected":
            raise CallError(f"expected connected and start first, got {message['event']!r}")
    if start is None:
        return
    names = _tracks(start)
    options = {"encoding": "mulaw", "rate": RATE, "channels": len(names)}
    async with client.live(**options) as session:
        facts = {"call": start.get("callSid"), "stream": start.get("streamSid")}
        telling = asyncio.create_task(_tell(session, names, facts, say))
        try:
            await _send(iterator, session, Tracks(names))
            await session.finish()
            await telling
        finally:
            telling.cancel()


async def _send(messages: AsyncIterable[str | bytes], session: Any, tracks: Tracks) -> None:
    async for text in messages:
        message = _parsed(text)
        if message["event"] == "stop":
            break
        if message["event"] == "media":  # others, such as mark and dtmf, have no sound
            try:
                media = message["media"]
                sound = base64.b64decode(media["payload"], validate=True)
                when = int(media["timestamp"])
                name = str(media.get("track", tracks.names[0]))
            except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
                raise CallError(f"expected media with payload and timestamp: {error}") from None
            if complete := tracks.add(name, when, sound):
                await session.send(complete)
    if left := tracks.rest():
        await session.send(left)


async def _tell(session: Any, names: tuple[str, ...], facts: dict[str, Any], say: Say) -> None:
    async for event in session:
        if isinstance(event, Result) and event.prediction.final:
            say({**facts, "track": names[event.channel], **event.prediction.to_dict()})


def _parsed(text: str | bytes) -> dict[str, Any]:
    try:
        message = json.loads(text)
        if isinstance(message["event"], str):
            return dict(message)
    except (ValueError, KeyError, TypeError):
        pass
    raise CallError("expected a JSON object with an event")


def _tracks(start: object) -> tuple[str, ...]:
    """Return the names of the tracks, of a start message in the one format that there is."""
    try:
        media = start["mediaFormat"]  # type: ignore[index]
        found = (media["encoding"], int(media["sampleRate"]), int(media["channels"]))
        names = tuple(map(str, start["tracks"]))  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        raise CallError("expected a start with tracks and a mediaFormat") from None
    if found != ("audio/x-mulaw", RATE, 1):
        raise CallError(f"expected audio/x-mulaw at {RATE} Hz with 1 channel, got {found}")
    if not 1 <= len(names) <= 2 or len(set(names)) < len(names):
        raise CallError(f"expected one or two tracks, got {', '.join(names)[:100]}")
    return names


async def serve(port: int, url: str, token: str | None, say: Say) -> None:
    """Take calls until cancelled."""
    async with AsyncClient(url, token=token) as client:

        async def call(socket: websockets.ServerConnection) -> None:
            try:
                await follow(socket, client, say)
            except (CallError, EmovoxError) as error:
                say({"error": str(error)})
                await socket.close(1008, str(error)[:100])

        async with websockets.serve(call, "127.0.0.1", port, max_size=100_000) as server:
            print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
            await server.serve_forever()


def main() -> None:
    """Read the command line and take calls."""
    parser = argparse.ArgumentParser(description="Say how the speakers of Twilio calls sound.")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="of `emovox serve`")
    parser.add_argument("--token", help="of the service, if it asks for one")
    options = parser.parse_args()
    say = lambda answer: print(json.dumps(answer), flush=True)  # noqa: E731
    try:
        asyncio.run(serve(options.port, options.url, options.token, say))
    except KeyboardInterrupt:
        pass
    except OSError as error:
        raise SystemExit(f"cannot listen on port {options.port}: {error}") from None


if __name__ == "__main__":
    main()
