"""How close a take came to an aim, and the one hint that it gets."""

from collections.abc import Mapping
from dataclasses import dataclass

from .aims import Aim
from .changes import DIMENSIONS

_ROUNDED = {"tempo": 5, "pauses": 5}  # percent that amounts are rounded to in words; else 1


@dataclass(frozen=True)
class Hint:
    """What to change, by how much: `by` in the unit of the dimension, below 0 for less of it."""

    dimension: str
    by: float
    unit: str
    text: str


def closeness(changes: Mapping[str, float | None], aim: Aim) -> float | None:
    """Return how close a take came to the aim: 0 as the person's usual voice, 1 all the way.

    In each dimension that the aim names, how much of its change the take made, from 0 to 1; the
    mean of these, weighted by how many of its spreads the change is. None where nothing that the
    aim names could be measured.
    """
    shares = [
        (wanted.reached(change), abs(wanted.by) / wanted.spread)
        for name, wanted in aim.wanted.items()
        if (change := changes.get(name)) is not None
    ]
    weight = sum(weight for _, weight in shares)
    return sum(share * weight for share, weight in shares) / weight if shares else None


def blended(measured: float | None, score: float) -> float:
    """Return how close a take came by both: the mean of what was measured and the model's score.

    The mean tells takes of an emotion from neutral ones better than either
    (docs/experiments.md). The score alone where nothing could be measured.
    """
    return score if measured is None else (measured + score) / 2


def hint(changes: Mapping[str, float | None], aim: Aim) -> Hint | None:
    """Return the hint for a take: the dimension in which most of its spreads are missing.

    None where nothing is missing that would be noticed.
    """
    missing = {
        name: (amount, abs(amount) / wanted.spread)
        for name, wanted in aim.wanted.items()
        if (change := changes.get(name)) is not None
        and abs(amount := wanted.missing(change)) >= DIMENSIONS[name].step
    }
    if not missing:
        return None
    name = max(missing, key=lambda one: missing[one][1])
    return _hint(name, missing[name][0])


def _hint(name: str, by: float) -> Hint:
    dimension = DIMENSIONS[name]
    words = dimension.more if by > 0 else dimension.less
    step = _ROUNDED.get(name, 1)
    amount = max(1, round(abs(by) / step)) * step
    return Hint(name, round(by, 2), dimension.unit, f"{words}, by about {amount} {dimension.unit}")
