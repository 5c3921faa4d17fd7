"""Diarisation error rate: how much of a conversation is given to the wrong speaker, or missed."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import permutations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

STEP_S = 0.01
Flags = NDArray[np.bool_]


class Span(Protocol):
    """A stretch in which one speaker speaks."""

    start: float
    end: float
    speaker: str


@dataclass(frozen=True)
class Errors:
    """Seconds of speech missed, heard where there is none, given to another; and of all speech.

    Each second counts as often as there are speakers in it.
    """

    missed: float
    false: float
    confused: float
    speech: float

    def __add__(self, other: "Errors") -> "Errors":
        return Errors(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def rate(self) -> float:
        """The diarisation error rate."""
        return (self.missed + self.false + self.confused) / self.speech


def errors_of(truth: Sequence[Span], found: Sequence[Span], collar_s: float = 0.0) -> Errors:
    """Compare turns with the truth, as NIST does: with the best match of speakers, overlap counted.

    `collar_s` seconds before and behind each beginning and end in the truth do not count.
    """
    n_steps = round(max((one.end for one in (*truth, *found)), default=0.0) / STEP_S) + 1
    true, guessed = _activity(truth, n_steps), _activity(found, n_steps)
    counted = np.ones(n_steps, np.bool_)
    n_collar = round(collar_s / STEP_S)
    for speaker in true if n_collar else ():
        for edge in np.flatnonzero(np.diff(speaker.astype(int))) + 1:
            counted[max(0, edge - n_collar) : edge + n_collar] = False
    true, guessed = true[:, counted], guessed[:, counted]
    n_true, n_guessed = true.sum(0), guessed.sum(0)
    right = _best_match(true.astype(float) @ guessed.T.astype(float))
    seconds = (
        np.maximum(n_true - n_guessed, 0).sum(),
        np.maximum(n_guessed - n_true, 0).sum(),
        np.minimum(n_true, n_guessed).sum() - right,
        n_true.sum(),
    )
    return Errors(*(float(one) * STEP_S for one in seconds))


def _activity(spans: Sequence[Span], n_steps: int) -> Flags:
    """Return when each speaker speaks, shape (n_speakers, n_steps)."""
    speakers = sorted({one.speaker for one in spans})
    active = np.zeros((len(speakers), n_steps), np.bool_)
    for one in spans:
        first, end = round(one.start / STEP_S), round(one.end / STEP_S)
        active[speakers.index(one.speaker), first:end] = True
    return active


def _best_match(shared: NDArray[np.float64]) -> float:
    """Return the time that the best match of true and found speakers, at most 10, has in common."""
    if shared.shape[0] > shared.shape[1]:
        shared = shared.T
    rows = range(len(shared))
    return max(
        (
            float(shared[rows, list(columns)].sum())
            for columns in permutations(range(shared.shape[1]), len(shared))
        ),
        default=0.0,
    )
