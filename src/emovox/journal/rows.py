"""Entries of a journal as the values of its tables' columns, and back."""

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from ..prosody import Prosody
from .records import (
    CheckIn,
    Conditions,
    Consent,
    Inferred,
    Practised,
    Segment,
    Session,
    check_moment,
    checked_tags,
    checked_text,
)

Row = dict[str, Any]

PROSODY = tuple(field.name for field in fields(Prosody))
_CONDITIONS = tuple(field.name for field in fields(Conditions))
_DIGITS = 4  # of what is measured and inferred: tenths of milliseconds, scores in 0.01 %


def person_row(name: str, created: datetime) -> Row:
    """Return the columns of the person."""
    return {"name": checked_text("name", name), "created": _moment(created)}


def person_of(row: Mapping[str, Any]) -> tuple[str, datetime]:
    """Return the person's name, and when the journal was begun."""
    return row["name"], datetime.fromisoformat(row["created"])


def consent_row(consent: Consent) -> Row:
    """Return the columns of a consent."""
    return {
        "at": _moment(consent.at),
        "measure": int(consent.measure),
        "emotion": int(consent.emotion),
        "sound": int(consent.sound),
        "retention_days": consent.retention_days,
        "version": consent.version,
        "text": checked_text("consent", consent.text),
    }


def consent_of(row: Mapping[str, Any]) -> Consent:
    """Return the consent of a row."""
    return Consent(
        datetime.fromisoformat(row["at"]),
        bool(row["measure"]),
        bool(row["emotion"]),
        bool(row["sound"]),
        row["retention_days"],
        row["text"],
        row["version"],
    )


def session_row(session: Session) -> Row:
    """Return the columns of a session, its totals left out."""
    return {
        "began": _moment(session.began),
        "source": session.source,
        "device": checked_text("device", session.device),
        **{name: _rounded(getattr(session.conditions, name)) for name in _CONDITIONS},
        "model": session.model,
        "labels": json.dumps(session.labels),
        "version": session.version,
        "note": checked_text("note", session.note),
        "tags": json.dumps(checked_tags(session.tags), ensure_ascii=False),
        "digest": session.digest,
        "whole": int(session.is_whole),
        "totals": None,
    }


def session_of(number: int, row: Mapping[str, Any]) -> Session:
    """Return the session of a row and its number."""
    return Session(
        datetime.fromisoformat(row["began"]),
        row["source"],
        row["device"],
        Conditions(*(row[name] for name in _CONDITIONS)),
        row["model"],
        tuple(json.loads(row["labels"])),
        row["version"],
        row["note"],
        tuple(json.loads(row["tags"])),
        row["digest"],
        bool(row["whole"]),
        number,
    )


def segment_row(segment: Segment) -> Row:
    """Return the columns of a segment; without inference those of the label are empty."""
    inferred = segment.inferred
    return {
        "start_s": _rounded(segment.start),
        "end_s": _rounded(segment.end),
        **{name: _rounded(getattr(segment.prosody, name)) for name in PROSODY},
        "label": inferred.label if inferred else None,
        "score": _rounded(inferred.score) if inferred else None,
        "certain": int(inferred.certain) if inferred else None,
        "scores": _compact([_rounded(one) for one in inferred.scores]) if inferred else None,
    }


def segment_of(row: Mapping[str, Any]) -> Segment:
    """Return the segment of a row."""
    inferred = None
    if row["label"] is not None:
        scores = tuple(map(float, json.loads(row["scores"])))
        inferred = Inferred(row["label"], row["score"], bool(row["certain"]), scores)
    prosody = Prosody(*(row[name] for name in PROSODY))
    return Segment(row["start_s"], row["end_s"], prosody, inferred)


def checkin_row(check_in: CheckIn) -> Row:
    """Return the columns of a check-in."""
    return {
        "at": _moment(check_in.at),
        "kind": check_in.kind,
        "valence": _rounded(check_in.valence),
        "labels": json.dumps(check_in.labels),
        "note": checked_text("note", check_in.note),
    }


def checkin_of(number: int, row: Mapping[str, Any]) -> CheckIn:
    """Return the check-in of a row and its number."""
    labels = tuple(json.loads(row["labels"]))
    at = datetime.fromisoformat(row["at"])
    return CheckIn(at, row["kind"], row["valence"], labels, row["note"], number)


def practice_row(practised: Practised) -> Row:
    """Return the columns of a session of practice."""
    return {
        "at": _moment(practised.at),
        "target": checked_text("target", practised.target),
        "inferred": int(practised.is_inferred),
        "n_takes": practised.n_takes,
        "n_untold": practised.n_untold,
        "best": _compact([_rounded(one) for one in practised.best]),
    }


def practice_of(number: int, row: Mapping[str, Any]) -> Practised:
    """Return the session of practice of a row and its number."""
    return Practised(
        datetime.fromisoformat(row["at"]),
        row["target"],
        bool(row["inferred"]),
        int(row["n_takes"]),
        int(row["n_untold"]),
        tuple(map(float, json.loads(row["best"]))),
        number,
    )


def forgotten_row(at: datetime, n_rows: int) -> Row:
    """Return the columns of what was deleted: when, to the minute, and how many entries."""
    return {"at": check_moment(at).isoformat(timespec="minutes"), "n_rows": n_rows}


def forgotten_of(row: Mapping[str, Any]) -> tuple[datetime, int]:
    """Return when something was deleted, and how many entries."""
    return datetime.fromisoformat(row["at"]), int(row["n_rows"])


def _moment(moment: datetime) -> str:
    return check_moment(moment).isoformat(timespec="milliseconds")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), _DIGITS)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
