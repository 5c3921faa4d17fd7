"""Clusters: which stretches of speech are of one speaker."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .voiceprints import Vectors, unit

MAX_SPEAKERS = 10
# Cosine of two speakers' mean voiceprints, above which they are taken for one: where there would be
# two speakers, and where there would be more, since then the most alike of many pairs is judged.
MAX_ALIKE, MAX_ALIKE_OF_MANY = 0.55, 0.4
LEAST_SPEAKER_S = 6.0  # of speech, that a speaker who is counted has at least
_MAX_CLUSTERED = 800  # stretches: memory grows with its square
_N_PASSES = 10  # of k-means, behind the merging
Index = NDArray[np.int64]


def cluster(vectors: Vectors, seconds: NDArray[np.float64], n_speakers: int | None) -> Index:
    """Return which speaker each stretch of speech is of, counted from 0.

    Stretches are merged, two clusters at a time, by the least growth of the squared distances
    from the clusters' means, each stretch counted by its seconds (Ward 1963), and then each goes to
    the nearest mean, over and over. Of many stretches only the longest are merged.

    Parameters
    ----------
    vectors : ndarray of float32, shape=(n_stretches, n_dimensions)
        Mean voiceprints of the stretches.
    seconds : ndarray of float64, shape=(n_stretches,)
        Of speech in each.
    n_speakers : int or None
        None: as many as are unlike each other, 10 at most.

    Returns
    -------
    speakers : ndarray of int64, shape=(n_stretches,)
    """
    longest = np.sort(np.argsort(-seconds, kind="stable")[:_MAX_CLUSTERED])
    merges = _merges(vectors[longest], seconds[longest])
    if n_speakers is not None:
        return _nearest(vectors, seconds, longest, _cut(merges, n_speakers))
    found = np.zeros(len(vectors), np.int64)
    for n in range(2, min(MAX_SPEAKERS, len(longest)) + 1):
        speakers = _nearest(vectors, seconds, longest, _cut(merges, n))
        if not _are_unlike(vectors, seconds, speakers):
            return found
        found = speakers
    return found


def means_of(vectors: Vectors, seconds: NDArray[np.float64], speakers: Index) -> Vectors:
    """Return the mean voiceprint of each speaker, shape (n_speakers, n_dimensions)."""
    shares = np.eye(int(speakers.max()) + 1)[speakers] * seconds[:, None]
    means: Vectors = (shares.T @ vectors / shares.sum(0)[:, None]).astype(np.float32)
    return means


def _are_unlike(vectors: Vectors, seconds: NDArray[np.float64], speakers: Index) -> bool:
    """Tell whether all clusters are speakers of their own."""
    heard_s = np.bincount(speakers, seconds)
    means = unit(means_of(vectors, seconds, speakers))
    alike = means @ means.T - 2 * np.eye(len(means))
    most = MAX_ALIKE if len(means) == 2 else MAX_ALIKE_OF_MANY
    return bool(alike.max() <= most and heard_s.min() >= LEAST_SPEAKER_S)


def _nearest(
    vectors: Vectors, seconds: NDArray[np.float64], longest: Index, clusters: Index
) -> Index:
    """Give every stretch to the nearest mean, and move the means, over and over."""
    means = means_of(vectors[longest], seconds[longest], clusters)
    speakers = _closest(vectors, means)
    for _ in range(_N_PASSES):
        if len(np.unique(speakers)) < len(means):  # one has lost all of its stretches
            return _closest(vectors, means_of(vectors[longest], seconds[longest], clusters))
        means = means_of(vectors, seconds, speakers)
        moved = _closest(vectors, means)
        if (moved == speakers).all():
            break
        speakers = moved
    return np.unique(speakers, return_inverse=True)[1].astype(np.int64)


def _closest(vectors: Vectors, means: Vectors) -> Index:
    distances = (means**2).sum(1) - 2 * vectors @ means.T
    nearest: Index = distances.argmin(1)
    return nearest


def _merges(vectors: Vectors, seconds: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return which clusters are merged, one pair after the other: the second into the first."""
    means, weights = vectors.astype(np.float64), seconds.astype(np.float64)
    squares = (means**2).sum(1)
    distances = squares[:, None] + squares[None, :] - 2 * means @ means.T
    costs = distances * weights[:, None] * weights[None, :] / (weights[:, None] + weights[None, :])
    np.fill_diagonal(costs, np.inf)
    merges = []
    for _ in range(len(means) - 1):
        one, other = sorted(divmod(int(costs.argmin()), len(means)))
        merges.append((one, other))
        total = weights[one] + weights[other]
        means[one] = (weights[one] * means[one] + weights[other] * means[other]) / total
        weights[one] = total
        apart = ((means - means[one]) ** 2).sum(1) * weights * total / (weights + total)
        gone = np.isinf(costs[one])
        apart[gone] = np.inf
        apart[[one, other]] = np.inf
        costs[one], costs[:, one] = apart, apart
        costs[other], costs[:, other] = np.inf, np.inf
    return merges


def _cut(merges: list[tuple[int, int]], n_clusters: int) -> Index:
    """Return the cluster of each stretch when only so many are left."""
    parents: Any = list(range(len(merges) + 1))
    for one, other in merges[: max(0, len(merges) + 1 - n_clusters)]:
        parents[other] = one

    def root(index: int) -> int:
        while parents[index] != index:
            index = parents[index]
        return index

    roots = [root(index) for index in range(len(parents))]
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)
