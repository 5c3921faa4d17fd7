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

    """

    labels: tuple[str, ...]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    files: tuple[str, ...]
    speakers: tuple[str, ...]
    corpora: tuple[str, ...]
    certain: NDArray[np.bool_]

    @property
    def answers(self) -> NDArray[np.int64]:
        """The label with the highest score, as index, shape (n,)."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @property
    def scores(self) -> NDArray[np.float32]:
        """The score of the answer, shape (n,)."""
        return np.asarray(self.probabilities.max(axis=1), dtype=np.float32)


def concatenate(parts: Sequence[Results]) -> Results:
    """Put results of one set of labels together, in the order given.

    Raises
    ------
    EmovoxError
        If their labels differ.
    """
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
