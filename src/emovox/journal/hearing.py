"""Segments of speech found in sound as it comes: measured, and inferred only where that is agreed.

Without a recogniser no network but voice activity's runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..audio import RATE, Samples
from ..cleaning import cleaned
from ..vad import SEGMENT_S, Activity, Segment
from .conditions import Meter
from .records import Conditions, Inferred
from .records import Segment as Kept
from .voice import measure

if TYPE_CHECKING:
    from ..baseline import Baseline
    from ..prediction import Prediction
    from ..recognizer import Recognizer

_KEPT = round((2 * SEGMENT_S + 4.0) * RATE)  # samples that a segment may lie back
USUAL_S = 300.0  # seconds of speech, after which the person's usual voice stays as it is


@dataclass(frozen=True)
class Heard:
    """A segment that is over, with its sound; or, where `kept` is None, an interim prediction.

    `sound` is mono float32 at 16 kHz; `baseline` is the person's after this segment, None where it
    has not changed.
    """

    kept: Kept | None
    sound: Samples | None = None
    prediction: "Prediction | None" = None
    baseline: "Baseline | None" = None


class Ear:
    """Hears one session.

    Parameters
    ----------
    recognizer : Recognizer, optional
        Infers; None where the person has not agreed to that.
    baseline : Baseline, optional
        The person's usual voice, as the recogniser's model heard it. It learns until it has heard
        five minutes of speech, and stays the same then, so that a slow change of the voice is not
        taken for the usual.
    interval_s : float, optional
        Seconds of speech between interim predictions; None for none.
    """

    def __init__(
        self,
        recognizer: "Recognizer | None" = None,
        baseline: "Baseline | None" = None,
        *,
        interval_s: float | None = None,
    ) -> None:
        self._recognizer, self._interval_s = recognizer, interval_s
        self._baseline = baseline
        self._meter = Meter()
        self._n_heard = 0  # samples
        self.restart()

    def restart(self) -> None:
        """Begin again after a gap: what is fed next does not follow what was fed before."""
        self._origin = self._n_heard
        self._sound = np.zeros(0, np.float32)  # of the last seconds
        self._activity = Activity()
        self._stream = None
        if self._recognizer:
            self._stream = self._recognizer.stream(
                RATE, baseline=self._baseline, interval_s=self._interval_s
            )

    @property
    def seconds(self) -> float:
        """Seconds heard, gaps included."""
        return self._n_heard / RATE

    @property
    def speaking(self) -> bool:
        """Whether somebody speaks."""
        return self._stream.speaking if self._stream else self._activity.speaking

    @property
    def usual_s(self) -> float:
        """Seconds of speech that the person's usual voice was learned from."""
        return self._baseline.seconds if self._baseline else 0.0

    @property
    def conditions(self) -> Conditions:
        """How the session was recorded so far; its seconds include gaps."""
        return replace(self._meter.conditions, seconds=round(self.seconds, 4))

    def skip(self, seconds: float) -> list[Heard]:
        """Leave out seconds that were lost; return the segments that end before them."""
        heard = self.flush()
        self._n_heard += round(seconds * RATE)
        self.restart()
        return heard

    def resume(self, samples: Samples, segments: Sequence[Kept]) -> None:
        """Take in the sound that a session's segments were found in, which need not be found again.

        Parameters
        ----------
        samples : ndarray of float32, shape=(n_samples,)
            The next part of it, mono at 16 kHz.
        segments : sequence of Segment
            Those that ended in it.
        """
        first = self._n_heard
        self._n_heard += len(samples)
        self._meter.hear(samples)
        self._sound = np.concatenate((self._sound, samples))[-_KEPT - len(samples) :]
        for segment in segments:
            start, end = round(segment.start * RATE), round(segment.end * RATE)
            if first < end <= self._n_heard:
                self._meter.hear_segment(self._cut(start, end), segment.prosody.level_db or 0.0)

    def feed(self, samples: Samples) -> list[Heard]:
        """Take in more sound, mono float32 at 16 kHz; return the segments that it ends."""
        self._n_heard += len(samples)
        self._meter.hear(samples)
        self._sound = np.concatenate((self._sound, samples))[-_KEPT - len(samples) :]
        if self._stream:
            return [self._inferred(prediction) for prediction in self._stream.feed(samples)]
        return [self._measured(segment) for segment in self._activity.feed(samples)]

    def flush(self) -> list[Heard]:
        """End the utterance; return the segments that it leaves."""
        if self._stream:
            return [self._inferred(prediction) for prediction in self._stream.flush()]
        segments, self._activity = self._activity.flush(), Activity()
        heard = [self._measured(segment) for segment in segments]
        self._origin = self._n_heard
        return heard

    def _measured(self, segment: Segment) -> Heard:
        return self._heard(self._origin + segment.start, self._origin + segment.end)

    def _inferred(self, prediction: "Prediction") -> Heard:
        start, end = (
            self._origin + round(second * RATE) for second in (prediction.start, prediction.end)
        )
        placed = replace(prediction, start=start / RATE, end=end / RATE)
        if not prediction.final:
            return Heard(None, prediction=placed)
        scores = tuple(prediction.scores.values())
        inferred = Inferred(prediction.label, prediction.score, prediction.certain, scores)
        return replace(
            self._heard(start, end, inferred), prediction=placed, baseline=self._learned()
        )

    def _heard(self, start: int, end: int, inferred: Inferred | None = None) -> Heard:
        sound = self._cut(start, end)
        prosody = measure(cleaned(sound))
        self._meter.hear_segment(sound, prosody.level_db or 0.0)
        return Heard(Kept(start / RATE, end / RATE, prosody, inferred), sound)

    def _cut(self, start: int, end: int) -> Samples:
        """Return the sound from a sample to another, counted from the session's beginning."""
        offset = self._n_heard - len(self._sound)
        return self._sound[max(0, start - offset) : end - offset]

    def _learned(self) -> "Baseline | None":
        """Return the person's usual voice if it has learned; from five minutes on it is fixed."""
        assert self._stream is not None  # only asked after an inference
        if self.usual_s >= USUAL_S:
            assert self._baseline is not None  # it has heard something
            self._stream.baseline = self._baseline
            return None
        self._baseline = self._stream.baseline
        return self._baseline
