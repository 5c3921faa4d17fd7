"""What is tested: a model of emovox, or any function from samples and rate to scores."""

import importlib
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from ..audio import RATE, Samples
from ..emotions import canonical
from ..errors import AudioError, ConfigError, EmovoxError, ModelError, one_line
from ..prediction import Prediction
from ..recognizer import Recognizer

PREDICT = "predict"
DOORS = ("segments", "stream")  # further ways into a model of emovox
_BLOCK = RATE // 10  # samples that a stream is fed at a time


@dataclass(frozen=True)
class Answer:
    """A model's answer to a clip.

    `scores` has one for each label, and sums to 1; it is empty where the model refused the clip,
    and `refused` says why.
    """

    scores: tuple[float, ...]
    certain: bool = False
    refused: str = ""

    @property
    def index(self) -> int:
        """The index of the label with the highest score; -1 where there is none."""
        return int(np.argmax(self.scores)) if self.scores else -1


class Subject(Protocol):
    """A model to test. `doors` names further ways in that must give the same answers."""

    @property
    def name(self) -> str:
        """What the reports call it."""

    @property
    def fingerprint(self) -> str:
        """What tells it from other models."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the scores."""

    @property
    def merged(self) -> Mapping[str, str]:
        """The label that each of some words counted as in training, as far as it is known."""

    @property
    def doors(self) -> tuple[str, ...]:
        """Ways in besides "predict"."""

    @property
    def n_threads(self) -> int:
        """How many threads may ask it at a time."""

    def answer(self, clip: Samples, door: str = PREDICT) -> Answer:
        """Recognise mono float32 at 16 kHz."""


class OwnModel:
    """A model file of emovox, asked as `emovox predict` asks it."""

    n_threads = 2
    doors = DOORS

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self.name = recognizer.card.name
        self.fingerprint = recognizer.fingerprint
        self.labels = recognizer.labels
        self.merged = recognizer.card.merged

    def answer(self, clip: Samples, door: str = PREDICT) -> Answer:
        """Recognise mono float32 at 16 kHz by way of `predict`, `segments` or `stream`."""
        try:
            if door == PREDICT:
                return self._answer([self._recognizer.predict(clip, RATE)])
            if door == "segments":
                return self._answer([*self._recognizer.segments(clip, RATE, learn=False)])
            return self._answer(self._streamed(clip))
        except AudioError as error:
            return Answer((), refused=error.kind)

    def _streamed(self, clip: Samples) -> list[Prediction]:
        """Feed a stream and ask it for the turn, as a dialogue system does."""
        stream = self._recognizer.stream(interval_s=None, learn=False)
        for at in range(0, len(clip), _BLOCK):
            stream.feed(clip[at : at + _BLOCK])
        answer = stream.turn()
        return [] if answer is None else [answer]

    def _answer(self, segments: Sequence[Prediction]) -> Answer:
        """Put the segments of a recording together, each by its length."""
        if not segments:
            return Answer((), refused="no speech")
        if len(segments) > 1:
            seconds = np.array([segment.end - segment.start for segment in segments])
        else:
            seconds = np.ones(1)
        table = np.array([[one.scores[label] for label in self.labels] for one in segments])
        scores = seconds @ table / seconds.sum()
        certain = bool(scores.max() >= self._recognizer.card.threshold)
        return Answer(tuple(map(float, scores)), certain)


class CallableModel:
    """A function of samples (mono float32 at 16 kHz) and rate that returns a score by label.

    Parameters
    ----------
    name : str
        "module:function"; the module is looked up in the working directory, too.
    threshold : float, 0 to 1
        The score from which an answer counts as certain.

    Raises
    ------
    ConfigError
        If there is no such function.
    ModelError
        If it fails, or returns something else.
    """

    n_threads = 1  # who wrote it may not have thought of several
    doors = ()
    merged: Mapping[str, str] = MappingProxyType({})

    def __init__(self, name: str, threshold: float = 0.5) -> None:
        self._function = _imported(name)
        self.name, self.fingerprint = name, f"{name} from {threshold:g}"
        self._threshold = threshold
        self.labels: tuple[str, ...] = ()
        self.labels = tuple(sorted(self._scores(_probe())))

    def answer(self, clip: Samples, door: str = PREDICT) -> Answer:
        """Recognise mono float32 at 16 kHz; AudioError is a refusal, other errors end the test."""
        try:
            found = self._scores(clip)
        except AudioError as error:
            return Answer((), refused=error.kind)
        if tuple(sorted(found)) != self.labels:
            raise ModelError(
                f"{self.name}: expected scores of {', '.join(self.labels)} each time, got "
                f"{', '.join(sorted(found))}"
            )
        scores = tuple(found[label] for label in self.labels)
        return Answer(scores, max(scores) >= self._threshold)

    def _scores(self, clip: Samples) -> dict[str, float]:
        """Call the function, and return scores that sum to 1, by labels of emovox's vocabulary."""
        try:
            found = self._function(clip, RATE)
        except EmovoxError:
            raise
        except Exception as error:
            told = one_line(f"{type(error).__name__}: {error}")
            raise ModelError(f"{self.name} failed: {told}") from error
        if not isinstance(found, Mapping) or not found:
            got = type(found).__name__
            raise ModelError(f"{self.name}: expected a score by label, such as a dict, got {got}")
        scores: dict[str, float] = {}
        for label, score in found.items():
            word = canonical(str(label)) or str(label).lower()
            scores[word] = scores.get(word, 0.0) + float(score)
        total = sum(scores.values())
        if not math.isfinite(total) or total <= 0 or min(scores.values()) < 0:
            raise ModelError(f"{self.name}: expected scores of 0 or more, got {dict(found)}")
        return {label: score / total for label, score in scores.items()}


def open_subject(
    model: str | os.PathLike[str] | None, function: str | None, threshold: float = 0.5
) -> Subject:
    """Open what is to be tested: a function, if one is named, else a model as `Model.load` does.

    Raises
    ------
    EmovoxError
        If it cannot be used, or both are given.
    """
    if function is None:
        return OwnModel(Recognizer.load(model))
    if model is not None:
        raise ConfigError(f"expected a model or a function to test, got {model} and {function}")
    return CallableModel(function, threshold)


def _imported(name: str) -> Callable[[Samples, int], Any]:
    module, _, function = name.partition(":")
    if not module or not function:
        raise ConfigError(f"expected module:function, for example peer:scores, got {name!r}")
    try:
        with _working_directory():
            found = getattr(importlib.import_module(module), function)
    except Exception as error:
        told = one_line(f"{type(error).__name__}: {error}")
        raise ConfigError(f"{name}: cannot be imported: {told}") from error
    if not callable(found):
        raise ConfigError(f"{name}: expected a function, got {type(found).__name__}")
    return found  # type: ignore[no-any-return] # it is called, and its answer looked at


@contextmanager
def _working_directory() -> Iterator[None]:
    """Have modules found in the working directory, as `python -m` does."""
    place = str(Path.cwd())
    sys.path.insert(0, place)
    try:
        yield
    finally:
        sys.path.remove(place)


def _probe() -> Samples:
    """Return a second of a buzz, of which a model tells its labels."""
    time = np.arange(RATE) / RATE
    buzz = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 21))
    return np.asarray(0.1 * buzz, np.float32)
