"""Numbers: what a change did to the answers, and how the answers to clean recordings fare."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation.metrics import uar
from .subjects import Answer

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """A model's answers to recordings, one entry a recording in each field.

    Parameters
    ----------
    truth : ndarray of int64, shape=(n,)
        Index of the label meant.
    scores : ndarray of float64, shape=(n, n_labels)
        Zeros where the model refused.
    certain : ndarray of bool, shape=(n,)
    refused : tuple of str, length n
        Why it refused; "" where it answered.
    """

    truth: NDArray[np.int64]
    scores: NDArray[np.float64]
    certain: Mask
    refused: tuple[str, ...]

    @property
    def index(self) -> NDArray[np.int64]:
        """The label answered, shape (n,); n_labels where the model refused."""
        best = np.asarray(self.scores.argmax(axis=1), np.int64)
        return np.where(self.answered, best, self.scores.shape[1])

    @property
    def answered(self) -> Mask:
        """Where the model answered, shape (n,)."""
        return np.array([not why for why in self.refused], np.bool_)

    @property
    def right(self) -> Mask:
        """Where the label is the one meant, shape (n,)."""
        return np.equal(self.index, self.truth)

    @property
    def confusion(self) -> NDArray[np.int64]:
        """The counts by truth and answer, shape (n_labels, n_labels + 1); refusals are last."""
        n_labels = self.scores.shape[1]
        counts = np.bincount(
            self.truth * (n_labels + 1) + self.index, minlength=n_labels * (n_labels + 1)
        )
        return counts.reshape(n_labels, n_labels + 1)

    def among(self, labels: Mask) -> "Answers":
        """Return what the answers would be, were these labels the only ones to choose from."""
        allowed = np.where(labels, self.scores, 0.0)
        return replace(self, scores=allowed / np.maximum(allowed.sum(axis=1, keepdims=True), 1e-12))

    def take(self, chosen: Mask) -> "Answers":
        """Return the answers to some of the recordings."""
        return Answers(
            self.truth[chosen],
            self.scores[chosen],
            self.certain[chosen],
            tuple(why for why, taken in zip(self.refused, chosen, strict=True) if taken),
        )


def answers_of(found: Sequence[Answer], truth: Sequence[int], n_labels: int) -> Answers:
    """Put the answers to recordings and what was meant together."""
    nothing = (0.0,) * n_labels
    return Answers(
        np.array(truth, np.int64),
        np.array([one.scores or nothing for one in found], np.float64).reshape(-1, n_labels),
        np.array([one.certain for one in found], np.bool_),
        tuple(one.refused for one in found),
    )


def unchanged(clean: Answers, changed: Answers) -> float:
    """Return the share of labels that a change left as they were; a refusal changes the label.

    Recordings that the model refuses unchanged do not count.
    """
    return float((clean.index == changed.index)[clean.answered].mean())


def uar_loss(clean: Answers, changed: Answers) -> float:
    """Return how much UAR a change cost; refusals are wrong answers."""
    return float(uar(clean.confusion) - uar(changed.confusion))


def certain_wrong(answers: Answers) -> float:
    """Return the share of recordings where the model is certain and wrong."""
    return float((answers.certain & ~answers.right).mean())


def certain_wrong_rise(clean: Answers, changed: Answers) -> float:
    """Return by how much more often the model is certain and wrong after a change."""
    return certain_wrong(changed) - certain_wrong(clean)


def refused(clean: Answers, changed: Answers) -> float:
    """Return the share of recordings that the model answers as they are, but refuses changed."""
    return float((~changed.answered)[clean.answered].mean())


Measure = Callable[[Answers, Answers], float]
MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "unchanged": unchanged,
        "uar_loss": uar_loss,
        "certain_wrong_rise": certain_wrong_rise,
        "refused": refused,
    }
)
"""What is measured of a change, by name."""


def precision(answers: Answers) -> NDArray[np.float64]:
    """Return the precision of each label, shape (n_labels,); NaN where it was never answered."""
    return _ratio(np.diagonal(answers.confusion), answers.confusion[:, :-1].sum(axis=0))


def recall(answers: Answers) -> NDArray[np.float64]:
    """Return the recall of each label, shape (n_labels,); NaN where it was never meant."""
    return _ratio(np.diagonal(answers.confusion), answers.confusion.sum(axis=1))


def shares(answers: Answers) -> NDArray[np.float64]:
    """Return the share of each label in the answers, shape (n_labels,)."""
    counts = answers.confusion[:, :-1].sum(axis=0)
    return _ratio(counts, counts.sum())


def true_shares(answers: Answers) -> NDArray[np.float64]:
    """Return the share of each label in what was meant, shape (n_labels,)."""
    return _ratio(answers.confusion.sum(axis=1), len(answers.truth))


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return Spearman's rank correlation; NaN where either does not vary."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value; equal ones share the mean of theirs."""
    _, group, n_each = np.unique(values.round(9), return_inverse=True, return_counts=True)
    return (n_each.cumsum() - (n_each - 1) / 2)[group]


def _ratio(part: NDArray[Any], whole: Any) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.divide(part, whole), np.float64)
