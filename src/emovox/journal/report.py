"""A page on a session, or on two, that can be printed and holds all that it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..evaluation.report import embedded, render
from ..figures import Stretch, session, sessions_beside
from ..files import write_text
from ..tracks import timestamp
from .comparison import Comparison
from .records import CONSENT, Segment, Session
from .totals import totals_of
from .trend import LEAST_S, Measured, is_inferred
from .words import cautions, label_of, name_of, value_text

MAX_TURNS = 10  # turning points that a person reads
_MAX_PERIODS = 20  # rows of the table of a session's course
_PERIODS_S = (10, 30, 60, 120, 300, 600, 1800, 3600)  # seconds of such a row


@dataclass(frozen=True)
class Turn:
    """Where a segment sounds unlike the certain one before it; `score` is the lower of both."""

    at: float
    before: str
    after: str
    score: float


def strongest_turns(segments: Sequence[Segment], n_most: int = MAX_TURNS) -> list[Turn]:
    """Return the turning points between the segments of which the model is surest, in order."""
    certain = [(one.start, one.inferred) for one in segments if one.inferred]
    sure = [(start, inferred) for start, inferred in certain if inferred.certain]
    turns = [
        Turn(start, before.label, after.label, min(before.score, after.score))
        for (_, before), (start, after) in pairwise(sure)
        if before.label != after.label
    ]
    strongest = sorted(turns, key=lambda turn: -turn.score)[:n_most]
    return sorted(strongest, key=lambda turn: turn.at)


def write_session(path: Path, of: Session, segments: Sequence[Segment]) -> None:
    """Write the report of a session.

    Raises
    ------
    OSError
        If it cannot be written.
    MissingExtraError
        If matplotlib or jinja2 is not installed.
    """
    totals = totals_of(segments)
    measured = Measured.of(of, totals)
    seconds = max(of.conditions.seconds, segments[-1].end if segments else 0.0, 1.0)
    stretches = [_stretch(one) for one in segments]
    picture = embedded(
        "session",
        f"The session along its time: {totals.n_segments} segments, with pitch and level. The "
        "tables below hold the same.",
        partial(session, stretches, seconds),
    )
    page = {
        "title": f"Session {of.id}, {of.began:%Y-%m-%d %H:%M}",
        "session": of,
        "lead": _lead(of, measured),
        "values": _values(measured),
        "picture": picture if segments else None,
        "turns": [(timestamp(turn.at), turn) for turn in strongest_turns(segments)],
        "periods": _periods(segments, seconds),
        "consent": CONSENT,
    }
    write_text(path, render("journal.html", page), private=True)


def _stretch(one: Segment) -> Stretch:
    label, certain = (one.inferred.label, one.inferred.certain) if one.inferred else ("", True)
    return Stretch(one.start, one.end, label, certain, one.prosody.pitch_st, one.prosody.level_db)


def _lead(of: Session, measured: Measured) -> list[str]:
    """Say in words what was heard."""
    speech = f"{measured.speech_s / 60:.1f} minutes of speech in {of.conditions.seconds / 60:.1f}."
    lines = [speech]
    if not of.is_whole:
        lines.append("The session was cut short: what was heard until then is here.")
    if not measured.is_enough:
        lines.append(f"That is too little to tell anything: less than {LEAST_S:.0f} s of speech.")
    shares = _shares(measured)
    if shares and measured.is_enough:
        best = max(shares, key=lambda name: shares[name])
        lines.insert(0, f"Sounded {label_of(best)} for {shares[best]:.0%} of the speech.")
    return lines


def _shares(measured: Measured) -> dict[str, float]:
    named = {name: value for name, value in measured.values.items() if is_inferred(name)}
    return {name: value for name, value in named.items() if name != "uncertain"}


def _values(measured: Measured) -> list[tuple[str, str, float | None]]:
    """Return each measure's name and value in words, and its share in percent where it is one."""
    return [
        (name_of(name), value_text(name, value), 100 * value if is_inferred(name) else None)
        for name, value in measured.values.items()
    ]


def _periods(segments: Sequence[Segment], seconds: float) -> list[dict[str, Any]]:
    """Sum the segments up in periods, so few that a person reads them."""
    period_s = next(one for one in (*_PERIODS_S, seconds) if seconds / one <= _MAX_PERIODS)
    groups: dict[int, list[Segment]] = {}
    for one in segments:
        groups.setdefault(int(one.start / period_s), []).append(one)
    rows = []
    for place, group in groups.items():
        totals = totals_of(group)
        best = sorted(totals.seconds, key=lambda label: -totals.seconds[label])[:2]
        rows.append(
            {
                "from": timestamp(place * period_s)[:8],
                "speech": f"{totals.speech_s:.0f} s",
                "sounded": ", ".join(f"{label} {totals.share(label):.0%}" for label in best),
                "pitch": value_text("pitch_st", totals.means.get("pitch_st")),
                "level": value_text("level_db", totals.means.get("level_db")),
            }
        )
    return rows


def write_comparison(path: Path, found: Comparison) -> None:
    """Write the report of two sessions side by side; for the errors see `write_session`."""
    names = tuple(f"{one.began:%Y-%m-%d %H:%M}" for one in (found.before, found.after))
    shares = {
        label_of(name): (one.before, one.after)
        for name, one in found.differences.items()
        if is_inferred(name) and one.before is not None and one.after is not None
    }
    page = {
        "title": f"Sessions {found.before.id} and {found.after.id}",
        "names": names,
        "rows": _difference_rows(found),
        "cautions": cautions(found),
        "picture": _bars(shares, names) if shares else None,  # type: ignore[arg-type]
        "consent": CONSENT,
    }
    write_text(path, render("journal-comparison.html", page), private=True)


def _bars(shares: Mapping[str, tuple[float, float]], names: tuple[str, str]) -> dict[str, str]:
    alt = "Shares of the speech in both sessions; the table below holds the same."
    return embedded("comparison", alt, partial(sessions_beside, shares, names))


def _difference_rows(found: Comparison) -> list[tuple[str, str, str, str, bool]]:
    return [
        (
            name_of(name),
            value_text(name, one.before),
            value_text(name, one.after),
            "unknown" if one.margin is None else f"±{value_text(name, one.margin)}",
            one.is_beyond_chance,
        )
        for name, one in found.differences.items()
    ]
