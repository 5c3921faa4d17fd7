"""The audio of a live session: a stream, and the messages about what it found."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from ..baseline import Baseline
from ..measuring import Measurement, MeasuringStream
from ..prediction import Prediction
from ..stream import Stream
from .protocol import MAX_INTERVAL_S, SessionOptions
from .service import Service

_LEVEL_S = 0.2  # seconds of audio between two messages about the level
_LAG_S = 0.1  # at this lag, interim results come half as often


@dataclass(frozen=True)
class Block:
    """Samples of one channel of a message, and the time at which it arrived."""

    samples: NDArray[Any]
    arrived: float


@dataclass(frozen=True)
class Result:
    """An answer to speech, and the time at which the last audio it needed arrived."""

    answer: Prediction | Measurement
    arrived: float
    baseline_s: float  # seconds of speech in the speaker's baseline
    channel: int | None = None  # in a session of several

    def message(self, latency_s: float) -> dict[str, Any]:
        """Return the message to send when this much time has passed since the audio arrived."""
        latency: dict[str, Any] = {"latency_ms": round(1000 * latency_s, 1)}
        if self.channel is not None:
            latency["channel"] = self.channel
        if isinstance(self.answer, Measurement):
            return {"type": "measurement", "measurement": self.answer.to_dict(), **latency}
        return {
            "type": "result",
            "prediction": self.answer.to_dict(),
            **latency,
            "baseline_seconds": self.baseline_s,
        }


Update = dict[str, Any] | Result  # a message that is complete, or a result that needs its latency


class SpeakerStream(Protocol):
    """The stream of one channel, and the updates to send about it."""

    @property
    def seconds(self) -> float:
        """Seconds of audio received."""

    def feed(self, blocks: list[Block]) -> list[Update]:
        """Take in audio and return the updates to send, in order."""

    def flush(self) -> list[Update]:
        """End the current segment and return the updates to send."""

    def turn(self) -> dict[str, Any]:
        """Return the message about what was said since the last turn; null for nothing."""

    def baseline(self) -> dict[str, Any]:
        """Return the speaker's baseline as a JSON object."""

    def reset_baseline(self) -> None:
        """Start a new baseline."""

    def close(self) -> None:
        """End the session; may be called again, and from another thread."""


class LiveStream:
    """The stream of one channel and the updates to send about it; used by one thread at a time.

    The rate is that of the decoded samples, in Hz. Without `emotion` in the options the stream
    measures, and the baseline stays as it was given.

    Raises
    ------
    BaselineError
        If the baseline belongs to another model.
    """

    def __init__(
        self, service: Service, options: SessionOptions, rate: int, baseline: Baseline | None
    ) -> None:
        self._interval_s = options.interval_s
        self._new_baseline = service.recognizer.new_baseline
        recognised = service.recognizer.stream(
            rate,
            interval_s=options.interval_s,
            baseline=baseline,
            learn=options.learn,
            labels=options.labels,
            prosody=options.prosody,
        )
        self._stream: Stream | MeasuringStream = (
            recognised if options.emotion else MeasuringStream(rate)
        )
        self._speaker: Stream = recognised  # whose baseline it is
        self._speech_start: float | None = None  # as last sent
        self._end_sent = True
        self._level_sent = 0.0  # seconds

    @property
    def seconds(self) -> float:
        """Seconds of audio received."""
        return self._stream.seconds

    def feed(self, blocks: list[Block]) -> list[Update]:
        """Recognise audio and return the updates to send, in order."""
        lag = time.perf_counter() - blocks[0].arrived
        # A stream that lags makes fewer interim predictions; the final ones stay the same.
        self._speaker.interval_s = min(MAX_INTERVAL_S, self._interval_s * (1 + lag / _LAG_S))
        updates: list[Update] = []
        for block in blocks:
            updates += self._updates(self._stream.feed(block.samples), block.arrived)
        if self._stream.seconds - self._level_sent >= _LEVEL_S:
            self._level_sent = self._stream.seconds
            level = {"db": round(self._stream.level_db, 1), "seconds": round(self.seconds, 3)}
            updates.append({"type": "level", **level})
        return updates

    def flush(self) -> list[Update]:
        """End the current segment and return the updates to send."""
        arrived = time.perf_counter()
        return self._updates(self._stream.flush(), arrived)

    def turn(self) -> dict[str, Any]:
        """Return the message about what was said since the last turn; null for nothing."""
        answer = self._stream.turn()
        key = "prediction" if self._stream is self._speaker else "measurement"
        return {"type": "turn", key: None if answer is None else answer.to_dict()}

    def baseline(self) -> dict[str, Any]:
        """Return the speaker's baseline as a JSON object."""
        return self._speaker.baseline.to_dict()

    def reset_baseline(self) -> None:
        """Start a new baseline."""
        self._speaker.baseline = self._new_baseline()

    def close(self) -> None:
        """End the session, of which nothing is kept."""

    def _updates(self, answers: Sequence[Prediction | Measurement], arrived: float) -> list[Update]:
        """Return the updates after a block: start of speech, results, end of speech."""
        start, end = self._stream.speech_start, self._stream.speech_end
        baseline_s = round(self._speaker.baseline.seconds, 3)
        updates: list[Update] = []
        if start is not None and start != self._speech_start:
            self._speech_start, self._end_sent = start, False
            updates.append({"type": "speech.start", "at": round(start, 3)})
        updates += [Result(answer, arrived, baseline_s) for answer in answers]
        if end is not None and not self._end_sent:
            self._end_sent = True
            updates.append({"type": "speech.end", "at": round(end, 3)})
        return updates
