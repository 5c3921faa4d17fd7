"""The caller of a voice agent: their sound as it comes, and a reading of each turn."""

import asyncio
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ..audio import RATE, Samples, check_rate, resampler
from ..baseline import Baseline
from ..errors import AudioError, ConfigError
from ..prediction import Prediction
from ..recognizer import AsyncRecognizer, Recognizer
from ..turns.conversation import Kept

WAIT_S = 0.3  # default of the longest time that a turn is held up
MAX_TURN_S = 60.0  # of a longer turn the last minute is heard, as by `Stream.turn`
BEFORE_S = 1.0  # kept before speech was found to begin: voice activity detection comes late
UNREAD_S = 5.0  # after which speech that nobody read, such as a cough, is not of the next turn
ADJECTIVES = MappingProxyType(
    {"boredom": "bored", "disgust": "disgusted", "fear": "afraid", "surprise": "surprised"}
)

_FULL_SCALE = 32_768  # of 16-bit samples

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """How a turn sounded.

    `text` is what a language model is told, "" for nothing; `prediction` is the whole answer, whose
    `start` and `end` are seconds of the call.
    """

    prediction: Prediction
    text: str


@dataclass(frozen=True)
class Wording:
    """How a reading is told to a language model, as templates of `str.format`; "" says nothing.

    `{word}` is the emotion as an adjective, `{label}` as the model names it, `{score}` its
    calibrated score, 0 to 1.

    Parameters
    ----------
    certain : str
        Where the model is certain.
    uncertain : str
        Where it abstains: its best guess would be taken for a fact.

    Raises
    ------
    ConfigError
        If a template is not a text or names another field.

    Examples
    --------
    >>> Wording().told("fear", 0.714, certain=True)
    '[The caller sounded afraid (0.71).]'
    """

    certain: str = "[The caller sounded {word} ({score:.2f}).]"
    uncertain: str = "[The caller's tone of voice is unclear.]"

    def __post_init__(self) -> None:
        """Try both templates."""
        for is_certain in (True, False):
            try:
                self.told("neutral", 0.5, certain=is_certain)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                raise ConfigError(
                    "expected a wording with {word}, {label} and {score}, "
                    f"got {(self.certain if is_certain else self.uncertain)!r:.80}: {error}"
                ) from None

    def of(self, prediction: Prediction) -> str:
        """Return what is told of a prediction."""
        return self.told(prediction.label, prediction.score, certain=prediction.certain)

    def told(self, label: str, score: float, *, certain: bool) -> str:
        """Return what is told of a label."""
        template = self.certain if certain else self.uncertain
        return template.format(word=ADJECTIVES.get(label, label), label=label, score=score)


class Caller:
    """One caller: give their sound and when they speak, and take a reading of each turn.

    Recognising runs in threads, so that the event loop never waits for it. It begins when the
    caller stops speaking, while the transcript is still on its way. All methods belong to one event
    loop.

    Parameters
    ----------
    recognizer : Recognizer or AsyncRecognizer
        May be shared by many callers; an AsyncRecognizer limits how many calls run at a time.
    baseline : Baseline, optional
        What was heard of this caller before.
    baseline_file : path, optional
        Only with the caller's consent: their baseline is read from this file if it exists, and
        written to it by `close`.
    learn : bool
        Whether the baseline learns from turn to turn.
    wording : Wording
        What a language model is told.
    wait_s : float >= 0
        Seconds that `reading` waits at most.

    Raises
    ------
    BaselineError
        If the baseline is damaged or was learned with another model.
    ConfigError
        If both a baseline and a file were given, or `wait_s` is below 0.
    """

    def __init__(
        self,
        recognizer: Recognizer | AsyncRecognizer,
        *,
        baseline: Baseline | None = None,
        baseline_file: str | os.PathLike[str] | None = None,
        learn: bool = True,
        wording: Wording | None = None,
        wait_s: float = WAIT_S,
    ) -> None:
        if isinstance(recognizer, Recognizer):
            recognizer = AsyncRecognizer(recognizer)
        if baseline is not None and baseline_file is not None:
            raise ConfigError("expected a baseline or a baseline_file, got both")
        if not wait_s >= 0:
            raise ConfigError(f"expected wait_s of 0 or more, got {wait_s}")
        self._recognizer, self._learn, self._wait_s = recognizer, learn, wait_s
        self._wording = wording or Wording()
        self._file = None if baseline_file is None else Path(baseline_file)
        if self._file is not None and self._file.exists():
            baseline = Baseline.load(self._file)
        if baseline is not None:
            recognizer.recognizer.check_baseline(baseline)
        self._baseline = baseline or recognizer.recognizer.new_baseline()
        self._rate = 0  # Hz; none yet
        self._sound = Kept()
        self._speaking: bool | None = None  # None: nobody has ever told
        self._first: int | None = None  # sample with which speech that was not read yet begins
        self._work: _Work | None = None  # on speech that is over and was not read yet
        self._read: _Work | None = None  # on what was read last; it may not have come in time

    @property
    def baseline(self) -> Baseline:
        """How the caller usually sounds, as far as they were heard."""
        return self._baseline

    def hear(self, audio: bytes | memoryview, rate: int, n_channels: int = 1) -> None:
        """Take in sound as it comes: 16-bit samples, little-endian, channels interleaved.

        Raises
        ------
        AudioError
            If the rate is out of range or the samples are not whole.
        """
        samples = _mono(audio, n_channels)
        if rate != self._rate:
            check_rate(rate)
            self._rate, self._resample = rate, resampler(rate)
        self._sound.add(self._resample(samples, False))
        self._sound.forget(self._sound.end - MAX_TURN_S * RATE)

    def began(self, before_s: float = 0.0) -> None:
        """Say that speech has begun, so many seconds ago."""
        work, n_unread = self._work, UNREAD_S * RATE
        if work and (work.is_void or self._sound.end - work.end > n_unread):
            work.task.cancel()
            self._first = self._work = None
        self._speaking = True
        if self._first is None:
            n_before = round((before_s + BEFORE_S) * RATE)
            self._first = max(self._sound.start, self._sound.end - n_before)

    def stopped(self) -> None:
        """Say that speech has stopped; recognising begins."""
        if self._speaking is False:
            return  # it was said before
        self._speaking = False
        if self._work:
            self._work.task.cancel()  # it heard only the beginning
        self._work = self._begin()

    async def reading(self) -> Reading | None:
        """Return how the caller sounded since the last reading.

        If nobody has told when speech begins and stops, all sound until now is heard.

        Returns
        -------
        reading : Reading or None
            None if nobody spoke, too little was said, or it would take longer than `wait_s`. In the
            last case the baseline still learns the turn.
        """
        if self._work is None and (self._speaking is None or self._first is not None):
            self._work = self._begin()
        work, self._work = self._work, None
        if work is None:
            return None
        self._sound.forget(work.end)
        self._first = work.end if self._speaking else None
        self._read = work
        work.task.add_done_callback(self._learn_from)
        await asyncio.wait({work.task}, timeout=self._wait_s)
        prediction = work.prediction
        return None if prediction is None else Reading(prediction, self._wording.of(prediction))

    async def close(self) -> None:
        """End the call: what comes late is still learned, and the baseline written to its file.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        if self._work:
            self._work.task.cancel()
        if self._read:
            await asyncio.wait({self._read.task})
        if self._file is not None and self._learn and self._baseline.seconds:
            await asyncio.to_thread(self._baseline.save, self._file)

    def _begin(self) -> "_Work":
        """Begin to recognise the sound from the first sample that was not read until now."""
        first = self._sound.start if self._first is None else self._first
        first, end = max(first, self._sound.start), self._sound.end
        samples = self._sound.cut(first, end) if end > first else np.zeros(0, np.float32)
        return _Work(asyncio.create_task(self._recognise(samples, first, self._read)), end)

    async def _recognise(self, samples: Samples, first: int, before: "_Work | None") -> "_Heard":
        """Recognise a turn with the baseline of those before it, the latest of them included."""
        if before:
            await asyncio.wait({before.task})
        baseline = self._baseline
        try:
            prediction, learned = await self._recognizer.predict_and_learn(
                samples, RATE, baseline=baseline
            )
        except AudioError:  # nobody speaks in it, or too little
            return _Heard(None, baseline)
        return _Heard(prediction.moved(first / RATE), learned)

    def _learn_from(self, task: "asyncio.Task[_Heard]") -> None:
        """Keep what was learned in a turn that has been read."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("a turn was not recognised: %s", error)
        elif self._learn and not task.cancelled():
            self._baseline = task.result().baseline


@dataclass(frozen=True)
class _Heard:
    prediction: Prediction | None
    baseline: Baseline  # after the turn


@dataclass(frozen=True)
class _Work:
    """The recognition of a turn, which ends with a sample of the call."""

    task: "asyncio.Task[_Heard]"
    end: int

    @property
    def prediction(self) -> Prediction | None:
        """What was recognised so far: None for nothing."""
        task = self.task
        is_known = task.done() and not task.cancelled() and task.exception() is None
        return task.result().prediction if is_known else None

    @property
    def is_void(self) -> bool:
        """Whether it is known that nobody spoke."""
        return self.task.done() and self.prediction is None


def _mono(audio: bytes | memoryview, n_channels: int) -> Samples:
    try:
        samples = np.frombuffer(audio, "<i2").reshape(-1, n_channels)
    except ValueError:
        raise AudioError(
            f"expected whole 16-bit samples of {n_channels} channels, got {len(audio)} bytes"
        ) from None
    mono: Samples = samples.mean(axis=1, dtype=np.float32) / _FULL_SCALE
    return mono
