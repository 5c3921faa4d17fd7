"""What practice tells, in words."""

import math
from collections.abc import Iterator, Mapping

from ..errors import counted
from ..prediction import Prediction
from ..prosody import Prosody
from .aims import Aim, Wanted
from .changes import DIMENSIONS
from .exercise import Exercise, Outcome
from .session import Attempt


def aim_words(aim: Aim) -> str:
    """Return what an aim asks for."""
    parts = [f"{name} {_bound(one, DIMENSIONS[name].unit)}" for name, one in aim.wanted.items()]
    if not parts:
        return (
            f"{aim.name}: people differ in how they do it, so only the model judges, without hints"
        )
    return f"{aim.name}: {', '.join(parts)}, compared with your usual voice"


def usual_words(usual: Prosody) -> str:
    """Return what was measured of a usual voice."""
    rate = "" if usual.rate_hz is None else f", {usual.rate_hz:.1f} syllables a second"
    return f"pitch {usual.pitch_hz:.0f} Hz, {usual.level_db:.0f} dB{rate}"


def attempt_lines(attempt: Attempt, exercise: Exercise, name: str = "") -> Iterator[str]:
    """Yield the lines that tell an attempt, the exercise's latest."""
    where = f"{name}: " if name else ""
    if attempt.untold:
        yield f"{where}not counted: {attempt.untold}"
    else:
        close = "" if attempt.closeness is None else f"{attempt.closeness:.0%}"
        yield f"{where}take {exercise.n_told} of {exercise.n_takes}: {close}"
    if attempt.changes is not None:
        heard = f"; {_heard(attempt.prediction)}" if attempt.prediction else ""
        yield f"  {_changed(attempt.changes)}{heard}"
    if attempt.hint:
        yield f"  hint: {attempt.hint.text}"


def outcome_words(done: Outcome) -> str:
    """Return what a session came to."""
    best = ", ".join(f"{one:.0%}" for one in done.best) or "none"
    untold = f", {done.n_untold} not counted" if done.n_untold else ""
    return f"{counted(done.n_takes, 'take')} counted{untold}; best of each sentence: {best}"


def _bound(wanted: Wanted, unit: str) -> str:
    """Return the bounds of what is wanted, such as "+5 dB or more"."""
    if math.isinf(wanted.high):
        return f"{wanted.low:+.0f} {unit} or more"
    if math.isinf(wanted.low):
        return f"{wanted.high:+.0f} {unit} or less"
    return f"{wanted.low:+g} to {wanted.high:+g} {unit}"


def _changed(changes: Mapping[str, float | None]) -> str:
    told = [
        f"{name} {change:+.{0 if unit.startswith('%') else 1}f} {unit}"
        for name, change in changes.items()
        if change is not None and (unit := DIMENSIONS[name].unit)
    ]
    return ", ".join(told)


def _heard(prediction: Prediction) -> str:
    if prediction.certain:
        return f"sounded {prediction.label}, {prediction.score:.0%}"
    return f"emotion uncertain (perhaps {prediction.label}, {prediction.score:.0%})"
