"""The one inference path: audio in, Prediction out. Every door of emovox leads here."""

import math
import os
from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .audio import (
    MAX_SECONDS,
    RATE,
    AudioSource,
    Samples,
    check_audible,
    check_audio,
    check_clip,
    load_audio,
    without_silence,
)
from .baseline import Baseline
from .bundle import Bundle, Card, open_bundle
from .cleaning import cleaned
from .errors import AudioError, BaselineError, EmovoxError, ModelError, one_line
from .explain import explained
from .prediction import Prediction
from .segments import OnBroken, OnProgress, iter_segments
from .stream import INTERVAL_S, Stream
from .vad import PART_S, check_speech

__all__ = ["Baselines", "Prediction", "Recognizer", "read_audio"]

Baselines = Baseline | Sequence[Baseline | None] | None  # of all clips, of each, or of none


class Recognizer:
    """Recognises emotion in speech; holds no state but the model, so threads may share it.

    Parameters
    ----------
    bundle : Bundle
        An open model file; `Recognizer.load` is the usual way.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._mean = np.array(bundle.card.baseline, np.float64)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str] | None = None, *, n_threads: int = 1
    ) -> "Recognizer":
        """Open a model: a file, the name of a shipped one, or None for the default.

        Raises
        ------
        ModelError
            If it is missing, corrupt or not a model of emovox.
        ConfigError
            If `n_threads` is not 1 to 1024.
        """
        return cls(open_bundle(path, n_threads=n_threads))

    @property
    def card(self) -> Card:
        """The model card."""
        return self._bundle.card

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the logits."""
        return self._bundle.card.labels

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that tell this model file from any other."""
        return self._bundle.fingerprint

    def __repr__(self) -> str:
        card = self.card
        return f"<Recognizer {card.name} ({self.fingerprint}): {', '.join(card.labels)}>"

    def predict(
        self,
        audio: AudioSource | ArrayLike,
        rate: float | None = None,
        *,
        baseline: Baseline | None = None,
        explain: bool = False,
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
        clip = read_audio(audio, rate, max_seconds=max_seconds)
        check_audible(clip)
        check_speech(clip)
        prediction = self.predict_samples([clip], baseline)[0]
        if explain:
            return explained(self, clip, prediction, baseline)
        return prediction

    def segments(
        self,
        audio: AudioSource | ArrayLike,
        rate: float | None = None,
        *,
        baseline: Baseline | None = None,
        learn: bool = True,
        max_part_s: float = PART_S,
        channel: int | None = None,
        explain: bool = False,
        max_seconds: float = math.inf,
        on_progress: OnProgress | None = None,
        on_broken: OnBroken | None = None,
    ) -> list[Prediction]:
        """Recognise each part of speech in a recording of any length.

        Speech is cut at pauses, and where a part would grow too long. The recording is read in
        blocks: memory does not grow with its length.

        Parameters
        ----------
        audio, rate
            As for `predict`.
        baseline : Baseline, optional
            What was heard of this speaker before.
        learn : bool
            Whether the baseline learns from part to part.
        max_part_s : float
            The longest part, 1 to 60 s.
        channel : int >= 0, optional
            Only this channel, counted from 0; None for the mean of all.
        explain : bool
            Whether to tell which moments carried each prediction.
        max_seconds : float
            A longer recording is refused.
        on_progress : callable, optional
            Called with the seconds read and the seconds in all, as far as these are known.
        on_broken : callable, optional
            Called with why a recording breaks off, in place of the warning.

        Returns
        -------
        predictions : list of Prediction
            In the order spoken; empty if nobody speaks.

        Raises
        ------
        AudioError
            If the audio cannot be used. Of a recording that is cut off or damaged what comes
            before is answered, with a BrokenRecordingWarning.
        BaselineError
            If the baseline was learned with another model.
        ConfigError
            If `max_part_s` is out of range.
        """
        return list(
            self.iter_segments(
                audio,
                rate,
                baseline=baseline,
                learn=learn,
                max_part_s=max_part_s,
                channel=channel,
                explain=explain,
                max_seconds=max_seconds,
                on_progress=on_progress,
                on_broken=on_broken,
            )
        )

    def iter_segments(
        self, audio: AudioSource | ArrayLike, rate: float | None = None, **options: Any
    ) -> Iterator[Prediction]:
        """Yield what `segments` returns, with the same options, each part as soon as it is known.

        The warning comes when the recording breaks off; an error after the parts before it.
        """
        return iter_segments(self, audio, rate, **options)

    def stream(
        self,
        rate: float = RATE,
        *,
        interval_s: float | None = INTERVAL_S,
        baseline: Baseline | None = None,
        learn: bool = True,
        max_part_s: float = PART_S,
    ) -> Stream:
        """Begin a live session; for the parameters and errors see `Stream`."""
        return Stream(
            self,
            rate,
            interval_s=interval_s,
            baseline=baseline,
            learn=learn,
            max_part_s=max_part_s,
        )

    def predict_samples(
        self, clips: Sequence[Samples], baselines: Baselines = None
    ) -> list[Prediction]:
        """Recognise clips of mono float32 at 16 kHz, as `load_audio` returns them, in batches.

        Each result is the same as alone, and the same whatever silence lies around the clip.
        Clips longer than the model's window are cut into equal windows, whose scores are averaged;
        windows without sound do not count.

        Parameters
        ----------
        clips : sequence of ndarray of float32, shape=(n_samples,)
        baselines : Baseline, sequence of Baseline or None, or None
            What was heard before of the speaker of all clips, or of each clip's speaker; None
            where nothing was.

        Raises
        ------
        AudioError
            If a clip is of another type or shape, not finite, or not scaled to [-1, 1];
            SilenceError, a kind of it, if one holds no sound.
        BaselineError
            If a baseline was learned with another model, or there is not one for each clip.
        ModelError
            If the model fails, or its answer is no numbers.
        """
        given = _one_each(baselines, len(clips))
        return [self._heard(clip, one)[0] for clip, one in zip(clips, given, strict=True)]

    def hear(self, clip: Samples, baseline: Baseline | None = None) -> tuple[Prediction, Baseline]:
        """Recognise a clip and learn it, in one pass through the network.

        Parameters
        ----------
        clip : ndarray of float32, shape=(n_samples,)
            Mono at 16 kHz, as `load_audio` returns it.
        baseline : Baseline, optional
            What was heard of this speaker before; None where nothing was. It stays as it is.

        Returns
        -------
        prediction : Prediction
            What `predict_samples` gives with that baseline.
        baseline : Baseline
            What `learn` gives: it has heard this clip, too.

        Raises
        ------
        AudioError, BaselineError, ModelError
            As for `predict_samples`.
        """
        before = self.new_baseline() if baseline is None else baseline
        prediction, windows = self._heard(clip, before)
        after = before
        for embedding, seconds in windows:
            after = after.learned(embedding, seconds)
        return prediction, after

    def _heard(
        self, clip: Samples, baseline: Baseline | None
    ) -> tuple[Prediction, list[tuple[NDArray[np.float32], float]]]:
        """Return the answer to a clip, and each window's embedding with its seconds."""
        windows = self._windows(clip)
        logits, embeddings = self.infer(windows, baseline)
        seconds = [len(window) / RATE for window in windows]
        prediction = self.decide(logits, len(clip) / RATE)
        return prediction, list(zip(embeddings, seconds, strict=True))

    def new_baseline(self, name: str = "") -> Baseline:
        """Return the baseline of a speaker of whom nothing was heard yet."""
        return Baseline(self.fingerprint, np.zeros_like(self._mean), 0.0, name)

    def learn(self, baseline: Baseline, clips: Sequence[Samples]) -> Baseline:
        """Return a speaker's baseline that has heard clips more, one after the other.

        No labels are needed. Each clip is heard with the baseline of the clips before it, which
        serves all windows of a clip longer than the model's window, as in `predict_samples`.

        Parameters
        ----------
        baseline : Baseline
            From `new_baseline`, or learned or loaded before; it stays as it is.
        clips : sequence of ndarray of float32, shape=(n_samples,)
            Of this speaker, in the order spoken; mono at 16 kHz, as `load_audio` returns them.

        Raises
        ------
        AudioError, BaselineError, ModelError
            As for `predict_samples`.
        """
        for clip in clips:
            _, baseline = self.hear(clip, baseline)
        return baseline

    def enrol(self, name: str, clips: Sequence[Samples]) -> Baseline:
        """Learn a new speaker's baseline from clips; for these and its errors see `learn`."""
        return self.learn(self.new_baseline(name), clips)

    def infer(
        self, clips: Sequence[Samples], baselines: Baselines = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network on clips of mono float32 at 16 kHz.

        Parameters
        ----------
        clips : sequence of ndarray of float32, shape=(n_samples,)
        baselines : Baseline, sequence of Baseline or None, or None
            As for `predict_samples`.

        Returns
        -------
        logits : ndarray of float32, shape=(n_clips, n_labels)
        embeddings : ndarray of float32, shape=(n_clips, n_embedding)

        Raises
        ------
        AudioError, BaselineError, ModelError
            As for `predict_samples`; silence is no error here.
        """
        given = _one_each(baselines, len(clips))
        logits = np.empty((len(clips), len(self.labels)), np.float32)
        embeddings = np.empty((len(clips), self._mean.size), np.float32)
        # One at a time: on a CPU a batch is no faster, and rounding would depend on the neighbours.
        for index, (clip, baseline) in enumerate(zip(clips, given, strict=True)):
            check_clip(clip)
            logits[index], embeddings[index] = self._bundle.run(clip, self._vector(baseline))
            if not (np.isfinite(logits[index]).all() and np.isfinite(embeddings[index]).all()):
                raise self._no_numbers(baseline)
        return logits, embeddings

    def _no_numbers(self, baseline: Baseline | None) -> EmovoxError:
        """Return the error that the network answered with NaN or infinity."""
        if baseline is not None and baseline.seconds > 0:
            return BaselineError(
                f"with the baseline of {one_line(baseline.name) or 'a speaker'} {self.card.name} "
                "gives no finite numbers: the baseline is damaged; learn it anew"
            )
        return ModelError(f"the model {self.card.name} gives no finite numbers: it is damaged")

    def check_baseline(self, baseline: Baseline) -> None:
        """Refuse a baseline that this model cannot use.

        Raises
        ------
        BaselineError
            If it is no baseline, or was learned with another model.
        """
        self._vector(baseline)

    def _vector(self, baseline: Baseline | None) -> NDArray[np.float32]:
        """Return what the graph is fed for a speaker, of whom something was heard or nothing."""
        if baseline is None:
            return self._mean.astype(np.float32)
        if not isinstance(baseline, Baseline):
            raise BaselineError(f"expected a Baseline or None, got {type(baseline).__name__}")
        if baseline.model != self.fingerprint:
            whose = one_line(baseline.name) or "a speaker"
            raise BaselineError(
                f"the baseline of {whose} was learned with the model {one_line(baseline.model)}, "
                f"this is {self.card.name} ({self.fingerprint}); learn it anew with this model, or "
                "use the other"
            )
        if baseline.total.shape != self._mean.shape:
            raise BaselineError(
                f"expected a baseline of {self._mean.size} numbers, got {baseline.total.size}"
            )
        return baseline.vector(self._mean, self.card.baseline_seconds)

    def _windows(self, clip: Samples) -> list[Samples]:
        """Clean a clip and cut it into equal windows; silence around and in them is left out."""
        check_clip(clip)
        clip = cleaned(clip)
        check_audible(clip)
        sound = without_silence(clip)
        n_windows = int(np.ceil(len(sound) / (self.card.window_s * RATE)))
        windows = map(without_silence, np.array_split(sound, n_windows))
        return [window for window in windows if window.size]

    def decide(self, logits: NDArray[np.float32], seconds: float) -> Prediction:
        """Return the answer to a clip of some seconds from the logits of its windows.

        Parameters
        ----------
        logits : ndarray of float32, shape=(n_windows, n_labels)
            From `infer`, at least one window; their probabilities are averaged.
        seconds : float
            Of the clip, the end of the prediction.
        """
        if not np.isfinite(logits).all():
            raise self._no_numbers(None)
        exact = logits.astype(np.float64)
        powers = np.exp((exact - exact.max(1, keepdims=True)) / self.card.temperature)
        probabilities = (powers / powers.sum(1, keepdims=True)).mean(0)
        scores = dict(zip(self.labels, map(float, probabilities), strict=True))
        label = self.labels[int(probabilities.argmax())]
        certain, end = scores[label] >= self.card.threshold, round(seconds, 4)
        return Prediction(label, scores[label], MappingProxyType(scores), 0.0, end, certain)


def read_audio(
    audio: AudioSource | ArrayLike, rate: float | None = None, *, max_seconds: float = MAX_SECONDS
) -> Samples:
    """Decode a recording, or check samples that come with their rate, to mono float32 at 16 kHz.

    Raises
    ------
    AudioError
        If the audio cannot be used, if samples come without a rate, or a recording with one.
    """
    if isinstance(audio, str | os.PathLike | bytes) or hasattr(audio, "read"):
        if rate is not None:
            raise AudioError("a recording tells its own rate; give `rate` only with an array")
        return load_audio(audio, max_seconds=max_seconds)  # type: ignore[arg-type] # a file object
    if rate is None:
        raise AudioError("expected a sample rate in Hz with an array, e.g. predict(samples, 44100)")
    return check_audio(audio, rate, max_seconds=max_seconds)


def _one_each(baselines: Baselines, n_clips: int) -> Sequence[Baseline | None]:
    if baselines is None or isinstance(baselines, Baseline):
        return [baselines] * n_clips
    if not isinstance(baselines, Sequence):
        kind = type(baselines).__name__
        raise BaselineError(f"expected a Baseline, None, or a list of them, got {kind}")
    if len(baselines) != n_clips:
        raise BaselineError(
            f"expected a baseline or None for each of {n_clips} clips, got {len(baselines)}"
        )
    return baselines
