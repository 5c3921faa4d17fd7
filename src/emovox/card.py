"""The model card: what a model file says of itself, strictly checked."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .audio import MAX_SECONDS, RATE
from .baseline import MAX_EMBEDDING
from .checks import is_finite, is_number, read_keys
from .emotions import is_label
from .errors import ModelError

SCHEMA = 2
MIN_WINDOW_S = 0.1  # seconds; shorter windows hold no emotion, and a long recording many of them
MAX_WINDOW_S = MAX_SECONDS

_SAME_VOICES = frozenset({"random", "sentence"})  # protocols whose test knows all voices
_MIN_SPEAKERS = 10  # in training, for a model to know voices in general
_TEMPERATURES = (0.01, 100.0)  # beyond, the scores are 0 and 1, or all alike
_TEXTS = frozenset({"name", "protocol", "notes", "licence", "emovox_version", "code_revision"})
_NUMBERS = frozenset({"window_s", "temperature", "threshold", "baseline_seconds"})
_OPTIONAL = ("merged",)
_CORPUS_KEYS = {"name": str, "title": str, "licence": str, "utterances": int, "speakers": int}


@dataclass(frozen=True)
class Card:
    """What a model file says of itself; data only, every key needed and no other allowed.

    Parameters
    ----------
    schema : int
        Version of this list of keys.
    name : str
    labels : tuple of str
        What the columns of the logits mean: words of `emovox.emotions.EMOTIONS`, or others that
        `is_label`.
    features : mapping
        The kind of the features and their settings, for the record: they are in the graph.
    rate : int
        Hz; always 16,000.
    window_s : float, 0.1 to 3600
        Seconds; a longer recording is cut into equal windows no longer than this.
    temperature : float, 0.01 to 100
        The logits are divided by it before the softmax.
    threshold : float, 0 to 1
        Below this score a prediction is not certain.
    baseline : tuple of float, -1e6 to 1e6
        The mean embedding of the training data, the baseline of an unknown speaker.
    baseline_seconds : float > 0
        Seconds of a speaker's voice that weigh as much as `baseline` in the speaker's own.
    corpora : tuple of mappings
        name, title, licence, utterances and speakers of each corpus used in training.
    protocol : str
        How training and test were parted, as in `emovox.splits`.
    figures : mapping of str to float
        Measured under that protocol.
    notes : str
        What the model can and cannot do, in plain words.
    licence : str
        The terms of the weights.
    emovox_version, code_revision : str
        What made it; the revision is "" outside a git checkout.
    merged : mapping of str to str
        The label that each of some words counted as in training; older cards have no such key.
    """

    schema: int
    name: str
    labels: tuple[str, ...]
    features: Mapping[str, Any]
    rate: int
    window_s: float
    temperature: float
    threshold: float
    baseline: tuple[float, ...]
    baseline_seconds: float
    corpora: tuple[Mapping[str, Any], ...]
    protocol: str
    figures: Mapping[str, float]
    notes: str
    licence: str
    emovox_version: str
    code_revision: str
    merged: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what a wrong value would silently turn into wrong answers."""
        if self.schema != SCHEMA:
            raise ModelError(
                f"expected a card of schema {SCHEMA}, got {self.schema}; "
                "the model was made by another version of emovox"
            )
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise ModelError(f"expected at least two different labels, got {list(self.labels)}")
        if wrong := [label for label in self.labels if not is_label(label)]:
            raise ModelError(
                f"expected labels of at most 40 letters, digits and spaces in lower case, got "
                f"{wrong[0][:60]!r}"
            )
        if self.rate != RATE:
            raise ModelError(f"expected a model for {RATE} Hz, got {self.rate} Hz")
        self._expect_range("temperature", *_TEMPERATURES)
        self._expect_range("threshold", 0, 1)
        self._expect_range("window_s", MIN_WINDOW_S, MAX_WINDOW_S)
        if not self.baseline_seconds > 0:
            raise ModelError(
                f"the model card's baseline_seconds: expected more than 0, got "
                f"{self.baseline_seconds}"
            )
        largest = max(map(abs, self.baseline), default=0.0)
        if not largest <= MAX_EMBEDDING:
            raise ModelError(
                f"the model card's baseline: expected numbers up to {MAX_EMBEDDING:g}, got "
                f"{largest:g}"
            )

    def _expect_range(self, name: str, lowest: float, highest: float) -> None:
        value = getattr(self, name)
        if not lowest <= value <= highest:
            raise ModelError(
                f"the model card's {name}: expected {lowest:g} to {highest:g}, got {value}"
            )

    @property
    def caution(self) -> str:
        """What a user must know of the figures, in one line; "" where there is nothing."""
        if self.protocol in _SAME_VOICES:
            return (
                f"the figures of {self.name} were measured on voices it had learned from "
                f"(protocol {self.protocol}); expect less of it on other voices"
            )
        n_speakers = sum(corpus["speakers"] for corpus in self.corpora)
        if n_speakers < _MIN_SPEAKERS:
            voices = "one speaker" if n_speakers == 1 else f"{n_speakers} speakers"
            return f"{self.name} learned from {voices} alone; expect little of it on other voices"
        return ""

    def to_json(self) -> str:
        """Return the card as JSON."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """Read a card back.

        Raises
        ------
        ModelError
            If a key is missing, unknown or of the wrong type.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        data = read_keys(text, names, "model card", ModelError, optional=_OPTIONAL)
        return cls(**{name: _checked(name, value) for name, value in data.items()})


def _checked(name: str, value: Any) -> Any:
    """Return a card's value in the type of its key, or raise ModelError."""
    if name == "corpora":
        value = tuple(map(_checked_corpus, value)) if isinstance(value, list) else None
        fits = value is not None
    elif name in _TEXTS:
        fits = isinstance(value, str)
    elif name == "merged":
        fits = isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    elif name in ("schema", "rate"):
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif name in _NUMBERS:
        fits = is_number(value)
    elif name == "figures":
        fits = isinstance(value, dict) and all(is_number(item) for item in value.values())
    elif name == "features":
        fits = isinstance(value, dict) and is_finite(value)
    else:
        fits = isinstance(value, list) and all(
            isinstance(item, str) if name == "labels" else is_number(item) for item in value
        )
        value = tuple(value) if fits else value
    if not fits:
        raise ModelError(f"the model card's {name} is of the wrong type: {str(value)[:60]!r}")
    return value


def _checked_corpus(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict) or value.keys() != _CORPUS_KEYS.keys():
        raise ModelError(f"expected {', '.join(_CORPUS_KEYS)} of each corpus in the model card")
    for name, kind in _CORPUS_KEYS.items():
        if not isinstance(value[name], kind) or isinstance(value[name], bool):
            raise ModelError(f"the model card's {name} of a corpus is of the wrong type")
    return value
