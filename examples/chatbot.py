"""A chatbot's ear: stream a caller's audio, and tell the language model how each turn sounds.

Run a server (`emovox serve`), then, for a call made of the recordings in this folder:

    python examples/chatbot.py

or with recordings of your own, each a turn of the same caller, or a whole call in one:

    python examples/chatbot.py CALL.wav [MORE.flac ...] [--url ws://HOST:PORT/v1/stream]

It needs `websockets`, and `soundfile` to read recordings. A real chatbot would send the frames of a
phone call, and put the transcript where this one puts a placeholder.
"""

import argparse
import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import websockets

URL = "ws://127.0.0.1:8000/v1/stream"
SHIPPED = ("even", "slow-and-low", "fast-and-high")
FRAME_S = 0.1
PAUSE_S = 1.2  # of silence, after which it is the chatbot's turn
MEMORY = 5  # turns that the trend looks back on
LOW = frozenset({"angry", "disgust", "fear", "sad"})


@dataclass(frozen=True)
class Turn:
    """What the caller said until it was the chatbot's turn: the final predictions."""

    segments: tuple[dict[str, Any], ...]

    @property
    def scores(self) -> dict[str, float]:
        """The mean scores of the segments, each as heavy as it is long."""
        seconds = [segment["end"] - segment["start"] for segment in self.segments]
        rows = np.array([list(segment["scores"].values()) for segment in self.segments])
        return dict(zip(self.segments[0]["scores"], np.average(rows, 0, seconds), strict=True))

    @property
    def certain(self) -> bool:
        """Whether the model was certain of any segment."""
        return any(segment["certain"] for segment in self.segments)


@dataclass
class Caller:
    """How a caller has sounded so far, turn by turn."""

    recent: deque[float] = field(default_factory=lambda: deque(maxlen=MEMORY))

    def add(self, turn: Turn) -> str:
        """Take in a turn; return one line of context for the prompt."""
        scores = turn.scores
        trend = self._trend(sum(scores.get(label, 0.0) for label in LOW))
        label = max(scores, key=scores.__getitem__)
        heard = f"{label} ({scores[label]:.0%})"
        return f"[voice: {heard if turn.certain else f'unclear, perhaps {heard}'}; {trend}]"

    def _trend(self, low: float) -> str:
        """Say where the turns lead: the share of low emotions, then and now."""
        before = sum(self.recent) / len(self.recent) if self.recent else None
        self.recent.append(low)
        if before is None:
            return "first turn"
        if abs(low - before) < 0.15:
            return "as before"
        return "getting worse" if low > before else "getting better"


def read(paths: list[Path]) -> tuple[np.ndarray, int]:
    """Return recordings as one call of 16-bit samples, a pause after each, and its rate in Hz."""
    sounds: list[np.ndarray] = []
    rates: set[int] = set()
    for path in paths:
        try:
            audio, rate = soundfile.read(path, dtype="int16", always_2d=True)
        except (OSError, soundfile.LibsndfileError) as error:
            raise SystemExit(f"{path}: expected a recording: {error}") from None
        if audio.shape[1] != 1:
            raise SystemExit(f"{path}: expected one channel with one speaker, got {audio.shape[1]}")
        sounds += [audio[:, 0], np.zeros(int(2 * PAUSE_S * rate), np.int16)]
        rates.add(rate)
    if len(rates) != 1:
        raise SystemExit(f"expected recordings of one rate, got {sorted(rates)} Hz")
    return np.concatenate(sounds), rates.pop()


async def frames_of(call: np.ndarray, rate: int) -> AsyncIterator[bytes]:
    """Yield a call's samples in real time, as a telephone would bring them."""
    length = int(FRAME_S * rate)
    for first in range(0, len(call), length):
        yield call[first : first + length].astype("<i2").tobytes()
        await asyncio.sleep(FRAME_S)


async def send(socket: websockets.ClientConnection, frames: AsyncIterator[bytes]) -> None:
    """Send the frames, then say that there are no more."""
    async for frame in frames:
        await socket.send(frame)
    await socket.send(json.dumps({"type": "session.close"}))


async def turns(url: str, rate: int, frames: AsyncIterator[bytes]) -> AsyncIterator[Turn]:
    """Stream frames of a caller; yield each turn as soon as a pause has ended it."""
    async with websockets.connect(url) as socket:
        await socket.send(json.dumps({"type": "session.update", "rate": rate}))
        sending = asyncio.create_task(send(socket, frames))
        segments: list[dict[str, Any]] = []
        silent_since = float("inf")
        async for text in socket:
            message = json.loads(text)
            kind = message["type"]
            over = kind == "session.closed"
            if kind == "speech.start":
                silent_since = float("inf")
            elif kind == "speech.end":
                silent_since = message["at"]
            elif kind == "result" and message["prediction"]["final"]:
                segments.append(message["prediction"])
            elif kind == "level":
                over = message["seconds"] - silent_since > PAUSE_S
            elif kind == "error" and message["fatal"]:
                raise SystemExit(f"the server ended the call: {message['message']}")
            if over and segments:
                yield Turn(tuple(segments))
                segments = []
        await asyncio.gather(sending, return_exceptions=True)


async def answer(paths: list[Path], url: str) -> None:
    """Answer a caller, turn by turn."""
    caller = Caller()
    call, rate = read(paths)
    async for turn in turns(url, rate, frames_of(call, rate)):
        print(f"{turn.segments[0]['start']:.1f} to {turn.segments[-1]['end']:.1f} s")
        print(caller.add(turn))
        print("Caller: (what your speech recogniser wrote down)\nYou:\n", flush=True)


def main() -> None:
    """Read the command line and answer a call."""
    shipped = [Path(__file__).with_name(f"{name}.flac") for name in SHIPPED]
    parser = argparse.ArgumentParser(description="Tell a language model how a caller sounds.")
    parser.add_argument("recordings", nargs="*", type=Path, default=shipped)
    parser.add_argument("--url", default=URL, help="of the server; default: %(default)s")
    options = parser.parse_args()
    try:
        asyncio.run(answer(options.recordings, options.url))
    except (OSError, websockets.WebSocketException) as error:
        raise SystemExit(f"no call at {options.url}: {error}; start `emovox serve` first") from None


if __name__ == "__main__":
    main()
