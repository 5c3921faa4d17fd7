"""`emovox journal trend`, `compare` and `report`: a person against their own usual."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import counted, print_table, say, say_json
from ..outputs import check_outputs
from .options import (
    JournalOption,
    JsonOption,
    PassphraseOption,
    PersonOption,
    open_journal,
    parsed_time,
)

if TYPE_CHECKING:
    from ...journal.comparison import Comparison
    from ...journal.trend import Point, Trend, Week

_MAX_CHANGES = 12  # told in words


def trend(
    journal: JournalOption = None,
    person: PersonOption = None,
    passphrase_file: PassphraseOption = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Count the first sessions from here."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show how you sounded week by week, against your own first sessions."""
    from ...journal.trend import trend as trend_of

    with open_journal(journal, person, passphrase_file) as opened:
        pairs, check_ins = opened.sessions_with_totals(), opened.check_ins()
    found = trend_of(pairs, check_ins, parsed_time(since) if since else None)
    if as_json:
        say_json(trend_json(found))
        return
    _print_trend(found)


def trend_json(found: "Trend") -> dict[str, Any]:
    """Return a trend as JSON carries it."""
    usual = asdict(found.usual)
    weeks = [{**asdict(week), "monday": week.monday.isoformat()} for week in found.weeks]
    names = ("devices", "models")
    return {
        "usual": usual | {name: sorted(map(str, usual[name])) for name in names},
        "weeks": weeks,
    }


def _print_trend(found: "Trend") -> None:
    from ...journal.words import label_of

    if not found.usual.sessions:
        say("too little: no session holds 60 s of speech yet")
    for title, names in _groups(found.measures):
        header = ("week of", "sessions", "speech", *map(label_of, names), "you said", "")
        rows = [_usual_row(found, names)]
        rows += [_row(week, names) for week in found.weeks]
        print_table(title, header, rows)
    for line in change_lines(found):
        say(line)


def _groups(measures: Sequence[str]) -> list[tuple[str, list[str]]]:
    from ...journal.trend import is_inferred

    inferred = [name for name in measures if is_inferred(name)]
    measured = [name for name in measures if not is_inferred(name)]
    groups = [("share of speech that sounded", inferred), ("measured of the voice", measured)]
    return [(title, names) for title, names in groups if names]


def _usual_row(found: "Trend", names: Sequence[str]) -> list[str]:
    from ...journal.words import value_text

    values = [value_text(name, found.usual.values.get(name)) for name in names]
    return ["first sessions", str(len(found.usual.sessions)), "", *values, "", ""]


def _row(week: "Week", names: Sequence[str]) -> list[str]:
    said = "" if week.valence is None else f"{week.valence:+.2f} ({week.n_check_ins})"
    cells = [_cell(name, week.points.get(name)) for name in names]
    speech = f"{week.speech_s / 60:.0f} min" if week.n_sessions else ""
    return [week.monday.isoformat(), str(week.n_sessions), speech, *cells, said, _mark(week)]


def _mark(week: "Week") -> str:
    from ...journal.words import reasons

    marks = reasons(week.apart)
    if week.n_apart and not week.is_apart:
        marks = [f"{week.n_apart} set aside: {', '.join(marks)}"]
    if week.n_too_little:
        marks.append(f"{week.n_too_little} too little" if week.n_sessions else "too little")
    return "; ".join(marks)


def _cell(name: str, point: "Point | None") -> str:
    """Return a value with half its interval, and an arrow where it is a change."""
    from ...journal.words import bare_text, value_text

    if point is None:
        return ""
    value = value_text(name, point.value)
    if point.low is not None and point.high is not None:
        value = f"{value} ({bare_text(name, point.low)}–{bare_text(name, point.high)})"
    arrow = ("↑" if (point.difference or 0) > 0 else "↓") if point.is_change else ""
    return value + arrow


def change_lines(found: "Trend") -> list[str]:
    """Tell the changes in words, those of the latest weeks."""
    from ...journal.words import NO_DIAGNOSIS, bare_text, name_of, unit_of, value_text

    if not found.usual.sessions:
        return []
    lines = []
    for week, name, point in found.changes()[-_MAX_CHANGES:]:
        more = "more" if (point.difference or 0) > 0 else "less"
        low, high = (
            bare_text(name, end or 0) for end in (point.difference_low, point.difference_high)
        )
        lines.append(
            f"week of {week.monday}: {name_of(name)} {more} than in your first sessions: "
            f"{value_text(name, point.value)}, then {value_text(name, found.usual.values[name])} "
            f"(95 % interval of the difference {low} to {high}{unit_of(name)})"
        )
    n_first = len(found.usual.sessions)
    lines = lines or [f"no change against your first {counted(n_first, 'session')}"]
    return [*lines, NO_DIAGNOSIS]


def compare(
    before: Annotated[int, typer.Argument(help="A session's number.", show_default=False)],
    after: Annotated[int, typer.Argument(help="Another's.", show_default=False)],
    journal: JournalOption = None,
    person: PersonOption = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two sessions, with how far your sessions lie apart by chance."""
    from ...journal.comparison import compare as compared
    from ...journal.words import cautions, label_of, value_text

    with open_journal(journal, person, passphrase_file) as opened:
        found = compared(opened.sessions_with_totals(), before, after)
    if as_json:
        say_json(comparison_json(found))
        return
    rows = [
        (
            label_of(name),
            value_text(name, one.before),
            value_text(name, one.after),
            "unknown" if one.margin is None else f"±{value_text(name, one.margin)}",
            "beyond chance" if one.is_beyond_chance else "",
        )
        for name, one in found.differences.items()
    ]
    header = ("", f"session {before}", f"session {after}", "by chance", "")
    print_table("", header, rows)
    for line in cautions(found):
        say(line)


def comparison_json(found: "Comparison") -> dict[str, Any]:
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


def report(
    out: Annotated[Path, typer.Argument(help="The page to be written (.html).")],
    numbers: Annotated[list[int], typer.Argument(help="A session's number, or two.")],
    journal: JournalOption = None,
    person: PersonOption = None,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Write a page on a session, or on two side by side, to be read or printed."""
    from ...journal.comparison import compare as compared
    from ...journal.report import write_comparison, write_session

    if len(numbers) > 2:
        raise typer.BadParameter("expected the number of a session, or of two")
    check_outputs({"OUT": out}, [journal])
    with open_journal(journal, person, passphrase_file) as opened:
        if len(numbers) == 1:
            (number,) = numbers
            write_session(out, opened.session(number), list(opened.segments(number)))
        else:
            write_comparison(out, compared(opened.sessions_with_totals(), *numbers))
    say(f"wrote {out}")
