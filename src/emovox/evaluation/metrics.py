"""Numbers: how well answers agree with the truth, and how sure one can be of that."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .calibration import coverage_curve, expected_calibration_error, reliability
from .results import Results

LEVEL = 0.95  # of the intervals
N_RESAMPLES = 1_000
MIN_SPEAKERS = 5  # with fewer, resampling speakers says nothing, and utterances are resampled

Floats = NDArray[np.float64]
Statistic = Callable[[NDArray[Any]], Floats]
"""A function of confusion matrices, shape (..., n_labels, n_labels) to (...)."""


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

    Undefined values (the recall of a label without recordings, the precision of one never
    answered) are 0.
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

    With more than one corpus a speaker is named `corpus/speaker`; an unknown one is "unknown".
    """
    return {
        name: {
            "n": int(confusion.sum()),
            "uar": float(uar(confusion)),
            "accuracy": float(accuracy(confusion)),
        }
        for name, confusion in zip(*_speaker_confusions(results), strict=True)
    }


def bootstrap_interval(
    results: Results, statistic: Statistic, seed: int = 0
) -> dict[str, float | str]:
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
    interval : dict
        `low` and `high`, percentiles 2.5 and 97.5 of the statistic over 1,000 resamples; `level`,
        0.95; `resampled`, "speakers" where at least 5 are known, else "utterances".
    """
    resamples, unit = _resampled_confusions(results, seed)
    low, high = np.quantile(statistic(resamples), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"low": float(low), "high": float(high), "level": LEVEL, "resampled": unit}


def summarise(results: Results, seed: int = 0) -> dict[str, Any]:
    """All numbers of a report, ready for JSON.

    `uar` and `macro_f1` are means over the labels that occur in the truth. `coverage` is the
    share of recordings the model was certain of, `accuracy_certain` its accuracy on these (None
    where there are none); `accuracy_at_80` the point of `coverage_curve` at 80 %.
    """
    confusion = confusion_matrix(results)
    curve = coverage_curve(results)
    sure = results.certain
    right = results.answers == results.truth
    return {
        "n": len(results.files),
        **{name: float(statistic(confusion)) for name, statistic in STATISTICS},
        "per_emotion": per_emotion(results),
        "confusion": {"labels": list(results.labels), "matrix": confusion.tolist()},
        "per_speaker": per_speaker(results),
        "intervals": {
            name: bootstrap_interval(results, statistic, seed) for name, statistic in STATISTICS
        },
        "expected_calibration_error": expected_calibration_error(results),
        "reliability": reliability(results),
        "coverage": float(sure.mean()),
        "accuracy_certain": float(right[sure].mean()) if sure.any() else None,
        "coverage_curve": curve,
        "accuracy_at_80": next(p["accuracy"] for p in curve if p["coverage"] == 0.8),
    }


def _resampled_confusions(results: Results, seed: int) -> tuple[NDArray[np.int64], str]:
    """Confusion matrices of 1,000 resamples, shape (1000, n_labels, n_labels), and their unit."""
    random = np.random.default_rng(seed)
    speakers, counts = _speaker_confusions(results)
    if "" not in results.speakers and len(speakers) >= MIN_SPEAKERS:
        shares = np.full(len(speakers), 1 / len(speakers))
        drawn = random.multinomial(len(speakers), shares, size=N_RESAMPLES)
        return np.tensordot(drawn, counts, axes=1), "speakers"
    # Drawing recordings with replacement is drawing from the cells of the confusion matrix.
    confusion, n = confusion_matrix(results), len(results.files)
    drawn = random.multinomial(n, confusion.ravel() / n, size=N_RESAMPLES)
    return drawn.reshape(-1, *confusion.shape), "utterances"


def _speaker_confusions(results: Results) -> tuple[list[str], NDArray[np.int64]]:
    """Return the speakers' names, sorted, and the confusion matrix of each."""
    several = len(set(results.corpora)) > 1
    names = [
        (f"{corpus}/" if several else "") + (speaker or "unknown")
        for corpus, speaker in zip(results.corpora, results.speakers, strict=True)
    ]
    speakers, index = np.unique(names, return_inverse=True)
    n_labels = len(results.labels)
    counts = np.zeros((len(speakers), n_labels, n_labels), dtype=np.int64)
    np.add.at(counts, (index, results.truth, results.answers), 1)
    return speakers.tolist(), counts


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
