"""The segments of a session as annotations: TextGrid for Praat, EAF for ELAN."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from ...files import write_text, written_whole
from ..records import Segment, Session
from ..store import Journal

Interval = tuple[float, float, str]
Tier = tuple[str, list[Interval]]
_SCHEMA = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"
_MEASURED = ("pitch_st", "level_db", "rate_hz")


def stem_of(session: Session) -> str:
    """Return the name of a session's file, its number first."""
    return f"session-{session.id:04}-{session.began:%Y-%m-%d}"


def write_textgrids(journal: Journal, folder: Path) -> None:
    """Write a TextGrid for each session, with a tier for labels and one for each measurement."""
    for session in journal.sessions():
        segments = list(journal.segments(session.id))
        text = textgrid(tiers_of(segments), _end(session, segments))
        write_text(folder / f"{stem_of(session)}.TextGrid", text, private=True)


def write_eafs(journal: Journal, folder: Path) -> None:
    """Write an EAF document for each session, with the same tiers."""
    for session in journal.sessions():
        tree = eaf(tiers_of(list(journal.segments(session.id))), session.began)
        with written_whole(folder / f"{stem_of(session)}.eaf", private=True) as path:
            tree.write(path, encoding="utf-8", xml_declaration=True)


def tiers_of(segments: Sequence[Segment]) -> list[Tier]:
    """Return tiers of intervals with what was inferred, and with what was measured."""
    inferred = [one for one in segments if one.inferred]
    tiers = [("sounded", [_interval(one, _label(one)) for one in inferred])] if inferred else []
    for name in _MEASURED:
        values = [(one, getattr(one.prosody, name)) for one in segments]
        measured = [_interval(one, f"{value:.2f}") for one, value in values if value is not None]
        if measured:
            tiers.append((name, measured))
    return tiers or [("speech", [])]


def _interval(segment: Segment, text: str) -> Interval:
    return segment.start, segment.end, text


def _label(segment: Segment) -> str:
    assert segment.inferred is not None  # others have no label
    return segment.inferred.label + ("" if segment.inferred.certain else "?")


def _end(session: Session, segments: Sequence[Segment]) -> float:
    last = segments[-1].end if segments else 0.0
    return max(session.conditions.seconds, last, 0.001)


def textgrid(tiers: Sequence[Tier], end: float) -> str:
    """Return tiers as a TextGrid in Praat's long text format."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    lines += ["xmin = 0 ", f"xmax = {end:.6f} ", "tiers? <exists> ", f"size = {len(tiers)} "]
    lines += ["item []: "]
    for place, (name, intervals) in enumerate(tiers, 1):
        filled = _without_gaps(intervals, end)
        lines += [f"    item [{place}]:", '        class = "IntervalTier" ']
        lines += [f"        name = {_quoted(name)} ", "        xmin = 0 "]
        lines += [f"        xmax = {end:.6f} ", f"        intervals: size = {len(filled)} "]
        for number, (start, stop, text) in enumerate(filled, 1):
            lines += [f"        intervals [{number}]:", f"            xmin = {start:.6f} "]
            lines += [f"            xmax = {stop:.6f} ", f"            text = {_quoted(text)} "]
    return "\n".join(lines) + "\n"


def _without_gaps(intervals: Sequence[Interval], end: float) -> list[Interval]:
    """Put empty intervals between the others: a tier of Praat has no gaps."""
    filled: list[Interval] = []
    at = 0.0
    for start, stop, text in intervals:
        if start > at:
            filled.append((at, start, ""))
        filled.append((max(start, at), stop, text))
        at = stop
    if at < end or not filled:
        filled.append((at, end, ""))
    return filled


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def eaf(tiers: Sequence[Tier], began: datetime) -> "ET.ElementTree[ET.Element]":
    """Return tiers as an EAF 3.0 document of ELAN; its times are milliseconds."""
    document = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "",
            "DATE": began.isoformat(),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            _SCHEMA: "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )
    ET.SubElement(document, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    order = ET.SubElement(document, "TIME_ORDER")
    number = 0
    for name, intervals in tiers:
        tier = ET.SubElement(document, "TIER", {"TIER_ID": name, "LINGUISTIC_TYPE_REF": "default"})
        for start, end, text in intervals:
            number += 1
            slots = f"ts{2 * number - 1}", f"ts{2 * number}"
            for slot, second in zip(slots, (start, end), strict=True):
                value = str(round(1000 * second))
                ET.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slot, "TIME_VALUE": value})
            places = dict(zip(("TIME_SLOT_REF1", "TIME_SLOT_REF2"), slots, strict=True))
            outer = ET.SubElement(tier, "ANNOTATION")
            inner = ET.SubElement(
                outer, "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": f"a{number}", **places}
            )
            ET.SubElement(inner, "ANNOTATION_VALUE").text = text
    kind = {"LINGUISTIC_TYPE_ID": "default", "TIME_ALIGNABLE": "true"}
    ET.SubElement(document, "LINGUISTIC_TYPE", {**kind, "GRAPHIC_REFERENCES": "false"})
    return ET.ElementTree(document)
