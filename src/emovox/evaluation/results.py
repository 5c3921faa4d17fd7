"""Results: a model's answers to labelled recordings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import EmovoxError


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
        Where each recording is from; "" for an unknown speaker.
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
