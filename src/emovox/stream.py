"""Sound as it comes, live or from a long recording: speech found, and answered."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from types import MappingProxyType
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from .audio import RATE, Samples, check_block, check_rate, resampler
from .baseline import Baseline, Window
from .cleaning import cleaned
from .decoding import Block, Reading, ahead
from .model import Model
from .prediction import Prediction
from .prosody import Prosody, measure
from .vad import SEGMENT_S, Activity, Said, Segment, Speech

INTERVAL_S = 0.5  # default of the seconds of speech between decisions
HALF_LIFE_S = 0.5  # of speech, in which the say of an interim decision in later ones halves
_LEVEL_S = 0.1  # that `level_db` looks back on
_LOWEST_DB = -120.0  # level of digital silence
_BLOCK_S = 1.0  # at most, that is taken in at a time: memory does not grow with what is fed

Answer = TypeVar("Answer")
# From a clip, its prediction and the baseline it was made with to the prediction with its moments.
Explain = Callable[[Samples, Prediction, Baseline | None], Prediction]


class SpeechStream(ABC, Generic[Answer]):
    """One live session: speech is found in what is fed, and each segment of it answered.

    A stream belongs to one thread at a time. How the audio is chunked makes no difference.

    Parameters
    ----------
    rate : float
        Of what is fed, 1,000 to 768,000 Hz.
    interval_s : float or None
        Seconds of speech between interim answers, 0.1 to 10; None for final ones alone.
    max_segment_s : float
        The longest segment, 1 to 60 s.

    Raises
    ------
    AudioError, ConfigError
        If the rate, or another number, is not a number or out of range.
    """

    def __init__(
        self,
        rate: float = RATE,
        *,
        interval_s: float | None = None,
        max_segment_s: float = SEGMENT_S,
    ) -> None:
        check_rate(rate)
        self._rate = rate
        self._interval_s, self._max_segment_s = interval_s, max_segment_s
        self.reset()

    def reset(self) -> None:
        """Start again, as a new stream would."""
        self._n_fed = 0  # samples at the rate of what is fed
        self._recent = np.zeros(0, np.float32)  # of the last 100 ms
        self._latest: tuple[float, float | None] | None = None  # speech, before the last flush
        self._said = Said()
        self._passed = 0  # sample at 16 kHz up to which nothing is answered
        self._restart()

    def _restart(self) -> None:
        self._origin_s = self.seconds
        self._resample = resampler(self._rate)
        self._activity = Activity(max_segment_s=self._max_segment_s, interval_s=self._interval_s)

    @property
    def _origin(self) -> int:
        """The sample at 16 kHz with which the activity's own count begins."""
        return round(self._origin_s * RATE)

    @property
    def interval_s(self) -> float | None:
        """Seconds of speech between interim answers; None: none.

        Another may be set (ConfigError if not 0.1 to 10); final answers do not depend on it.
        """
        return self._interval_s

    @interval_s.setter
    def interval_s(self, interval_s: float | None) -> None:
        self._activity.decide_every(interval_s)
        self._interval_s = interval_s

    @property
    def rate(self) -> float:
        """Rate of what is fed, in Hz."""
        return self._rate

    @property
    def seconds(self) -> float:
        """Seconds of audio fed so far."""
        return self._n_fed / self._rate

    @property
    def speaking(self) -> bool:
        """Whether somebody is speaking."""
        return self._activity.speaking

    @property
    def speech_start(self) -> float | None:
        """Second at which the current or latest utterance began; None before the first."""
        speech = self._speech()
        return None if speech is None else speech[0]

    @property
    def speech_end(self) -> float | None:
        """Second at which the latest utterance ended; None while somebody speaks."""
        speech = self._speech()
        return None if speech is None else speech[1]

    @property
    def level_db(self) -> float:
        """Level of the last 100 ms in dB of full scale, -120 or more."""
        power = float(np.mean(self._recent**2)) if self._recent.size else 0.0
        return max(_LOWEST_DB, 10 * math.log10(power)) if power > 0 else _LOWEST_DB

    def feed(self, samples: ArrayLike) -> list[Answer]:
        """Take in more audio; return the answers that it completes, in the order spoken.

        Parameters
        ----------
        samples : array-like, shape=(n_samples,)
            Mono at the stream's rate: floats in [-1, 1], or int8, int16 or int32; any number.

        Returns
        -------
        answers : list
            Interim ones, where there are any, and a final one for each segment of speech that is
            over.

        Raises
        ------
        AudioError
            If the samples cannot be used; the stream is then as it was before.
        """
        block = check_block(samples)
        answers = []
        n_samples = max(1, int(_BLOCK_S * self._rate))
        for first in range(0, len(block), n_samples):
            self.pause()
            answers += self._answers(self._cut(block[first : first + n_samples]))
        return answers

    def pass_over(self, samples: ArrayLike) -> None:
        """Take in sound whose segments were answered before, so that what follows is cut alike.

        Parameters
        ----------
        samples : array-like, shape=(n_samples,)
            As for `feed`. The last of these segments ends where the samples end.

        Raises
        ------
        AudioError
            As `feed` does.
        """
        self._cut(check_block(samples))
        self._passed = round(self.seconds * RATE)

    def flush(self) -> list[Answer]:
        """End the utterance and return what is left; what is fed next begins a new one."""
        answers = self._answers(self._cut(np.zeros(0, np.float32), last=True))
        self._latest = self._speech()
        self._restart()
        return answers

    def turn(self) -> Answer | None:
        """Return the answer to all that was said since the last call, as to one recording.

        That is what a dialogue system asks for at the end of a turn. It takes in the segments that
        are over and the one that is not, without the pauses; of speech of more than a minute, the
        last minute. The other answers do not depend on it.

        Returns
        -------
        answer : or None
            None if nobody has spoken since the last call, or since the stream began.
        """
        said = self._said.speech(self._activity.pending(), self._origin)
        self._said.begin(self._origin + self._activity.n_samples)
        if said is None:
            return None
        return self._turn(*said)

    def pause(self) -> None:
        """Let others have a turn; called once for each second of sound."""
        return

    @abstractmethod
    def _final(self, segment: Segment) -> Answer:
        """Answer a segment that is over."""

    @abstractmethod
    def _turn(self, speech: Speech, first: int) -> Answer:
        """Answer a turn, whose speech begins with this sample of the stream."""

    @abstractmethod
    def _interim(self, segment: Segment) -> Answer:
        """Answer a segment while somebody speaks; asked for only with an `interval_s`."""

    def _cut(self, block: Samples, *, last: bool = False) -> list[Segment]:
        """Take in a block; return the segments that an answer is due on."""
        self._n_fed += len(block)
        n_recent = max(1, int(_LEVEL_S * self._rate))
        self._recent = np.concatenate((self._recent, block))[-n_recent:]
        segments = self._activity.feed(self._resample(block, last))
        return [*segments, *self._activity.flush()] if last else segments

    def _speech(self) -> tuple[float, float | None] | None:
        latest = self._activity.latest
        if latest is None:
            return self._latest
        start, end = latest
        return self._at(start), None if end is None else self._at(end)

    def _at(self, sample: int) -> float:
        return round(self._origin_s + sample / RATE, 4)

    def _answers(self, segments: Sequence[Segment]) -> list[Answer]:
        due = (one for one in segments if self._origin + one.start >= self._passed)
        return [self._answer(segment) for segment in due]

    def _is_of_turn_before(self, segment: Segment) -> bool:
        return self._origin + segment.start < self._said.start

    def _answer(self, segment: Segment) -> Answer:
        if not segment.final:
            return self._interim(segment)
        self._said.add(segment, self._origin)
        return self._final(segment)


class Stream(SpeechStream[Prediction]):
    """One live session: what was said so far, and the speaker's baseline; `Recognizer.stream`.

    A stream belongs to one thread at a time; the recogniser behind it is shared. How the audio is
    chunked makes no difference, and the final predictions are those of `Recognizer.segments`.

    Parameters
    ----------
    model : Model
    rate : float
        Of what is fed, 1,000 to 768,000 Hz.
    interval_s : float or None
        Seconds of speech between interim decisions, 0.1 to 10; None for final ones alone.
    baseline : Baseline, optional
        What was heard of this speaker before.
    learn : bool
        Whether the baseline learns from each final segment.
    max_segment_s : float
        The longest segment, 1 to 60 s.
    explain : callable, optional
        Adds to each final prediction what carried it.
    prosody : bool
        Whether to measure the prosody of each final segment.

    Raises
    ------
    AudioError, ConfigError
        If the rate, or another number, is not a number or out of range.
    BaselineError
        If the baseline was learned with another model.
    """

    def __init__(
        self,
        model: Model,
        rate: float = RATE,
        *,
        interval_s: float | None = INTERVAL_S,
        baseline: Baseline | None = None,
        learn: bool = True,
        max_segment_s: float = SEGMENT_S,
        explain: Explain | None = None,
        prosody: bool = False,
    ) -> None:
        self._model, self._learn = model, learn
        self._explain, self._prosody = explain, prosody
        self._given = model.new_baseline() if baseline is None else baseline
        super().__init__(rate, interval_s=interval_s, max_segment_s=max_segment_s)

    def reset(self) -> None:
        """Start again, with the baseline given at the start, as a new stream would."""
        self.baseline = self._given
        self._windows: list[Window] = []  # of the latest final segment
        super().reset()

    def _restart(self) -> None:
        super()._restart()
        self._before: Prediction | None = None  # the latest interim decision

    @property
    def baseline(self) -> Baseline:
        """What was heard of the speaker so far; another may be set."""
        return self._baseline

    @baseline.setter
    def baseline(self, baseline: Baseline) -> None:
        self._model.check_baseline(baseline)
        self._baseline = self._before_turn = baseline

    def pause(self) -> None:
        """Let others have a turn, as the model does."""
        self._model.pause()

    def _final(self, segment: Segment) -> Prediction:
        clip, baseline = cleaned(segment.audio), self._baseline
        prediction, self._windows = self._model.hear(clip, baseline)
        prediction = placed(prediction, segment, self._origin_s)
        if self._learn:
            self._baseline = baseline.after(self._windows)
        if self._is_of_turn_before(segment):
            self._before_turn = self._baseline
        if self._prosody:
            prediction = replace(prediction, prosody=measure(clip))
        return self._explain(clip, prediction, baseline) if self._explain else prediction

    def _turn(self, speech: Speech, first: int) -> Prediction:
        # With the baseline from before the turn, whose segments have been learned by now.
        baseline, self._before_turn = self._before_turn, self._baseline
        prediction, _ = answered(self._model, speech, baseline, self._explain, self._prosody)
        return prediction.moved(first / RATE)

    def _interim(self, segment: Segment) -> Prediction:
        prediction, _ = self._model.hear(cleaned(segment.audio), self._baseline)
        prediction = replace(placed(prediction, segment, self._origin_s), final=False)
        if self._before is not None and not segment.first:
            assert self._interval_s is not None  # else there are no interim decisions
            kept = 0.5 ** (self._interval_s / HALF_LIFE_S)
            prediction = smoothed(prediction, self._before, kept, self._model.card.threshold)
        self._before = prediction
        return prediction


class SpeechSegments(Reading, Generic[Answer]):
    """The segments of speech in a recording, each with its answer.

    Iterate over it once: the recording is read as you go on, and each answer comes as soon as it is
    known. Those that came before an error or an interruption stay valid. For `seconds`, `duration`
    and `broken` see `Reading`.
    """

    def __init__(
        self,
        stream: SpeechStream[Answer],
        blocks: Iterator[Block],
        *,
        max_seconds: float = math.inf,
    ) -> None:
        super().__init__(max_seconds)
        self._stream, self._blocks = stream, blocks

    def __iter__(self) -> Iterator[Answer]:
        for block, segments in ahead(_cut_blocks(self._stream, self._blocks)):
            self._stream.pause()
            self._note(block)
            yield from map(self._stream._final, segments)


class Segments(SpeechSegments[Prediction]):
    """The segments of a recording, each with its prediction; `Recognizer.segments`."""

    _stream: Stream

    @property
    def windows(self) -> list[Window]:
        """What was heard of the segment that came last; `Baseline.after` learns it."""
        return self._stream._windows


def _cut_blocks(
    stream: SpeechStream[Answer], blocks: Iterator[Block]
) -> Iterator[tuple[Block, list[Segment]]]:
    """Yield each block of a recording with the segments that end in it."""
    first = next(blocks, None)
    if first is None:  # iterated a second time
        return
    block = first
    resample, empty = resampler(first.rate), np.zeros(0, np.float32)
    for block in chain([first], blocks):
        yield block, stream._cut(resample(block.samples, False))
    rest = stream._cut(resample(empty, True))
    yield replace(block, samples=empty), [*rest, *stream._cut(empty, last=True)]


def answered(
    model: Model,
    speech: Speech,
    baseline: Baseline | None,
    explain: Explain | None = None,
    prosody: bool = False,
) -> tuple[Prediction, list[Window]]:
    """Recognise the speech in a recording, or in a turn; return what to learn from it as well.

    The prediction's times, and those of its moments, are the recording's.
    """
    prediction, windows = model.hear(speech.samples, baseline)
    if prosody:
        prediction = replace(prediction, prosody=measured(speech))
    if explain:
        prediction = explain(speech.samples, prediction, baseline).with_moments(speech.place)
    return replace(prediction, end=speech.seconds), windows


def measured(speech: Speech) -> Prosody:
    """Return the prosody of the speech in a recording; the pauses left out of it count."""
    return measure(speech.samples, pauses_s=speech.pauses_s)


def placed(prediction: Prediction, segment: Segment, origin_s: float = 0.0) -> Prediction:
    """Say where in the recording a prediction belongs."""
    start, end = (round(origin_s + at / RATE, 4) for at in (segment.start, segment.end))
    return replace(prediction, start=start, end=end)


def smoothed(now: Prediction, before: Prediction, kept: float, threshold: float) -> Prediction:
    """Mix the scores of a decision with those of the one before: (1 - kept) now + kept before."""
    scores = {
        label: (1 - kept) * score + kept * before.scores[label]
        for label, score in now.scores.items()
    }
    label = max(scores, key=lambda one: scores[one])
    return replace(
        now,
        label=label,
        score=scores[label],
        scores=MappingProxyType(scores),
        certain=scores[label] >= threshold,
    )
