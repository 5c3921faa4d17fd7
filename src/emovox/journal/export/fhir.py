"""A journal as a bundle of FHIR R4: an Observation for each session and each check-in."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from ..records import CheckIn, Session
from ..rows import PROSODY
from ..store import Journal
from ..totals import Totals

SYSTEM = "https://github.com/emovox/emovox/blob/main/docs/journal.md"  # of our own codes
_UCUM = "http://unitsofmeasure.org"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_UNITS = {  # of prosody, as UCUM writes them; semitones it does not know
    "pitch_st": ("semitones above 27.5 Hz", "{semitone}"),
    "pitch_range_st": ("semitones", "{semitone}"),
    "level_db": ("dB of full scale", "dB"),
    "rate_hz": ("syllables a second", "/s"),
    "pause_share": ("share", "1"),
    "voiced_share": ("share", "1"),
}


def bundle_of(journal: Journal) -> dict[str, Any]:
    """Return a bundle: the person as a Patient, sessions and check-ins as Observations.

    How the person sounded and what they say are Observations of their own, with codes of ours:
    neither is a diagnosis.
    """
    person = _url(journal, "person")
    patient = {"resourceType": "Patient", "name": [{"text": journal.name}]}
    entries: list[dict[str, Any]] = [{"fullUrl": person, "resource": patient}]
    for session, totals in journal.sessions_with_totals():
        if totals.n_segments:
            url = _url(journal, f"session {session.id}")
            entries.append({"fullUrl": url, "resource": _heard(session, totals, person)})
    for one in journal.check_ins():
        url = _url(journal, f"check-in {one.id}")
        entries.append({"fullUrl": url, "resource": _said(one, person)})
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _url(journal: Journal, what: str) -> str:
    """Return an entry's name, the same in each export of a journal."""
    return f"urn:uuid:{uuid5(NAMESPACE_URL, f'{SYSTEM}#{journal.created.isoformat()} {what}')}"


def _heard(session: Session, totals: Totals, person: str) -> dict[str, Any]:
    end = session.began + timedelta(seconds=session.conditions.seconds)
    parts = [_part("speech", "Seconds of speech", totals.speech_s, "s", "s")]
    for label in totals.seconds:
        text = f"Share of speech that sounded {label}, as a model guessed"
        parts.append(_part(f"sounded-{label}", text, totals.share(label), "share", "1"))
    measured = [name for name in PROSODY if name in totals.means]
    parts += [_part(name, f"Mean {name}", totals.means[name], *_UNITS[name]) for name in measured]
    return {
        "resourceType": "Observation",
        "status": "final" if session.is_whole else "preliminary",
        "code": _code("voice", "How a voice sounded"),
        "subject": {"reference": person},
        "effectivePeriod": {"start": _instant(session.began), "end": _instant(end)},
        **({"device": {"display": session.device}} if session.device else {}),
        **({"note": [{"text": session.note}]} if session.note else {}),
        "component": parts,
    }


def _said(check_in: CheckIn, person: str) -> dict[str, Any]:
    kind = "momentaryEmotion" if check_in.kind == "momentary" else "dailyMood"
    parts = [_part("valence", "Valence, -1 to 1", check_in.valence, "valence", "1")]
    for label in check_in.labels:
        value = {"valueString": label}
        parts.append({"code": _code("label", "A word for the state of mind"), **value})
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": _CATEGORY, "code": "survey"}]}],
        "code": _code(kind, "State of mind, as the person says"),
        "subject": {"reference": person},
        "effectiveDateTime": _instant(check_in.at),
        **({"note": [{"text": check_in.note}]} if check_in.note else {}),
        "component": parts,
    }


def _code(code: str, text: str) -> Mapping[str, Any]:
    return {"coding": [{"system": SYSTEM, "code": code}], "text": text}


def _part(code: str, text: str, value: float, unit: str, ucum: str) -> dict[str, Any]:
    quantity = {"value": round(value, 4), "unit": unit, "system": _UCUM, "code": ucum}
    return {"code": _code(code, text), "valueQuantity": quantity}


def _instant(moment: Any) -> str:
    return str(moment.isoformat(timespec="seconds"))
