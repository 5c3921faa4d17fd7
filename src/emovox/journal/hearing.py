"""Segments of speech found in sound as it comes: measured, and inferred only where that is agreed.

Without a recogniser no network but voice activity's runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..audio import RATE, Samples
from ..measuring import Measurement, MeasuringStream
from ..prediction import Prediction
from ..stream import Stream
from ..vad import SEGMENT_S
from .conditions import Meter
from .records import Conditions, Inferred, Segment

if TYPE_CHECKING:
    from ..baseline import Baseline
    from ..recognizer import Recognizer

_KEPT = round((2 * SEGMENT_S + 4.0) * RATE)  # samples that a segment may lie back
USUAL_S = 300.0  # seconds of speech, after which the person's usual voice stays as it is


@dataclass(frozen=True)
class Heard:
    """A segment that is over, with its sound; or, where `kept` is None, an interim prediction.

    `sound` is mono float32 at 16 kHz; `baseline` is the person's after this segment, None where it
    has not changed.
    """

    kept: Segment | None
    sound: Samples | None = None
    prediction: Prediction | None = None
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
        self._stream: Stream | MeasuringStream = MeasuringStream()
        if self._recognizer:
            self._stream = self._recognizer.stream(
                baseline=self._baseline, interval_s=self._interval_s, prosody=True
            )

    @property
    def seconds(self) -> float:
        """Seconds heard, gaps included."""
        return self._n_heard / RATE

    @property
    def speaking(self) -> bool:
        """Whether somebody speaks."""
        return self._stream.speaking

    @property
    def level_db(self) -> float:
        """Level of the last 100 ms in dB of full scale, -120 or more."""
        return self._stream.level_db

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

    def resume(self, samples: Samples, segments: Sequence[Segment]) -> None:
        """Take in the sound that a session's segments were found in, which are not heard again.

        The last of them ends where this sound ends. What follows is cut as it would have been.

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
        self._stream.pass_over(samples)
        self._sound = np.concatenate((self._sound, samples))[-_KEPT - len(samples) :]
        for segment in segments:
            start, end = round(segment.start * RATE), round(segment.end * RATE)
            if first < end <= self._n_heard:
                self._meter.hear_segment(self._cut(start, end), segment.prosody.level_db)

    def feed(self, samples: Samples) -> list[Heard]:
        """Take in more sound, mono float32 at 16 kHz; return the segments that it ends."""
        self._n_heard += len(samples)
        self._meter.hear(samples)
        self._sound = np.concatenate((self._sound, samples))[-_KEPT - len(samples) :]
        return [self._heard(answer) for answer in self._stream.feed(samples)]

    def flush(self) -> list[Heard]:
        """End the utterance; return the segments that it leaves."""
        return [self._heard(answer) for answer in self._stream.flush()]

    def _heard(self, answer: Prediction | Measurement) -> Heard:
        """Place an answer in the session, and add the sound of what it is about."""
        start, end = (self._origin + round(second * RATE) for second in (answer.start, answer.end))
        answer = replace(answer, start=start / RATE, end=end / RATE)
        if isinstance(answer, Prediction) and not answer.final:
            return Heard(None, prediction=answer)
        assert answer.prosody is not None  # it was asked for
        sound = self._cut(start, end)
        self._meter.hear_segment(sound, answer.prosody.level_db)
        segment = Segment(answer.start, answer.end, answer.prosody)
        if isinstance(answer, Measurement):
            return Heard(segment, sound)
        scores = tuple(answer.scores.values())
        inferred = Inferred(answer.label, answer.score, answer.certain, scores)
        return Heard(replace(segment, inferred=inferred), sound, answer, self._learned())

    def _cut(self, start: int, end: int) -> Samples:
        """Return the sound from a sample to another, counted from the session's beginning."""
        offset = self._n_heard - len(self._sound)
        return self._sound[max(0, start - offset) : end - offset]

    def _learned(self) -> "Baseline | None":
        """Return the person's usual voice if it has learned; from five minutes on it is fixed."""
        assert isinstance(self._stream, Stream)  # only asked after an inference
        if self.usual_s >= USUAL_S:
            assert self._baseline is not None  # it has heard something
            self._stream.baseline = self._baseline
            return None
        self._baseline = self._stream.baseline
        return self._baseline
