"""Recognising: recordings, samples and live sound in, predictions and baselines out."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from numpy.typing import ArrayLike

from .audio import MAX_SECONDS, RATE, AudioSource
from .baseline import Baseline, Window
from .decoding import read_blocks
from .explain import explained
from .model import Model
from .prediction import Prediction
from .prosody import measure
from .stream import INTERVAL_S, Segments, Stream
from .turns.conversation import Conversation
from .turns.turn import Turn
from .vad import SEGMENT_S, Speech, read_speech

__all__ = ["Prediction", "Recognizer"]


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
        """
        speech = self.read(audio, rate, max_seconds=max_seconds)
        return self._hear(speech, baseline, explain=explain, prosody=prosody)[0]

    def predict_and_learn(
        self,
        audio: AudioSource | ArrayLike,
        rate: float | None = None,
        *,
        baseline: Baseline,
        max_seconds: float = MAX_SECONDS,
    ) -> tuple[Prediction, Baseline]:
        """Recognise a recording as `predict` does, and learn it, in one pass.

        No label is needed: the recording is recognised with the baseline given, and then learned.

        Parameters
        ----------
        audio, rate, max_seconds
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
        AudioError, BaselineError
            As for `predict`.
        """
        speech = self.read(audio, rate, max_seconds=max_seconds)
        prediction, windows = self._hear(speech, baseline)
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
        prediction, windows = self.hear(speech.samples, baseline)
        prediction = replace(prediction, end=round(speech.seconds, 4))
        if prosody:
            measured = measure(speech.samples, pauses_s=speech.pauses_s)
            prediction = replace(prediction, prosody=measured)
        if explain:
            prediction = explained(self, speech.samples, prediction, baseline)
            prediction = prediction.with_moments(speech.place)
        return prediction, windows

    def segments(
        self,
        audio: AudioSource | ArrayLike,
        rate: float | None = None,
        *,
        baseline: Baseline | None = None,
        learn: bool = True,
        max_segment_s: float = SEGMENT_S,
        channel: int | None = None,
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
            If `max_segment_s` is out of range.
        """
        stream = self.stream(
            interval_s=None,
            baseline=baseline,
            learn=learn,
            max_segment_s=max_segment_s,
            explain=explain,
            prosody=prosody,
        )
        return Segments(stream, read_blocks(audio, rate, channel=channel), max_seconds=max_seconds)

    def turns(
        self,
        audio: AudioSource | ArrayLike,
        turns: Iterable[Turn | tuple[Any, ...]],
        rate: float | None = None,
        *,
        baselines: Mapping[str, Baseline] | None = None,
        learn: bool = True,
        channel: int | None = None,
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
            If the turns are something else.
        """
        hear = partial(self._hear, explain=explain, prosody=prosody)
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
        explain: bool = False,
        prosody: bool = False,
    ) -> Stream:
        """Begin a live session; for the parameters and errors see `Stream`."""
        return Stream(
            self,
            rate,
            interval_s=interval_s,
            baseline=baseline,
            learn=learn,
            max_segment_s=max_segment_s,
            explain=partial(explained, self) if explain else None,
            prosody=prosody,
        )
