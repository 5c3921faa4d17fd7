"""What a journal holds, and what it comes to, as JSON carries them: of commands and service."""

from dataclasses import asdict
from typing import Any

from .comparison import Comparison
from .records import CheckIn, Practised, Session
from .totals import Totals
from .trend import Trend


def session_json(session: Session, totals: Totals) -> dict[str, Any]:
    """Return a session and what its segments come to, as JSON carries them."""
    fields = asdict(session) | session.conditions.__dict__ | {"began": session.began.isoformat()}
    del fields["conditions"], fields["labels"]
    shares = {label: round(totals.share(label), 4) for label in totals.seconds}
    uncertain = totals.uncertain_s / totals.inferred_s if totals.inferred_s else None
    return fields | {
        "segments": totals.n_segments,
        "speech_s": totals.speech_s,
        "sounded": shares or None,
        "uncertain": uncertain if uncertain is None else round(uncertain, 4),
        "measured": dict(totals.means),
    }


def checkin_json(check_in: CheckIn) -> dict[str, Any]:
    """Return a check-in as JSON carries it."""
    return {**check_in.__dict__, "at": check_in.at.isoformat(), "labels": list(check_in.labels)}


def practice_json(practised: Practised) -> dict[str, Any]:
    """Return a session of practice as JSON carries it."""
    fields = {**practised.__dict__, "at": practised.at.isoformat(), "best": list(practised.best)}
    return {"id": fields.pop("id"), "inferred": fields.pop("is_inferred"), **fields}


def trend_json(found: Trend) -> dict[str, Any]:
    """Return a trend as JSON carries it."""
    usual = asdict(found.usual)
    weeks = [{**asdict(week), "monday": week.monday.isoformat()} for week in found.weeks]
    names = ("devices", "models")
    return {
        "usual": usual | {name: sorted(map(str, usual[name])) for name in names},
        "weeks": weeks,
    }


def comparison_json(found: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON carries it."""
    return {
        "before": found.before.id,
        "after": found.after.id,
        "apart": list(found.apart),
        "too_little": list(found.too_little),
        "measures": {
            name: asdict(one) | {"beyond_chance": one.is_beyond_chance}
            for name, one in found.differences.items()
        },
    }
