"""A whole journal as JSON lines, and made again from them: the same entries, sound included."""

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...checks import is_number
from ...errors import EmovoxError, JournalError
from ...version import __version__
from .. import rows
from ..database import Database
from ..schema import COLUMNS
from ..store import Journal
from ..totals import Totals

FORMAT = 1
_HEAD = "emovox_journal"
_ORDER = ("person", "consent", "baseline", "session", "checkin", "practice", "forgotten")


def lines_of(journal: Journal) -> Iterator[str]:
    """Yield a line for each entry; a session's segments and their sound follow it."""
    yield _line(_HEAD, {"format": FORMAT, "version": __version__})
    for table in _ORDER:
        for number, row in journal.rows(table):
            yield _line(table, {"id": number, **row})
            if table == "session":
                yield from _session_lines(journal, number)


def _session_lines(journal: Journal, number: int) -> Iterator[str]:
    for n, segment in enumerate(journal.segments(number)):
        yield _line("segment", {"session_id": number, "n": n, **rows.segment_row(segment)})
    for n, flac in journal.sounds(number):
        text = base64.b64encode(flac).decode()
        yield _line("sound", {"session_id": number, "n": n, "flac": text})


def _line(kind: str, values: Mapping[str, Any]) -> str:
    return json.dumps({kind: values}, ensure_ascii=False, separators=(",", ":")) + "\n"


def journal_from(path: Path, lines: Iterable[str], *, passphrase: str | None = None) -> Journal:
    """Make the journal that `lines_of` wrote as a new file, whole or not at all.

    Raises
    ------
    JournalError
        If a line is not as `lines_of` writes it, or the file exists.
    """
    with Database.made(path, passphrase) as file:
        kinds = set()
        for place, line in enumerate(lines, 1):
            try:
                kinds.add(_put(file, place, line))
            except (EmovoxError, ValueError, TypeError, KeyError, AttributeError) as error:
                raise JournalError(f"line {place} is none of a journal's: {error}") from None
        if not {_HEAD, "person", "consent"} <= kinds:
            raise JournalError("the lines hold no journal: the person or the consent is missing")
    return Journal(file)


def _put(file: Database, place: int, line: str) -> str:
    """Write the entry of a line; return its kind."""
    kind: str
    ((kind, values),) = json.loads(line).items()
    if (kind == _HEAD) != (place == 1):
        raise JournalError(f"expected the line {_HEAD} first, and only there")
    if kind == _HEAD:
        if values["format"] != FORMAT:
            raise JournalError(f"expected format {FORMAT}, got {values['format']!r}")
        return kind
    keys = {name: int(values.pop(name)) for name in ("id", "session_id", "n") if name in values}
    if kind == "sound":
        file.insert_sound(
            keys["session_id"], keys["n"], base64.b64decode(values["flac"], validate=True)
        )
        return kind
    if {*values} != {*COLUMNS[kind]}:
        raise JournalError(f"expected a {kind} of {', '.join(COLUMNS[kind])}")
    file.insert(kind, _CHECKED[kind](values), **keys)
    return kind


def _person(values: dict[str, Any]) -> rows.Row:
    return rows.person_row(*rows.person_of(values))


def _consent(values: dict[str, Any]) -> rows.Row:
    return rows.consent_row(rows.consent_of(values))


def _session(values: dict[str, Any]) -> rows.Row:
    totals = Totals.of_json(values["totals"]) if values["totals"] else None
    row = rows.session_row(rows.session_of(0, values))
    return {**row, "totals": totals.to_json() if totals else None}


def _segment(values: dict[str, Any]) -> rows.Row:
    if not all(is_number(values[name]) for name in ("start_s", "end_s", "level_db")):
        raise JournalError("expected numbers")
    return rows.segment_row(rows.segment_of(values))


def _checkin(values: dict[str, Any]) -> rows.Row:
    return rows.checkin_row(rows.checkin_of(0, values))


def _practice(values: dict[str, Any]) -> rows.Row:
    return rows.practice_row(rows.practice_of(0, values))


def _forgotten(values: dict[str, Any]) -> rows.Row:
    return rows.forgotten_row(*rows.forgotten_of(values))


def _baseline(values: dict[str, Any]) -> rows.Row:
    from ...baseline import Baseline

    return {"body": Baseline.from_json(values["body"]).to_json()}


_CHECKED: Mapping[str, Callable[[dict[str, Any]], rows.Row]] = {
    "person": _person,
    "consent": _consent,
    "session": _session,
    "segment": _segment,
    "checkin": _checkin,
    "practice": _practice,
    "forgotten": _forgotten,
    "baseline": _baseline,
}
