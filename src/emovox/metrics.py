"""Numbers: how well answers agree with the truth, and how sure one can be of that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import EmovoxError

LEVEL = 0.95  # of the intervals
N_RESAMPLES = 1_000
MIN_SPEAKERS = 5  # with fewer, resampling speakers says nothing, and utterances are resampled
N_BINS = 15  # of the calibration error, as in Guo et al. 2017
TEMPERATURES = (0.05, 20.0)  # range of the search

Floats = NDArray[np.float64]
Statistic = Callable[[NDArray[Any]], Floats]
"""A function of confusion matrices, shape (..., n_labels, n_labels) to (...)."""


@dataclass(frozen=True)
class Results:
    """A model's answers to labelled recordings, one entry a recording in each field.

    Parameters
    ----------
    labels : tuple of str
        The emotions the model knows, in the order of its scores.
    truth : ndarray of int64, shape=(n,)
        Index into `labels` of the emotion meant.
    probabilities : ndarray of float32, shape=(n, n_labels)
        The model's scores; each row sums to 1.
    files, speakers, corpora : tuple of str, length n
        Where each recording is from; "" for a speaker who is not known.
    certain : ndarray of bool, shape=(n,)
        False where the model abstains.

    Raises
    ------
    EmovoxError
        If the fields do not fit together, are empty, or the scores are no probabilities.
    """

    labels: tuple[str, ...]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    files: tuple[str, ...]
    speakers: tuple[str, ...]
    corpora: tuple[str, ...]
    certain: NDArray[np.bool_]

    def __post_init__(self) -> None:
        n, n_labels = len(self.files), len(self.labels)
        if n == 0:
            raise EmovoxError("expected results of at least one recording, got none")
        if n_labels == 0 or len(set(self.labels)) != n_labels:
            raise EmovoxError(f"expected distinct labels, got {', '.join(self.labels) or 'none'}")
        shapes = {
            "truth": (self.truth.shape, (n,)),
            "probabilities": (self.probabilities.shape, (n, n_labels)),
            "speakers": ((len(self.speakers),), (n,)),
            "corpora": ((len(self.corpora),), (n,)),
            "certain": (self.certain.shape, (n,)),
        }
        for name, (shape, expected) in shapes.items():
            if shape != expected:
                raise EmovoxError(f"expected {name} of shape {expected}, got {shape}")
        if not np.issubdtype(self.truth.dtype, np.integer) or self.certain.dtype != np.bool_:
            raise EmovoxError("expected integers as truth and booleans as certain")
        if self.truth.min() < 0 or self.truth.max() >= n_labels:
            raise EmovoxError(f"expected truth from 0 to {n_labels - 1}, got others")
        sums = self.probabilities.sum(axis=1, dtype=np.float64)
        if not (np.abs(sums - 1) < 1e-3).all() or (self.probabilities < 0).any():
            raise EmovoxError("expected scores of at least 0 that sum to 1 for each recording")

    @property
    def answers(self) -> NDArray[np.int64]:
        """The label with the highest score, as index, shape (n,)."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @property
    def scores(self) -> NDArray[np.float32]:
        """The score of the answer, shape (n,)."""
        return np.asarray(self.probabilities.max(axis=1), dtype=np.float32)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Results":
        """Return the results of some of the recordings, chosen by mask or index."""
        indices = np.arange(len(self.files))[chosen]
        return Results(
            self.labels,
            self.truth[indices],
            self.probabilities[indices],
            tuple(self.files[i] for i in indices),
            tuple(self.speakers[i] for i in indices),
            tuple(self.corpora[i] for i in indices),
            self.certain[indices],
        )


def concatenate(parts: Sequence[Results]) -> Results:
    """Put results of one set of labels together, in the order given.

    Raises
    ------
    EmovoxError
        If there are none, or their labels differ.
    """
    if not parts:
        raise EmovoxError("expected results to put together, got none")
    labels = parts[0].labels
    for part in parts:
        if part.labels != labels:
            raise EmovoxError(
                f"expected results with the labels {', '.join(labels)}, "
                f"got some with {', '.join(part.labels)}"
            )
    return Results(
        labels,
        np.concatenate([part.truth for part in parts]),
        np.concatenate([part.probabilities for part in parts]),
        tuple(file for part in parts for file in part.files),
        tuple(speaker for part in parts for speaker in part.speakers),
        tuple(corpus for part in parts for corpus in part.corpora),
        np.concatenate([part.certain for part in parts]),
    )


def confusion_matrix(results: Results) -> NDArray[np.int64]:
    """Count the answers: shape (n_labels, n_labels), a row for each truth."""
    n_labels = len(results.labels)
    cells = results.truth * n_labels + results.answers
    return np.bincount(cells, minlength=n_labels**2).reshape(n_labels, n_labels)


def accuracy(confusion: NDArray[Any]) -> Floats:
    """Share of right answers, for confusion matrices of shape (..., n_labels, n_labels)."""
    return _ratio(_right(confusion).sum(axis=-1), confusion.sum(axis=(-2, -1)))


def uar(confusion: NDArray[Any]) -> Floats:
    """Unweighted average recall: the mean recall of the labels that occur in the truth.

    Parameters
    ----------
    confusion : ndarray, shape=(..., n_labels, n_labels)
        Rows are the truth.
    """
    support = confusion.sum(axis=-1)
    return _mean_where(_ratio(_right(confusion), support), support > 0)


def macro_f1(confusion: NDArray[Any]) -> Floats:
    """Mean F1 of the labels that occur in the truth, for matrices (..., n_labels, n_labels)."""
    support = confusion.sum(axis=-1)
    return _mean_where(_f1(confusion), support > 0)


STATISTICS: tuple[tuple[str, Statistic], ...] = (
    ("accuracy", accuracy),
    ("uar", uar),
    ("macro_f1", macro_f1),
)


def per_emotion(results: Results) -> dict[str, dict[str, float | int]]:
    """Precision, recall, F1 and support of each label.

    What is undefined (the recall of a label without recordings, the precision of one never
    answered) is 0.
    """
    confusion = confusion_matrix(results)
    right, support = _right(confusion), confusion.sum(axis=1)
    precision, recall = _ratio(right, confusion.sum(axis=0)), _ratio(right, support)
    f1 = _f1(confusion)
    return {
        label: {
            "precision": float(precision[i]),
            "recall": float(recall[i]),
            "f1": float(f1[i]),
            "support": int(support[i]),
        }
        for i, label in enumerate(results.labels)
    }


def per_speaker(results: Results) -> dict[str, dict[str, float | int]]:
    """Give the number of recordings, UAR and accuracy of each speaker, sorted by name.

    With more than one corpus a speaker is named `corpus/speaker`; who is not known is "unknown".
    """
    names = np.array(_speaker_names(results))
    table: dict[str, dict[str, float | int]] = {}
    for name in sorted(set(names.tolist())):
        confusion = confusion_matrix(results.take(names == name))
        table[name] = {
            "n": int(confusion.sum()),
            "uar": float(uar(confusion)),
            "accuracy": float(accuracy(confusion)),
        }
    return table


def expected_calibration_error(results: Results) -> float:
    """How far the scores are from the share of right answers, on average, 0 to 1.

    The answers are put in 15 bins of equal width by their score; the difference between mean
    score and accuracy of each bin is weighted by its size (Guo et al. 2017, "On Calibration of
    Modern Neural Networks", equation 3).
    """
    scores = results.scores.astype(np.float64)
    right = (results.answers == results.truth).astype(np.float64)
    # A bin holds its upper edge: (0, 1/15], (1/15, 2/15], …
    bins = np.clip(np.ceil(scores * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
    gaps = np.bincount(bins, weights=right - scores, minlength=N_BINS)
    return float(np.abs(gaps).sum() / len(scores))


def bootstrap_interval(
    results: Results, statistic: Statistic, seed: int = 0
) -> tuple[float, float, str]:
    """95 % interval of a statistic, by resampling with replacement (percentile bootstrap).

    Parameters
    ----------
    results : Results
        All recordings are weighted alike.
    statistic : function
        `accuracy`, `uar`, `macro_f1`, or any function of confusion matrices.
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    low, high : float
        Percentiles 2.5 and 97.5 of the statistic over 1,000 resamples.
    unit : str
        What was resampled: "speakers" where at least 5 are known, else "utterances".
    """
    resamples, unit = _resampled_confusions(results, seed)
    low, high = np.quantile(statistic(resamples), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high), unit


def summarise(results: Results, seed: int = 0) -> dict[str, Any]:
    """All numbers of a report, ready for JSON.

    `uar` and `macro_f1` are means over the labels that occur in the truth. `coverage` is the
    share of recordings the model was certain of, `accuracy_certain` its accuracy on these (None
    where there are none).
    """
    confusion = confusion_matrix(results)
    resamples, unit = _resampled_confusions(results, seed)
    bounds = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    intervals = {}
    for name, statistic in STATISTICS:
        low, high = np.quantile(statistic(resamples), bounds)
        intervals[name] = {
            "low": float(low),
            "high": float(high),
            "level": LEVEL,
            "resampled": unit,
        }
    sure = results.certain
    right = results.answers == results.truth
    return {
        "n": len(results.files),
        **{name: float(statistic(confusion)) for name, statistic in STATISTICS},
        "per_emotion": per_emotion(results),
        "confusion": {"labels": list(results.labels), "matrix": confusion.tolist()},
        "per_speaker": per_speaker(results),
        "intervals": intervals,
        "expected_calibration_error": expected_calibration_error(results),
        "coverage": float(sure.mean()),
        "accuracy_certain": float(right[sure].mean()) if sure.any() else None,
    }


def fit_temperature(logits: ArrayLike, truth: ArrayLike) -> float:
    """Find the temperature T for which softmax(logits / T) is best calibrated.

    It minimises the negative log-likelihood of the truth by golden-section search over log T
    from 0.05 to 20, where it has one minimum (temperature scaling, Guo et al. 2017).

    Parameters
    ----------
    logits : array-like of float, shape=(n, n_labels)
        Of recordings the model was not trained on.
    truth : array-like of int, shape=(n,)
        Index of the right label.

    Returns
    -------
    temperature : float, 0.05 to 20
        Greater than 1 for a model that is too sure of itself.

    Raises
    ------
    EmovoxError
        If the shapes do not fit or a logit is not finite.
    """
    scores, labels = np.asarray(logits, dtype=np.float64), np.asarray(truth, dtype=np.int64)
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or scores.size == 0:
        raise EmovoxError(
            "expected logits of shape (n, n_labels) and truth of shape (n,), "
            f"got {scores.shape} and {labels.shape}"
        )
    if not np.isfinite(scores).all():
        raise EmovoxError("expected finite logits, got some that are NaN or infinite")
    scores = scores - scores.max(axis=1, keepdims=True)
    of_truth = scores[np.arange(len(labels)), labels]

    def loss(log_temperature: float) -> float:
        factor = np.exp(-log_temperature)
        log_sums = np.log(np.exp(scores * factor).sum(axis=1))
        return float((log_sums - of_truth * factor).mean())

    low, high = np.log(TEMPERATURES)
    return float(np.exp(_golden_section(loss, float(low), float(high))))


def _golden_section(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one minimum between `low` and `high` has it, to 1e-6."""
    shrink = (np.sqrt(5.0) - 1) / 2
    left, right = high - shrink * (high - low), low + shrink * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > 1e-6:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - shrink * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + shrink * (high - low)
            at_right = function(right)
    return (low + high) / 2


def _resampled_confusions(results: Results, seed: int) -> tuple[NDArray[np.int64], str]:
    """Confusion matrices of 1,000 resamples, shape (1000, n_labels, n_labels), and their unit."""
    random = np.random.default_rng(seed)
    n_labels = len(results.labels)
    names = _speaker_names(results)
    known = "" not in results.speakers
    if known and len(set(names)) >= MIN_SPEAKERS:
        speakers, index = np.unique(np.array(names), return_inverse=True)
        cells = results.truth * n_labels + results.answers
        counts = np.zeros((len(speakers), n_labels**2), dtype=np.int64)
        np.add.at(counts, (index, cells), 1)
        shares = np.full(len(speakers), 1 / len(speakers))
        drawn = random.multinomial(len(speakers), shares, size=N_RESAMPLES) @ counts
        return drawn.reshape(-1, n_labels, n_labels), "speakers"
    # Drawing recordings with replacement is drawing from the cells of the confusion matrix.
    confusion = confusion_matrix(results).ravel()
    n = int(confusion.sum())
    drawn = random.multinomial(n, confusion / n, size=N_RESAMPLES)
    return drawn.reshape(-1, n_labels, n_labels), "utterances"


def _speaker_names(results: Results) -> list[str]:
    several = len(set(results.corpora)) > 1
    return [
        (f"{corpus}/" if several else "") + (speaker or "unknown")
        for corpus, speaker in zip(results.corpora, results.speakers, strict=True)
    ]


def _right(confusion: NDArray[Any]) -> NDArray[Any]:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _f1(confusion: NDArray[Any]) -> Floats:
    """F1 of each label: 2 right / (times true + times answered), shape (..., n_labels)."""
    return _ratio(2 * _right(confusion), confusion.sum(axis=-1) + confusion.sum(axis=-2))


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    """Divide; 0 where the whole is 0."""
    return np.asarray(part / np.maximum(whole, 1), dtype=np.float64)


def _mean_where(values: Floats, chosen: NDArray[np.bool_]) -> Floats:
    return _ratio((values * chosen).sum(axis=-1), chosen.sum(axis=-1))
