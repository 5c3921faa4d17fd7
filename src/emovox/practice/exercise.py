"""Exercises: a sentence, some takes of it, and the best of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..files import read_limited
from .session import Attempt

N_TAKES = 3
_TRIES = 3  # times as many attempts as takes end an exercise, so that nobody is stuck
_MAX_BYTES = 1_000_000  # of a file of sentences
SENTENCES = (
    "I am going to the market this afternoon.",
    "The letter is lying on the kitchen table.",
    "We have been waiting here for half an hour.",
    "They painted the door of the house blue.",
    "My sister is coming to see us on Sunday.",
)
"""What is said where you give no sentences: nothing in them calls for an emotion."""


@dataclass
class Exercise:
    """One sentence and the attempts at it, until enough of them could be told."""

    sentence: str
    n_takes: int = N_TAKES
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def n_told(self) -> int:
        """Takes that count."""
        return sum(not attempt.untold for attempt in self.attempts)

    @property
    def is_over(self) -> bool:
        """Whether all takes were made, or three times as many were tried."""
        return self.n_told >= self.n_takes or len(self.attempts) >= _TRIES * self.n_takes

    @property
    def best(self) -> tuple[int, Attempt] | None:
        """The closest take and its number, counted from 1; None before the first that counts."""
        told = [attempt for attempt in self.attempts if not attempt.untold]
        numbered = [(number, take) for number, take in enumerate(told, 1)]
        return max(numbered, key=lambda one: one[1].closeness or 0.0, default=None)


@dataclass(frozen=True)
class Outcome:
    """What a session of practice came to: what a journal keeps of it."""

    target: str
    n_takes: int  # that counted
    n_untold: int
    best: tuple[float, ...]  # closeness of the best take of each sentence

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON carries it."""
        return asdict(self) | {"best": [round(one, 4) for one in self.best]}


def outcome(target: str, exercises: Sequence[Exercise]) -> Outcome:
    """Sum up a session."""
    n_all = sum(len(one.attempts) for one in exercises)
    n_told = sum(one.n_told for one in exercises)
    best = [one.best[1].closeness or 0.0 for one in exercises if one.best]
    return Outcome(target, n_told, n_all - n_told, tuple(best))


def read_sentences(path: Path) -> list[str]:
    """Read the sentences of a text file: one a line; empty lines and those after # do not count.

    Raises
    ------
    ConfigError
        If the file cannot be read as UTF-8 text, or holds no sentence.
    """
    try:
        lines = read_limited(path, _MAX_BYTES).decode("utf-8-sig").splitlines()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise ConfigError(f"{path}: expected sentences as UTF-8 text, one a line") from None
    sentences = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not sentences:
        raise ConfigError(f"{path}: expected sentences, one a line; got none")
    return sentences
