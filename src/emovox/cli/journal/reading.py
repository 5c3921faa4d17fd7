"""`emovox journal list` and `show`: what a journal holds."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import one_line
from ..console import counted, print_table, say, say_json
from .options import JournalOption, JsonOption, PassphraseOption, PersonOption, open_journal

if TYPE_CHECKING:
    from ...journal.records import CheckIn, Practised, Session
    from ...journal.totals import Totals


def list_entries(
    journal: JournalOption = None,
    person: PersonOption = None,
    passphrase_file: PassphraseOption = None,
    people: Annotated[
        bool, typer.Option("--people", help="List the journals of this machine instead.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the sessions, check-ins and practice of a journal, or the journals of this machine."""
    from ...journal.as_json import checkin_json, practice_json, session_json

    if people:
        _list_people(as_json)
        return
    with open_journal(journal, person, passphrase_file) as opened:
        pairs, check_ins = opened.sessions_with_totals(), opened.check_ins()
        practised = opened.practised()
        due = opened.due(datetime.now().astimezone())
    if as_json:
        say_json(
            {
                "sessions": [session_json(session, totals) for session, totals in pairs],
                "check_ins": [checkin_json(check_in) for check_in in check_ins],
                "practice": [practice_json(one) for one in practised],
            }
        )
        return
    rows = [_session_cells(session, totals) for session, totals in pairs]
    print_table("", ("session", "began", "speech", "sounded", "device", "note"), rows)
    if check_ins:
        rows = [_checkin_cells(check_in) for check_in in check_ins]
        print_table("", ("check-in", "at", "valence", "said", "note"), rows)
    if practised:
        rows = [_practice_cells(one) for one in practised]
        print_table("", ("practice", "at", "target", "takes", "best of each sentence"), rows)
    if n_due := due.n_all:
        entries = "1 entry is" if n_due == 1 else f"{n_due:,} entries are"
        say(f"{entries} older than the retention: `emovox journal purge` deletes them")


def _list_people(as_json: bool) -> None:
    from ...errors import JournalError
    from ...journal.folder import journal_files
    from ...journal.store import Journal

    found: list[dict[str, str | None]] = []
    for file in journal_files():
        try:
            with Journal.open(file) as opened:
                found.append({"file": str(file), "person": opened.name})
        except JournalError:
            found.append({"file": str(file), "person": None})
    if as_json:
        say_json(found)
        return
    rows = [(str(row["person"] or "(locked, or not readable)"), str(row["file"])) for row in found]
    print_table("", ("person", "journal"), rows)


def _session_cells(session: "Session", totals: "Totals") -> tuple[str, ...]:
    return (
        str(session.id),
        session.began.strftime("%Y-%m-%d %H:%M"),
        f"{totals.speech_s:.0f} s" + ("" if session.is_whole else " (not whole)"),
        sounded(totals),
        session.device or session.source,
        one_line(" ".join([session.note, *(f"#{tag}" for tag in session.tags)]).strip()),
    )


def _checkin_cells(check_in: "CheckIn") -> tuple[str, ...]:
    return (
        f"{check_in.id} ({check_in.kind})",
        check_in.at.strftime("%Y-%m-%d %H:%M"),
        f"{check_in.valence:+.2f}",
        ", ".join(check_in.labels),
        one_line(check_in.note),
    )


def _practice_cells(practised: "Practised") -> tuple[str, ...]:
    return (
        str(practised.id),
        practised.at.strftime("%Y-%m-%d %H:%M"),
        practised.target + ("" if practised.is_inferred else " (measured)"),
        str(practised.n_takes),
        ", ".join(f"{close:.0%}" for close in practised.best),
    )


def sounded(totals: "Totals", n_labels: int = 3) -> str:
    """Return the largest shares of a session, such as "neutral 60%, sad 25%"."""
    if not totals.inferred_s:
        return "(not inferred)"
    best = sorted(totals.seconds, key=lambda label: -totals.seconds[label])[:n_labels]
    shares = ", ".join(f"{label} {totals.share(label):.0%}" for label in best)
    return f"{shares}; uncertain {totals.uncertain_s / totals.inferred_s:.0%}"


def show(
    number: Annotated[int, typer.Argument(help="A session's number, from list.")],
    practice: Annotated[
        bool, typer.Option("--practice", help="The number is that of a session of practice.")
    ] = False,
    journal: JournalOption = None,
    person: PersonOption = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the segments of a session, or how a session of practice went."""
    if practice:
        with open_journal(journal, person, passphrase_file) as opened:
            _show_practice(opened.practised(), number, as_json)
        return
    from dataclasses import asdict

    from ...journal.as_json import session_json
    from ...journal.totals import totals_of

    with open_journal(journal, person, passphrase_file) as opened:
        session, segments = opened.session(number), list(opened.segments(number))
    totals = totals_of(segments)
    if as_json:
        say_json(session_json(session, totals) | {"segments": [asdict(one) for one in segments]})
        return
    header, rows = segment_table(segments)
    print_table("", header, rows)
    conditions = session.conditions
    snr = "unknown" if conditions.snr_db is None else f"{conditions.snr_db:.0f} dB"
    began = session.began.isoformat(timespec="minutes")
    of_all = f"{totals.speech_s:.1f} s of speech in {conditions.seconds:.1f} s"
    say(f"{began}, {of_all}; signal to noise {snr}; sounded {sounded(totals, 9)}")


def _show_practice(kept: "list[Practised]", number: int, as_json: bool) -> None:
    from ...errors import JournalError
    from ...journal.as_json import practice_json

    one = next((practised for practised in kept if practised.id == number), None)
    if one is None:
        raise JournalError(f"the journal has no session of practice {number}; `list` shows them")
    if as_json:
        say_json(practice_json(one))
        return
    rows = [(str(place), f"{close:.0%}") for place, close in enumerate(one.best, 1)]
    print_table("", ("sentence", "best take"), rows)
    judged = "judged by a model as well" if one.is_inferred else "measured alone"
    say(
        f"{one.at.isoformat(timespec='minutes')}, {one.target}, {judged}; "
        f"{counted(one.n_takes, 'take')} counted, {one.n_untold} not"
    )


def segment_table(segments: "Any") -> tuple[list[str], list[list[str]]]:
    """Return segments as a table to read: those columns that hold something."""
    from ...tracks import timestamp

    columns: dict[str, Callable[[Any], str]] = {
        "from": lambda one: timestamp(one.start),
        "to": lambda one: timestamp(one.end),
        "pitch": lambda one: _figure(one.prosody.pitch_st, ".1f", " st"),
        "level": lambda one: _figure(one.prosody.level_db, ".0f", " dB"),
        "rate": lambda one: _figure(one.prosody.rate_hz, ".1f", " /s"),
        "pauses": lambda one: _figure(one.prosody.pause_share, ".0%"),
        "sounded": lambda one: one.inferred.label if one.inferred else "",
        "score": lambda one: f"{one.inferred.score:.0%}" if one.inferred else "",
        "": lambda one: "uncertain" if one.inferred and not one.inferred.certain else "",
    }
    cells = {name: [cell(one) for one in segments] for name, cell in columns.items()}
    shown = [name for name, column in cells.items() if any(column)] or ["from", "to"]
    return shown, [list(row) for row in zip(*(cells[name] for name in shown), strict=True)]


def _figure(value: float | None, form: str, unit: str = "") -> str:
    return "" if value is None else f"{value:{form}}{unit}"
