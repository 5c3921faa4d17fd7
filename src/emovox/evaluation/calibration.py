"""Scores: how well they are calibrated, and the gain of abstaining by them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .results import Results

N_BINS = 15  # of the calibration error, as in Guo et al. 2017
COVERAGES = range(100, 15, -5)  # percent of the recordings that are answered
TEMPERATURES = (0.05, 20.0)  # range of the search

Floats = NDArray[np.float64]


def reliability(results: Results) -> list[dict[str, float | int | None]]:
    """Compare score and accuracy, bin by bin, as a reliability diagram does.

    Returns
    -------
    bins : list of dict, length 15
        Of equal width, the lowest first. Each holds `low` and `high`, its bounds (a score of
        `high` belongs to it, one of `low` does not); `n`, how many answers have such a score;
        and their mean `score` and `accuracy`, None where there are none.
    """
    counts, scores, right = _bin_sums(results)
    return [
        {
            "low": i / N_BINS,
            "high": (i + 1) / N_BINS,
            "n": int(counts[i]),
            "score": float(scores[i] / counts[i]) if counts[i] else None,
            "accuracy": float(right[i] / counts[i]) if counts[i] else None,
        }
        for i in range(N_BINS)
    ]


def expected_calibration_error(results: Results) -> float:
    """How far the scores are from the share of right answers, on average, 0 to 1.

    The answers are put in 15 bins of equal width by their score; the difference between mean
    score and accuracy of each bin is weighted by its size (Guo et al. 2017, "On Calibration of
    Modern Neural Networks", equation 3).
    """
    counts, scores, right = _bin_sums(results)
    return float(np.abs(right - scores).sum() / counts.sum())


def coverage_curve(results: Results) -> list[dict[str, float]]:
    """Accuracy where only the answers with the highest scores are given, the others withheld.

    Of answers with one score none is surer than another: where some of them are withheld, any may
    be, and the accuracy is the expected one. So the order of the recordings does not
    matter.

    Returns
    -------
    points : list of dict, length 17
        `coverage`, the share answered, rounded up to whole recordings: 1, 0.95, … 0.2; and the
        `accuracy` of these answers. At 1 it is the accuracy of all.
    """
    right = (results.answers == results.truth).astype(np.float64)
    _, groups = np.unique(-results.scores, return_inverse=True)  # the highest score first
    n_given = np.concatenate([[0], np.bincount(groups).cumsum()])
    n_right = np.concatenate([[0.0], np.bincount(groups, weights=right).cumsum()])
    points = []
    for percent in COVERAGES:
        n = -(-percent * len(right) // 100)
        accuracy = np.interp(n, n_given, n_right) / n
        points.append({"coverage": percent / 100, "accuracy": float(accuracy)})
    return points


def fit_temperature(logits: ArrayLike, truth: ArrayLike) -> float:
    """Find the temperature T of the best calibrated softmax(logits / T).

    It minimises the negative log-likelihood of the truth over log T from 0.05 to 20, where it has
    one minimum (temperature scaling, Guo et al. 2017).

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
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    scores, labels = np.asarray(logits, dtype=np.float64), np.asarray(truth)

    def loss(log_temperature: float) -> float:
        chances = log_softmax(scores * np.exp(-log_temperature), axis=1)
        return float(-chances[np.arange(len(labels)), labels].mean())

    bounds = np.log(TEMPERATURES)
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def fit_threshold(logits: ArrayLike, temperature: float, coverage: float) -> float:
    """Find the score that a share of the answers reach.

    Parameters
    ----------
    logits : array-like of float, shape=(n, n_labels)
    temperature : float
    coverage : float, 0 to 1
        The share.

    Returns
    -------
    threshold : float, 0 to 1
    """
    from scipy.special import softmax

    scores = softmax(np.asarray(logits) / temperature, axis=1).max(axis=1)
    return round(float(np.quantile(scores, 1.0 - coverage)), 4)


def _bin_sums(results: Results) -> Floats:
    """Count each bin's answers, sum their scores, count the right ones: shape (3, n_bins)."""
    scores = results.scores.astype(np.float64)
    right = (results.answers == results.truth).astype(np.float64)
    # A bin holds its upper edge: (0, 1/15], (1/15, 2/15], …
    bins = np.clip(np.ceil(scores * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
    weights = (np.ones_like(scores), scores, right)
    sums = [np.bincount(bins, weights=weight, minlength=N_BINS) for weight in weights]
    return np.array(sums, dtype=np.float64)
