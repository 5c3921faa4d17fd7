"""A chatbot's ear: stream a caller's audio, and tell the language model how it sounds.

Run a server (`emovox serve`), then: python examples/chatbot.py CALL.wav

It needs the standard library and `websockets`. CALL.wav holds 16-bit mono samples. A real chatbot
would send the frames of a phone call or a microphone, and put the line of context beside the
transcript of each turn.
"""

import asyncio
import json
import sys
import wave
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import websockets

FRAME_S = 0.1
MEMORY = 5  # utterances that the trend looks back on
LOW = frozenset({"angry", "disgust", "fear", "sad"})


@dataclass
class Caller:
    """How a caller has sounded so far, utterance by utterance."""

    recent: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MEMORY))

    def add(self, prediction: dict[str, Any]) -> str:
        """Take in an utterance's prediction; return one line of context for the prompt."""
        self.recent.append(prediction)
        if not prediction["certain"]:
            return f"[voice: unclear, perhaps {prediction['label']}; {self.trend()}]"
        return f"[voice: {prediction['label']} ({prediction['score']:.0%}); {self.trend()}]"

    def trend(self) -> str:
        """Say where the last utterances lead: the share of low emotions, then and now."""
        lows = [sum(one["scores"].get(label, 0.0) for label in LOW) for one in self.recent]
        if len(lows) < 2:
            return "first utterance"
        change = lows[-1] - sum(lows[:-1]) / len(lows[:-1])
        if abs(change) < 0.15:
            return "as before"
        return "getting worse" if change > 0 else "getting better"


async def utterances(
    url: str, rate: int, frames: AsyncIterator[bytes]
) -> AsyncIterator[dict[str, Any]]:
    """Stream s16le frames; yield the final prediction of each utterance, as soon as it is over."""
    async with websockets.connect(url) as socket:
        await socket.send(json.dumps({"type": "session.update", "rate": rate}))
        sending = asyncio.create_task(send(socket, frames))
        try:
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "result" and message["prediction"]["final"]:
                    yield message["prediction"]
                elif message["type"] == "error" and message["fatal"]:
                    raise RuntimeError(message["message"])
        finally:
            sending.cancel()


async def send(socket: websockets.ClientConnection, frames: AsyncIterator[bytes]) -> None:
    """Send the frames, then say that there are no more."""
    async for frame in frames:
        await socket.send(frame)
    await socket.send(json.dumps({"type": "session.close"}))


async def frames_of(call: wave.Wave_read) -> AsyncIterator[bytes]:
    """Yield a recording's samples in real time, as a call would bring them."""
    while frame := call.readframes(int(FRAME_S * call.getframerate())):
        yield frame
        await asyncio.sleep(FRAME_S)


async def main(path: str, url: str) -> None:
    """Answer a caller, turn by turn."""
    caller = Caller()
    with wave.open(path) as call:
        if (call.getsampwidth(), call.getnchannels()) != (2, 1):
            raise SystemExit(f"{path}: expected 16-bit mono samples")
        async for prediction in utterances(url, call.getframerate(), frames_of(call)):
            context = caller.add(prediction)
            transcript = "(what your speech recogniser wrote down)"
            prompt = f"{context}\nCaller: {transcript}\nYou:"
            print(f"{prediction['start']:.1f} to {prediction['end']:.1f} s\n{prompt}\n")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit("usage: python examples/chatbot.py CALL.wav [ws://HOST:PORT/v1/stream]")
    address = sys.argv[2] if len(sys.argv) == 3 else "ws://127.0.0.1:8000/v1/stream"
    asyncio.run(main(sys.argv[1], address))
