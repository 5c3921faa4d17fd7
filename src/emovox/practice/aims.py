"""Aims of an exercise: an emotion, by what people change for it; a loudness; a pitch."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from ..emotions import canonical
from ..errors import ConfigError
from .changes import DIMENSIONS

AGREED = 0.8  # share of speakers that change a dimension one way, for it to count
CLEAR = 0.6  # of the spread of takes, that their change is at least: three in four go that way
_TABLE = "changes.json"
_TOLERANCE = {"loudness": 2.0, "pitch": 1.0}  # dB and semitones on both sides of an exact aim
_LARGEST = {"loudness": 20.0, "pitch": 12.0}  # that can be asked for
_DIRECTIONS = {"up": 3.0, "down": -3.0}  # semitones


@dataclass(frozen=True)
class Change:
    """What people change in one dimension for an emotion, in the dimension's unit.

    `by` is the median over speakers; `spread` the standard deviation between speakers, and
    `take_spread` that of single takes; `agree` is the share of speakers who change it in the
    direction of `by`.
    """

    by: float
    spread: float
    take_spread: float
    agree: float
    n_speakers: int


@dataclass(frozen=True)
class Wanted:
    """A change that is aimed at: `low` to `high` count as reached, in the dimension's unit.

    `by` is the middle of it. The bounds farther from 0 than `by` may be infinite: more is no
    fault. `spread` is what shortfalls are measured by.
    """

    by: float
    low: float
    high: float
    spread: float

    def reached(self, change: float) -> float:
        """Return how far a change goes: 1 within the bounds, 0 at none and at twice too much."""
        if self.low <= change <= self.high:
            return 1.0
        near = self.low if self.by > 0 else self.high
        far = self.high if self.by > 0 else self.low
        too_much = change > self.high if self.by > 0 else change < self.low
        share = 1 - abs(change - far) / abs(self.by) if too_much else change / near
        return min(1.0, max(0.0, share))

    def missing(self, change: float) -> float:
        """Return by how much a change has to be greater (or smaller, below 0) to be `by`.

        0 within the bounds.
        """
        return 0.0 if self.low <= change <= self.high else self.by - change


@dataclass(frozen=True)
class Aim:
    """What a take is to change, by dimension; `emotion` is None for loudness and pitch alone."""

    name: str
    wanted: Mapping[str, Wanted]
    emotion: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the aim as JSON carries it; no bound is null."""
        wanted = {
            name: {
                key: value if math.isfinite(value) else None for key, value in asdict(one).items()
            }
            for name, one in self.wanted.items()
        }
        return {"target": self.name, "emotion": self.emotion, "wanted": wanted}


def emotion_aim(word: str, table: "Mapping[str, Mapping[str, Change]] | None" = None) -> Aim:
    """Return the aim of sounding like an emotion: what people agree in changing for it.

    Parameters
    ----------
    word : str
        An emotion, or another word for it.
    table : mapping, optional
        What people change, by emotion and dimension; the shipped one if not given.

    Raises
    ------
    ConfigError
        If the table knows no such emotion. One for which people agree in nothing has an aim in
        which nothing is wanted.
    """
    table = known_changes() if table is None else table
    emotion = canonical(word)
    if emotion is None or emotion not in table:
        raise ConfigError(f"expected a target of {', '.join(table)}; got {word!r}")
    wanted = {
        name: _typical(change)
        for name, change in table[emotion].items()
        if _is_agreed(change) and abs(change.by) >= DIMENSIONS[name].step
    }
    return Aim(emotion, MappingProxyType(wanted), emotion)


def loudness_aim(text: str) -> Aim:
    """Return the aim of a loudness: "6dB" is 6 dB louder than usual, "-6dB" softer.

    Raises
    ------
    ConfigError
        If it is no number of decibels, or out of range.
    """
    return _exact("loudness", "dB", text, text)


def pitch_aim(text: str) -> Aim:
    """Return the aim of a pitch: "up" and "down" are 3 semitones, "+2st" is two.

    Raises
    ------
    ConfigError
        If it is none of these, or out of range.
    """
    direction = _DIRECTIONS.get(text.strip().lower())
    return _exact("pitch", "st", text, text if direction is None else f"{direction}st")


def known_changes() -> dict[str, dict[str, Change]]:
    """Return the shipped table of what people change, by emotion and dimension."""
    text = (files(__package__) / _TABLE).read_text(encoding="utf-8")
    return {
        emotion: {name: Change(**change) for name, change in changed.items()}
        for emotion, changed in json.loads(text)["emotions"].items()
    }


def _is_agreed(change: Change) -> bool:
    """Whether people agree in a change, and it is greater than takes differ by themselves."""
    return change.agree >= AGREED and abs(change.by) >= CLEAR * change.take_spread


def _typical(change: Change) -> Wanted:
    """Aim at what the median speaker does; more is no fault."""
    bounds = (change.by, math.inf) if change.by > 0 else (-math.inf, change.by)
    return Wanted(change.by, *bounds, change.take_spread)


def _exact(name: str, unit: str, given: str, text: str) -> Aim:
    """Aim at a change of one dimension, within a tolerance."""
    match = re.fullmatch(rf"([+-]?\d+(?:\.\d+)?)\s*{unit}", text.strip(), re.IGNORECASE)
    by, largest, tolerance = float(match[1]) if match else 0.0, _LARGEST[name], _TOLERANCE[name]
    if not tolerance < abs(by) <= largest:
        raise ConfigError(
            f"expected a {name} of more than {tolerance:g} and at most {largest:g} {unit} above or "
            f"below your usual, such as +3{unit}; got {given!r}"
        )
    wanted = Wanted(by, by - tolerance, by + tolerance, tolerance)
    return Aim(f"{name} {by:+g} {unit}", MappingProxyType({name: wanted}))
