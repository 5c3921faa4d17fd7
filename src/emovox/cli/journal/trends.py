"""`emovox journal trend`, `compare` and `report`: a person against their own usual."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import print_table, say, say_json
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
    from ...journal.trend import Point, Trend, Week


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
    from ...journal.as_json import trend_json
    from ...journal.trend import trend as trend_of

    with open_journal(journal, person, passphrase_file) as opened:
        pairs, check_ins = opened.sessions_with_totals(), opened.check_ins()
    found = trend_of(pairs, check_ins, parsed_time(since) if since else None)
    if as_json:
        say_json(trend_json(found))
        return
    _print_trend(found)


def _print_trend(found: "Trend") -> None:
    from ...journal.words import change_lines, label_of

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
    from ...journal.words import marks

    said = "" if week.valence is None else f"{week.valence:+.2f} ({week.n_check_ins})"
    cells = [_cell(name, week.points.get(name)) for name in names]
    speech = f"{week.speech_s / 60:.0f} min" if week.n_sessions else ""
    return [
        week.monday.isoformat(),
        str(week.n_sessions),
        speech,
        *cells,
        said,
        "; ".join(marks(week)),
    ]


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


def compare(
    before: Annotated[int, typer.Argument(help="A session's number.", show_default=False)],
    after: Annotated[int, typer.Argument(help="Another's.", show_default=False)],
    journal: JournalOption = None,
    person: PersonOption = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two sessions, with how far your sessions lie apart by chance."""
    from ...journal.as_json import comparison_json
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
