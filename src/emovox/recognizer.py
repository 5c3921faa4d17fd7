"""The one inference path: audio in, Prediction out. Every door of emovox leads here."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .audio import (
    MAX_SECONDS,
    NOISE_FLOOR,
    RATE,
    AudioSource,
    Samples,
    check_audible,
    check_audio,
    load_audio,
)
from .bundle import Bundle, Card, open_bundle
from .errors import AudioError

_BATCH_SAMPLES = 60 * RATE  # audio that one call of the network may hold, padding included


@dataclass(frozen=True)
class Prediction:
    """What was heard in one stretch of audio.

    `label` has the highest `score`; `scores` holds a calibrated probability of every label, and
    sums to 1; `start` and `end` are seconds from the beginning of the recording; where `certain`
    is False the model abstains, and the label is only its best guess.
    """

    label: str
    score: float
    scores: Mapping[str, float]
    start: float
    end: float
    certain: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as JSON carries it."""
        return {
            "label": self.label,
            "score": self.score,
            "scores": dict(self.scores),
            "start": self.start,
            "end": self.end,
            "certain": self.certain,
        }

    def to_list(self) -> list[dict[str, Any]]:
        """Return [{"label", "score"}], best first, as Hugging Face's audio classification does."""
        best_first = sorted(self.scores.items(), key=lambda item: -item[1])
        return [{"label": label, "score": score} for label, score in best_first]


class Recognizer:
    """Recognises emotion in speech; holds no state but the model, so threads may share it.

    Parameters
    ----------
    bundle : Bundle
        An open model file; `Recognizer.load` is the usual way.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    @classmethod
    def load(
        cls, path: str | os.PathLike[str] | None = None, *, n_threads: int = 1
    ) -> "Recognizer":
        """Open a model: a file, the name of a shipped one, or None for the default.

        Raises
        ------
        ModelError
            If it is missing, corrupt or not a model of emovox.
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
        max_seconds: float = MAX_SECONDS,
    ) -> Prediction:
        """Recognise the emotion of one recording as a whole.

        Parameters
        ----------
        audio : path, bytes, file object, or array, shape=(n_samples,) or (n_samples, n_channels)
        rate : float, optional
            Hz; needed with an array, and only then.
        max_seconds : float > 0
            A longer recording is refused.

        Raises
        ------
        AudioError
            If the audio cannot be used; SilenceError, a kind of it, if it holds no sound.
        """
        return self.predict_samples([read_audio(audio, rate, max_seconds=max_seconds)])[0]

    def predict_samples(self, clips: Sequence[Samples]) -> list[Prediction]:
        """Recognise clips of mono float32 at 16 kHz, as `load_audio` returns them, in batches.

        Each result is the same as alone, and the same whatever silence lies around the clip.
        Clips longer than the model's window are cut into equal windows, whose scores are averaged;
        windows without sound do not count.

        Raises
        ------
        SilenceError
            If one of the clips holds no sound.
        """
        windows, owners = [], []
        for index, clip in enumerate(clips):
            check_audible(clip)
            parts = self._windows(_without_silence(clip))
            audible = [part for part in parts if np.abs(part).max() >= NOISE_FLOOR]
            windows += audible
            owners += [index] * len(audible)
        logits, _ = self.infer(windows)
        probabilities = _softmax(logits / self.card.temperature)
        owner = np.array(owners)
        means = (probabilities[owner == index].mean(0) for index in range(len(clips)))
        return [
            self._prediction(mean, len(clip) / RATE)
            for mean, clip in zip(means, clips, strict=True)
        ]

    def infer(self, clips: Sequence[Samples]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network on clips of mono float32 at 16 kHz.

        Returns
        -------
        logits : ndarray of float32, shape=(n_clips, n_labels)
        embeddings : ndarray of float32, shape=(n_clips, n_embedding)
        """
        logits = np.empty((len(clips), len(self.labels)), np.float32)
        embeddings = np.empty((len(clips), len(self.card.baseline)), np.float32)
        for chosen in _batches([len(clip) for clip in clips]):
            lengths = np.array([len(clips[index]) for index in chosen], np.int64)
            audio = np.zeros((len(chosen), int(lengths.max())), np.float32)
            for row, index in enumerate(chosen):
                audio[row, : len(clips[index])] = clips[index]
            baseline = np.tile(np.array(self.card.baseline, np.float32), (len(chosen), 1))
            feeds = {"audio": audio, "lengths": lengths, "baseline": baseline}
            logits[chosen], embeddings[chosen] = self._bundle.session.run(None, feeds)
        return logits, embeddings

    def _windows(self, clip: Samples) -> list[Samples]:
        n_windows = int(np.ceil(len(clip) / (self.card.window_s * RATE)))
        return np.array_split(clip, n_windows)

    def _prediction(self, probabilities: NDArray[np.float64], seconds: float) -> Prediction:
        scores = dict(zip(self.labels, map(float, probabilities), strict=True))
        label = self.labels[int(probabilities.argmax())]
        certain = scores[label] >= self.card.threshold
        return Prediction(
            label, scores[label], MappingProxyType(scores), 0.0, round(seconds, 4), certain
        )


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


def _without_silence(clip: Samples) -> Samples:
    """Cut what lies before the first and after the last sound: it must not move the windows."""
    sounds = np.flatnonzero(np.abs(clip) >= NOISE_FLOOR)
    return clip[sounds[0] : sounds[-1] + 1]


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Group clips of similar length so that no batch, padding included, grows too large."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        longest = lengths[batches[-1][0]] if batches else 0
        if batches and (len(batches[-1]) + 1) * longest <= _BATCH_SAMPLES:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    powers = np.exp(shifted)
    probabilities: NDArray[np.float64] = powers / powers.sum(-1, keepdims=True)
    return probabilities
