"""Recognising: recordings, samples and live sound in, predictions and baselines out."""

import asyncio
import math
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from numpy.typing import ArrayLike

from .audio import MAX_SECONDS, RATE, AudioSource
from .baseline import Baseline, Window
from .decoding import read_blocks
from .errors import ConfigError
from .explain import explained
from .model import Model
from .prediction import Prediction
from .stream import INTERVAL_S, Explain, Segments, Stream, answered
from .turns.conversation import Conversation
from .turns.turn import Turn
from .vad import SEGMENT_S, Speech, read_speech

__all__ = ["AsyncRecognizer", "AsyncStream", "Prediction", "Recognizer"]

T = TypeVar("T")
_Run = Callable[[Callable[[], Any]], Awaitable[Any]]


class Recognizer(Model):
    """Recognises emotion in speech; holds no state but the model, so threads may share it.

    `Recognizer.load` opens one.
    """

    def predict(
        self,
        audio: AudioSource | ArrayLike,
        rate: float | None = None,
        *,
        baseline: Baseline | None = None,
        labels: Sequence[str] | None = None,
        explain: bool = False,
        prosody: bool = False,
        max_seconds: float = MAX_SECONDS,
    ) -> Prediction:
        """Recognise the emotion of one recording as a whole.

        Parameters
        ----------
        audio : path, bytes, file object, or array, shape=(n_samples,) or (n_samples, n_channels)
        rate : float, optional
            Hz; needed with an array, and only then.
        baseline : Baseline, optional
            What was heard of this speaker before.
        labels : sequence of str, optional
            Answer with these labels alone, at least two, their scores divided by their sum; see
            `Model.among`.
        explain : bool
            Whether to tell which moments carried the prediction.
        prosody : bool
            Whether to measure pitch, level, tempo and pauses.
        max_seconds : float > 0
            A longer recording is refused; `segments` takes any.

        Raises
        ------
        AudioError
            If the audio cannot be used; SilenceError, a kind of it, if it holds no sound;
            NoSpeechError, a kind of that, if nobody speaks in it.
        BaselineError
            If the baseline was learned with another model.
        ConfigError
            If the labels are not the model's.
        """
        model = self.among(labels)
        speech = self.read(audio, rate, max_seconds=max_seconds)
        return model._hear(speech, baseline, explain=explain, prosody=prosody)[0]

    def predict_and_learn(
        self,
        audio: AudioSource | ArrayLike,
        rate: float | None = None,
        *,
        baseline: Baseline,
        labels: Sequence[str] | None = None,
        max_seconds: float = MAX_SECONDS,
    ) -> tuple[Prediction, Baseline]:
        """Recognise a recording as `predict` does, and learn it, in one pass.

        No label is needed: the recording is recognised with the baseline given, and then learned.

        Parameters
        ----------
        audio, rate, labels, max_seconds
            As for `predict`.
        baseline : Baseline
            From `new_baseline`, or learned or loaded before; it stays as it is.

        Returns
        -------
        prediction : Prediction
        baseline : Baseline
            The one given, which has heard this recording, too.

        Raises
        ------
        AudioError, BaselineError, ConfigError
            As for `predict`.
        """
        model = self.among(labels)
        speech = self.read(audio, rate, max_seconds=max_seconds)
        prediction, windows = model._hear(speech, baseline)
        return prediction, baseline.after(windows)

    def enrol(
        self,
        name: str,
        recordings: Iterable[AudioSource | ArrayLike],
        rate: float | None = None,
        *,
        max_seconds: float = MAX_SECONDS,
    ) -> Baseline:
        """Learn a new speaker's baseline from recordings, each with the baseline of those before.

        Parameters
        ----------
        name : str
        recordings : iterable of what `predict` takes
            Of this speaker, in the order spoken.
        rate, max_seconds
            Of each recording, as for `predict`.

        Raises
        ------
        AudioError
            As for `predict`, if one of the recordings cannot be used.
        """
        baseline = self.new_baseline(name)
        for recording in recordings:
            _, baseline = self.predict_and_learn(
                recording, rate, baseline=baseline, max_seconds=max_seconds
            )
        return baseline

    def read(
        self,
        audio: AudioSource | ArrayLike,
        rate: float | None = None,
        *,
        max_seconds: float = MAX_SECONDS,
    ) -> Speech:
        """Return what `predict` hears: the speech in a recording, cleaned.

        For the parameters and errors see `predict`.
        """
        return read_speech(audio, rate, max_seconds=max_seconds, on_chunk=self.pause)

    def _hear(
        self,
        speech: Speech,
        baseline: Baseline | None,
        *,
        explain: bool = False,
        prosody: bool = False,
    ) -> tuple[Prediction, list[Window]]:
        """Recognise the speech in a recording, and return what to learn from it."""
        prediction, windows = answered(self, speech, baseline, self._explain(explain), prosody)
        return replace(prediction, end=round(prediction.end, 4)), windows

    def _explain(self, explain: bool) -> Explain | None:
        """Return what adds the moments to a prediction, if they are asked for."""
        return partial(explained, self) if explain else None

    def segments(
        self,
        audio: AudioSource | ArrayLike,
        rate: float | None = None,
        *,
        baseline: Baseline | None = None,
        learn: bool = True,
        max_segment_s: float = SEGMENT_S,
        channel: int | None = None,
        without_bleed: bool = False,
        labels: Sequence[str] | None = None,
        explain: bool = False,
        prosody: bool = False,
        max_seconds: float = math.inf,
    ) -> Segments:
        """Recognise each segment of speech in a recording of any length.

        Speech is cut at pauses, and where a segment would grow too long. The recording is read in
        blocks while you iterate: memory does not grow with its length.

        Parameters
        ----------
        audio, rate
            As for `predict`.
        baseline : Baseline, optional
            What was heard of this speaker before.
        learn : bool
            Whether the baseline learns from segment to segment.
        max_segment_s : float
            The longest segment, 1 to 60 s.
        channel : int >= 0, optional
            Only this channel, counted from 0; None for the mean of all.
        without_bleed : bool
            With a channel: whether to leave out what it only picks up of the other channels'
            speakers.
        labels : sequence of str, optional
            As for `predict`.
        explain : bool
            Whether to tell which moments carried each prediction.
        prosody : bool
            Whether to measure pitch, level, tempo and pauses of each segment.
        max_seconds : float
            A longer recording is refused.

        Returns
        -------
        segments : Segments
            An iterable that yields a `Prediction` for each segment, in the order spoken; none if
            nobody speaks. Its `broken` tells why a recording that is cut off or damaged ends
            before its time.

        Raises
        ------
        AudioError
            If the audio cannot be used; while you iterate.
        BaselineError
            If the baseline was learned with another model.
        ConfigError
            If `max_segment_s` is out of range, or the labels are not the model's.
        """
        stream = self.stream(
            interval_s=None,
            baseline=baseline,
            learn=learn,
            max_segment_s=max_segment_s,
            labels=labels,
            explain=explain,
            prosody=prosody,
        )
        blocks = read_blocks(audio, rate, channel=channel, without_bleed=without_bleed)
        return Segments(stream, blocks, max_seconds=max_seconds)

    def turns(
        self,
        audio: AudioSource | ArrayLike,
        turns: Iterable[Turn | tuple[Any, ...]],
        rate: float | None = None,
        *,
        baselines: Mapping[str, Baseline] | None = None,
        learn: bool = True,
        channel: int | None = None,
        labels: Sequence[str] | None = None,
        explain: bool = False,
        prosody: bool = False,
        max_seconds: float = math.inf,
    ) -> Conversation:
        """Recognise the turns of a recording of any length, as a diariser or a transcript cut them.

        Each turn gets the answer that `predict` gives to that stretch alone, with the baseline of
        its speaker. Turns may overlap. The recording is read in blocks while you iterate.

        Parameters
        ----------
        audio, rate
            As for `predict`.
        turns : iterable of Turn, or of tuples of start, end, speaker and text
            In seconds, in any order; `read_turns` reads them from a file. Turns without a speaker
            count as those of one speaker.
        baselines : mapping of str to Baseline, optional
            What was heard before, by speaker.
        learn : bool
            Whether the baseline of each speaker learns from turn to turn.
        channel : int >= 0, optional
            Only this channel, counted from 0; None for the mean of all.
        labels : sequence of str, optional
            As for `predict`.
        explain : bool
            Whether to tell which moments carried each prediction.
        prosody : bool
            Whether to measure pitch, level, tempo and pauses of each turn.
        max_seconds : float
            A longer recording is refused.

        Returns
        -------
        turns : Conversation
            An iterable that yields a `TurnAnswer` for each turn, in the order in which they begin.
            A turn in which nobody speaks, or that is too short, too long (above 3600 s) or not in
            the recording, has no prediction, but a reason. `baselines` holds what was learned.

        Raises
        ------
        AudioError
            If the audio cannot be used; while you iterate.
        BaselineError
            If a baseline was learned with another model.
        ConfigError
            If the turns are something else, or the labels are not the model's.
        """
        hear = partial(self.among(labels)._hear, explain=explain, prosody=prosody)
        blocks = read_blocks(audio, rate, channel=channel)
        return Conversation(
            self,
            hear,
            blocks,
            turns,
            baselines=baselines,
            learn=learn,
            max_seconds=max_seconds,
        )

    def stream(
        self,
        rate: float = RATE,
        *,
        interval_s: float | None = INTERVAL_S,
        baseline: Baseline | None = None,
        learn: bool = True,
        max_segment_s: float = SEGMENT_S,
        labels: Sequence[str] | None = None,
        explain: bool = False,
        prosody: bool = False,
    ) -> Stream:
        """Begin a live session; see `Stream`, and for `labels` see `predict`."""
        model = self.among(labels)
        return Stream(
            model,
            rate,
            interval_s=interval_s,
            baseline=baseline,
            learn=learn,
            max_segment_s=max_segment_s,
            explain=model._explain(explain),
            prosody=prosody,
        )


class AsyncRecognizer:
    """A recogniser for asyncio: it works in threads, so that the event loop never waits.

    Parameters
    ----------
    recognizer : Recognizer
        What to recognise with; others may use it at the same time.
    max_concurrent : int >= 1, optional
        Calls that run at a time, others wait; default: one for each core. One that is cancelled
        counts until its thread is done.

    Raises
    ------
    ConfigError
        If `max_concurrent` is below 1.
    """

    def __init__(self, recognizer: Recognizer, max_concurrent: int | None = None) -> None:
        n_places = (os.cpu_count() or 1) if max_concurrent is None else max_concurrent
        if n_places < 1:
            raise ConfigError(f"expected max_concurrent of at least 1, got {max_concurrent}")
        self.recognizer = recognizer
        self._places = asyncio.Semaphore(n_places)

    async def predict(
        self, audio: AudioSource | ArrayLike, rate: float | None = None, **options: Any
    ) -> Prediction:
        """Recognise one recording; see `Recognizer.predict`."""
        return await self._run(partial(self.recognizer.predict, audio, rate, **options))

    async def predict_and_learn(
        self, audio: AudioSource | ArrayLike, rate: float | None = None, **options: Any
    ) -> tuple[Prediction, Baseline]:
        """Recognise a recording and learn it; see `Recognizer.predict_and_learn`."""
        return await self._run(partial(self.recognizer.predict_and_learn, audio, rate, **options))

    async def segments(
        self, audio: AudioSource | ArrayLike, rate: float | None = None, **options: Any
    ) -> list[Prediction]:
        """Recognise each segment of a recording; see `Recognizer.segments`."""
        return await self._run(lambda: list(self.recognizer.segments(audio, rate, **options)))

    async def enrol(
        self,
        name: str,
        recordings: Iterable[AudioSource | ArrayLike],
        rate: float | None = None,
        **options: Any,
    ) -> Baseline:
        """Learn a new speaker's baseline; see `Recognizer.enrol`."""
        return await self._run(partial(self.recognizer.enrol, name, recordings, rate, **options))

    def stream(self, rate: float = RATE, **options: Any) -> "AsyncStream":
        """Begin a live session; see `Recognizer.stream`."""
        return AsyncStream(self.recognizer.stream(rate, **options), self._run)

    async def _run(self, call: Callable[[], T]) -> T:
        """Run a call in a thread, and hold its place until it is done, even if cancelled."""
        await self._places.acquire()
        work = asyncio.ensure_future(asyncio.to_thread(call))
        work.add_done_callback(self._done)
        return await asyncio.shield(work)

    def _done(self, work: "asyncio.Future[Any]") -> None:
        self._places.release()
        if not work.cancelled():
            work.exception()  # nobody else asks for it, where the call was cancelled


class AsyncStream:
    """A live session for asyncio; `AsyncRecognizer.stream` begins one.

    `stream` is the `Stream` behind it, for its times and its baseline.
    """

    def __init__(self, stream: Stream, run: "_Run") -> None:
        self.stream = stream
        self._run = run
        self._one_at_a_time = asyncio.Lock()  # a stream belongs to one thread at a time

    async def feed(self, samples: ArrayLike) -> list[Prediction]:
        """Take in more audio; see `Stream.feed`."""
        return await self._alone(partial(self.stream.feed, samples))

    async def flush(self) -> list[Prediction]:
        """End the utterance and return what is left; see `Stream.flush`."""
        return await self._alone(self.stream.flush)

    async def turn(self) -> Prediction | None:
        """Return the answer to all that was said since the last call; see `Stream.turn`."""
        return await self._alone(self.stream.turn)

    async def _alone(self, call: Callable[[], T]) -> T:
        async with self._one_at_a_time:
            answer: T = await self._run(call)
            return answer
