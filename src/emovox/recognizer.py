"""Recognising: recordings, samples and live sound in, predictions and baselines out."""

import math
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from numpy.typing import ArrayLike

from .audio import MAX_SECONDS, RATE, AudioSource
from .baseline import Baseline, Window
from .decoding import read_blocks
from .explain import explained, moments
from .model import Model
from .prediction import Prediction
from .prosody import measure
from .stream import INTERVAL_S, Segments, Stream
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
        prediction, speech, _ = self._hear(audio, rate, baseline, max_seconds)
        if prosody:
            measured = measure(speech.samples, pauses_s=speech.pauses_s)
            prediction = replace(prediction, prosody=measured)
        if not explain:
            return prediction
        weighed = moments(self, speech.samples, prediction, baseline)
        return replace(prediction, moments=tuple(moment.moved(speech.place) for moment in weighed))

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
        prediction, _, windows = self._hear(audio, rate, baseline, max_seconds)
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
        audio: AudioSource | ArrayLike,
        rate: float | None,
        baseline: Baseline | None,
        max_seconds: float,
    ) -> tuple[Prediction, Speech, list[Window]]:
        """Read a recording, and recognise the speech in it."""
        speech = self.read(audio, rate, max_seconds=max_seconds)
        prediction, windows = self.hear(speech.samples, baseline)
        return replace(prediction, end=round(speech.seconds, 4)), speech, windows

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
