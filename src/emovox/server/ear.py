"""A live session's ear: a Stream, and what there is to tell of what it heard."""

import time
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ..prediction import Prediction
from ..stream import Stream
from .protocol import MAX_INTERVAL_S, Wishes
from .service import Service

_LEVEL_S = 0.2  # of audio between two messages of the level
_LAG_S = 0.1  # behind by so much, interim decisions come half as often


@dataclass(frozen=True)
class Piece:
    """Samples as they came, and when."""

    samples: NDArray[Any]
    arrived: float


@dataclass(frozen=True)
class Heard:
    """Something a job has to tell: the message, and when the audio came that it is about."""

    message: dict[str, Any]
    arrived: float
    prediction: Prediction | None = None


class Ear:
    """A Stream, and what there is to tell of it; used by one thread at a time.

    Raises
    ------
    BaselineError
        If the baseline wished for is of another model.
    """

    def __init__(self, service: Service, wishes: Wishes) -> None:
        self._interval_s = wishes.interval_s
        self._new_baseline = service.recognizer.new_baseline
        self._stream: Stream = service.recognizer.stream(
            wishes.rate,
            interval_s=wishes.interval_s,
            baseline=wishes.baseline,
            learn=wishes.learn,
        )
        self._start: float | None = None  # of the speech that was told last
        self._told_end = True
        self._level_at = 0.0  # seconds

    @property
    def seconds(self) -> float:
        """Seconds of audio heard."""
        return self._stream.seconds

    def hear(self, pieces: list[Piece]) -> list[Heard]:
        """Hear audio and return what there is to tell, in order."""
        lag = time.perf_counter() - pieces[0].arrived
        # Behind the speaker, interim decisions are made less often; final ones never depend on it.
        self._stream.interval_s = min(MAX_INTERVAL_S, self._interval_s * (1 + lag / _LAG_S))
        told: list[Heard] = []
        for piece in pieces:
            told += self._after(self._stream.feed(piece.samples), piece.arrived)
        if self._stream.seconds - self._level_at >= _LEVEL_S:
            self._level_at = self._stream.seconds
            level = {"db": round(self._stream.level_db, 1), "seconds": round(self.seconds, 3)}
            told.append(Heard({"type": "level", **level}, pieces[-1].arrived))
        return told

    def flush(self) -> list[Heard]:
        """Return what is left to tell when nothing more is to come for now."""
        arrived = time.perf_counter()
        return self._after(self._stream.flush(), arrived)

    def baseline(self) -> dict[str, Any]:
        """Return the speaker's baseline as JSON has it."""
        return self._stream.baseline.to_dict()

    def forget(self) -> None:
        """Begin the speaker's baseline anew."""
        self._stream.baseline = self._new_baseline()

    def _after(self, predictions: list[Prediction], arrived: float) -> list[Heard]:
        """Return what to tell after a piece: speech began, decisions, speech ended."""
        stream = self._stream
        told: list[Heard] = []
        start = stream.speech_start
        if start is not None and start != self._start:
            self._start, self._told_end = start, False
            told.append(Heard({"type": "speech.start", "at": round(start, 3)}, arrived))
        heard_s = round(stream.baseline.seconds, 3)
        for one in predictions:
            message = {
                "type": "result",
                "prediction": one.to_dict(),
                "latency_ms": 0.0,
                "baseline_seconds": heard_s,
            }
            told.append(Heard(message, arrived, one))
        if stream.speech_end is not None and not self._told_end:
            self._told_end = True
            told.append(Heard({"type": "speech.end", "at": round(stream.speech_end, 3)}, arrived))
        return told
