"""How a person sounded from week to week, against their own first sessions and nobody else's.

A week's value is the mean over its sessions, each counting once. Its interval is Student's t over
sessions, with the spread of the mean square successive difference of all sessions in the order of
their time (von Neumann, Kent, Bellinson & Hart 1941): a slow change does not widen that, and one
session a week is enough for it. A difference from the first sessions is a change where its interval
leaves out zero at 5 % shared by all that a table compares (Bonferroni).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise

import numpy as np

from ..errors import optional
from .records import CheckIn, Session
from .rows import PROSODY
from .totals import Totals

LEAST_S = 60.0  # seconds of speech, fewer of which tell nothing of a session
N_FIRST = 5  # sessions that are the person's usual
ERROR = 0.05  # of an interval: it is one of 95 %
SNR_APART_DB = 10.0  # a signal-to-noise ratio further off is another level of noise
SNR_CLEAN_DB = 40.0  # above it, noise makes no difference
BAND_APART = 0.25  # share by which the band of another microphone or line differs
SOUNDED = "sounded."  # before a label, the name of its share of the speech
UNCERTAIN = "uncertain"  # the share in which the model abstains

Pairs = Sequence[tuple[Session, Totals]]


@dataclass(frozen=True)
class Measured:
    """A session with its value of each measure: shares of speech 0 to 1, and prosody."""

    session: Session
    speech_s: float
    values: Mapping[str, float]

    @classmethod
    def of(cls, session: Session, totals: Totals) -> "Measured":
        """Take the values of a session's totals; a label that was never heard has a share of 0."""
        values = {}
        if totals.inferred_s:
            labels = session.labels or tuple(totals.seconds)
            values = {SOUNDED + label: totals.share(label) for label in labels}
            values[UNCERTAIN] = totals.uncertain_s / totals.inferred_s
        values |= {name: totals.means[name] for name in PROSODY if name in totals.means}
        return cls(session, totals.speech_s, values)

    @property
    def is_enough(self) -> bool:
        """Whether there is speech enough to tell anything."""
        return self.speech_s >= LEAST_S


@dataclass(frozen=True)
class Usual:
    """The person's first sessions: means of what was measured, and how they were recorded."""

    sessions: tuple[int, ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    devices: frozenset[str] = frozenset()
    models: frozenset[str | None] = frozenset()
    snr_db: float | None = None
    band_hz: float | None = None

    def apart(self, session: Session) -> tuple[str, ...]:
        """Return why a session cannot be compared: "device", "noise", "band" or "model"."""
        reasons = {
            "device": bool(session.device) and session.device not in self.devices,
            "noise": _is_noise_apart(session.conditions.snr_db, self.snr_db),
            "band": _is_band_apart(session.conditions.band_hz, self.band_hz),
            "model": session.model is not None and session.model not in self.models,
        }
        return tuple(reason for reason, holds in reasons.items() if holds)

    def alike(self, measured: Iterable[Measured], name: str) -> list[Measured]:
        """Return the sessions whose measure can be compared; a model does not matter to prosody."""
        ignored = set() if is_inferred(name) else {"model"}
        return [
            one
            for one in measured
            if name in one.values and not {*self.apart(one.session)} - ignored
        ]


@dataclass(frozen=True)
class Point:
    """A week's value of one measure, and its 95 % interval; None where that cannot be told.

    `difference` is the value less the usual one, with its own interval. `is_change` is True where
    that leaves out zero, with all that the trend compares in mind.
    """

    value: float
    low: float | None = None
    high: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    is_change: bool = False


@dataclass(frozen=True)
class Week:
    """A week of sessions, which begins on a Monday, and what the person said in it.

    `n_sessions` were counted; `n_too_little` hold less than 60 s of speech; `n_apart` were set
    aside for the reasons of `apart`, or, where all of them are such, counted and marked by
    `is_apart`. `valence` is the mean of the check-ins, which nothing else depends on.
    """

    monday: date
    n_sessions: int
    n_too_little: int
    n_apart: int
    is_apart: bool
    apart: tuple[str, ...]
    speech_s: float
    points: Mapping[str, Point]
    n_check_ins: int
    valence: float | None


@dataclass(frozen=True)
class Trend:
    """Weeks against the usual; `measures` names what they hold."""

    usual: Usual
    measures: tuple[str, ...]
    weeks: tuple[Week, ...]

    def changes(self) -> list[tuple[Week, str, Point]]:
        """Return all changes, in the order of their time."""
        return [
            (week, name, point)
            for week in self.weeks
            for name, point in week.points.items()
            if point.is_change
        ]


def trend(pairs: Pairs, check_ins: Iterable[CheckIn] = (), since: datetime | None = None) -> Trend:
    """Compare each week of a journal with the person's first sessions.

    Parameters
    ----------
    pairs : sequence of (Session, Totals)
        In the order of their time, as `Journal.sessions_with_totals` returns them.
    check_ins : iterable of CheckIn
    since : datetime, optional
        Leave out what was before; the first sessions are counted from then.
    """
    if since:
        pairs = [pair for pair in pairs if pair[0].began >= since]
        check_ins = [check_in for check_in in check_ins if check_in.at >= since]
    measured = [Measured.of(*pair) for pair in pairs]
    enough = [one for one in measured if one.is_enough]
    usual = usual_of(enough[:N_FIRST])
    weeks: dict[date, list[Measured]] = defaultdict(list)
    for one in measured:
        weeks[_monday(one.session.began)].append(one)
    said: dict[date, list[float]] = defaultdict(list)
    for check_in in check_ins:
        said[_monday(check_in.at)].append(check_in.valence)
    names = names_of(enough)
    intervals = Intervals.of(enough, usual, names, len(weeks))
    return Trend(
        usual,
        tuple(names),
        tuple(
            _week(monday, weeks[monday], said[monday], usual, intervals)
            for monday in sorted({*weeks, *said})
        ),
    )


def usual_of(first: Sequence[Measured]) -> Usual:
    """Return what the first sessions of a person come to."""
    if not first:
        return Usual()
    sessions = [one.session for one in first]
    snrs = [one.conditions.snr_db for one in sessions if one.conditions.snr_db is not None]
    bands = [one.conditions.band_hz for one in sessions if one.conditions.band_hz is not None]
    return Usual(
        tuple(session.id for session in sessions),
        {name: _mean(first, name) for name in names_of(first)},
        frozenset(session.device for session in sessions),
        frozenset(session.model for session in sessions),
        float(np.median(snrs)) if snrs else None,
        float(np.median(bands)) if bands else None,
    )


def names_of(measured: Iterable[Measured]) -> list[str]:
    """Return the measures of sessions: labels, the share of uncertain, prosody."""
    return sorted({name for one in measured for name in one.values}, key=_place)


def is_share(name: str) -> bool:
    """Tell whether a measure goes from 0 to 1."""
    return name.startswith(SOUNDED) or name == UNCERTAIN or name.endswith("_share")


def is_inferred(name: str) -> bool:
    """Tell whether a measure comes from a model."""
    return name.startswith(SOUNDED) or name == UNCERTAIN


@dataclass(frozen=True)
class Intervals:
    """The spread of each measure from session to session, and the quantiles that go with it."""

    spreads: Mapping[str, tuple[float, float]]  # standard deviation and degrees of freedom
    n_compared: int  # differences that share the error of a change

    @classmethod
    def of(
        cls, enough: Sequence[Measured], usual: Usual, names: Sequence[str], n_weeks: int = 1
    ) -> "Intervals":
        """Measure the spreads over the sessions that can be compared with the usual."""
        spreads = {}
        for name in names:
            values = [one.values[name] for one in usual.alike(enough, name)]
            if len(values) > 2:
                squares = [(after - before) ** 2 for before, after in pairwise(values)]
                # The efficiency of the estimator is two thirds (von Neumann et al.).
                spreads[name] = (float(np.mean(squares) / 2) ** 0.5, 2 / 3 * (len(values) - 1))
        return cls(spreads, max(1, n_weeks * len(names)))

    def half(self, name: str, *numbers: int, n_compared: int = 1) -> float | None:
        """Return half the width of an interval: of a mean, or of a difference of two.

        `numbers` are those of the sessions in each; None where the spread is not known.
        """
        with optional("journal"):
            from scipy.special import stdtrit

        if name not in self.spreads or not all(numbers):
            return None
        spread, freedom = self.spreads[name]
        quantile = float(stdtrit(freedom, 1 - ERROR / 2 / n_compared))
        return float(quantile * spread * sum(1 / number for number in numbers) ** 0.5)


def _week(
    monday: date,
    measured: Sequence[Measured],
    said: Sequence[float],
    usual: Usual,
    intervals: Intervals,
) -> Week:
    enough = [one for one in measured if one.is_enough]
    apart = {one.session.id: usual.apart(one.session) for one in enough}
    alike = [one for one in enough if not apart[one.session.id]]
    counted = alike or enough
    return Week(
        monday,
        len(counted),
        len(measured) - len(enough),
        len(enough) - len(alike),
        bool(enough) and not alike,
        tuple(sorted({reason for reasons in apart.values() for reason in reasons})),
        round(sum(one.speech_s for one in counted), 1),
        {name: _point(name, enough, usual, intervals) for name in names_of(enough)},
        len(said),
        float(np.mean(said)) if said else None,
    )


def _point(name: str, enough: Sequence[Measured], usual: Usual, intervals: Intervals) -> Point:
    """Return a week's value over the sessions like the usual; where none is, over all."""
    alike = usual.alike(enough, name)
    counted = alike or [one for one in enough if name in one.values]
    value = _mean(counted, name)
    low, high = _clipped(name, value, intervals.half(name, len(counted)))
    is_usual = any(one.session.id in usual.sessions for one in enough)
    if not alike or is_usual or name not in usual.values:
        return Point(value, low, high)
    n_usual, difference = len(usual.sessions), value - usual.values[name]
    margin = intervals.half(name, len(alike), n_usual)
    wide = intervals.half(name, len(alike), n_usual, n_compared=intervals.n_compared)
    if margin is None or wide is None:
        return Point(value, low, high, difference)
    is_change = abs(difference) > wide > 0
    return Point(value, low, high, difference, difference - margin, difference + margin, is_change)


def _mean(measured: Sequence[Measured], name: str) -> float:
    """Return the mean of a measure over the sessions that have it, each counting once."""
    return float(np.mean([one.values[name] for one in measured if name in one.values]))


def _clipped(name: str, value: float, half: float | None) -> tuple[float | None, float | None]:
    if half is None:
        return None, None
    if is_share(name):
        return max(0.0, value - half), min(1.0, value + half)
    return value - half, value + half


def _is_noise_apart(snr_db: float | None, usual: float | None) -> bool:
    if snr_db is None or usual is None:
        return False
    return abs(min(snr_db, SNR_CLEAN_DB) - min(usual, SNR_CLEAN_DB)) > SNR_APART_DB


def _is_band_apart(band_hz: float | None, usual: float | None) -> bool:
    if band_hz is None or usual is None:
        return False
    return abs(band_hz - usual) > BAND_APART * max(band_hz, usual)


def _place(name: str) -> tuple[int, str]:
    """Put labels first, then the share of uncertain, then prosody in its order."""
    if name.startswith(SOUNDED):
        return 0, name
    return (1, name) if name == UNCERTAIN else (2 + PROSODY.index(name), name)


def _monday(moment: datetime) -> date:
    """Return the Monday of a time's week, on the clock of the place where it was."""
    return moment.date() - timedelta(days=moment.weekday())
