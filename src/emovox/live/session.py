"""From blocks of live sound to predictions, on the clock of the session."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..baseline import Baseline
    from ..recognizer import Prediction, Recognizer
    from ..stream import Stream
    from .source import LiveBlock


@dataclass(frozen=True)
class Now:
    """The state of a session after its latest block."""

    seconds: float = 0.0  # of the session
    level_db: float = -120.0  # of full scale
    speaking: bool = False
    heard_s: float = 0.0  # of the speaker, by the baseline
    silent_s: float = 0.0  # since the last sample that was not exactly zero


@dataclass(frozen=True)
class Decision:
    """A prediction, and the speaker's baseline after it."""

    prediction: "Prediction"
    baseline: "Baseline"


class LiveSession:
    """Recognises blocks as they come; after a gap, or at another rate, a new stream is begun.

    With `learn`, the speaker's baseline is updated after each final decision.
    """

    def __init__(
        self, recognizer: "Recognizer", baseline: "Baseline", *, learn: bool = True
    ) -> None:
        self._recognizer = recognizer
        self._learn = learn
        self._stream: Stream | None = None
        self._stream_start = 0.0  # in seconds of the session
        self.baseline = baseline
        self.now = Now()

    def feed(self, block: "LiveBlock") -> list[Decision]:
        """Return the decisions that a block completes."""
        decisions: list[Decision] = []
        stream = self._stream
        if stream is None or block.gap_s or stream.rate != block.rate:
            decisions = self.flush()
            self._stream_start = block.start
            stream = self._stream = self._recognizer.stream(
                block.rate, baseline=self.baseline, learn=self._learn
            )
        decisions += self._decisions(stream, stream.feed(block.samples))
        silent_s = 0.0 if block.samples.any() else self.now.silent_s + block.end - block.start
        self.now = Now(block.end, stream.level_db, stream.speaking, self.baseline.seconds, silent_s)
        return decisions

    def flush(self) -> list[Decision]:
        """End the current utterance and return the decisions on it."""
        stream, self._stream = self._stream, None
        return self._decisions(stream, stream.flush()) if stream else []

    def _decisions(self, stream: "Stream", predictions: "list[Prediction]") -> list[Decision]:
        self.baseline, start = stream.baseline, self._stream_start
        return [
            Decision(
                replace(prediction, start=prediction.start + start, end=prediction.end + start),
                self.baseline,
            )
            for prediction in predictions
        ]
