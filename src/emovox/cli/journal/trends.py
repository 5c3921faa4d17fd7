"""`emovox journal trend` and `compare`: a person against their own usual."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import counted, print_table, say, say_json
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

_UNITS = {"pitch_st": " st", "pitch_range_st": " st", "level_db": " dB", "rate_hz": " /s"}
_NAMES = {
    "pitch_st": "pitch",
    "pitch_range_st": "pitch range",
    "level_db": "level",
    "rate_hz": "rate",
    "pause_share": "pauses",
    "voiced_share": "voiced",
}
_REASONS = {
    "device": "another device",
    "noise": "another level of noise",
    "band": "another band",
    "model": "another model",
}
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
    if not found.usual.sessions:
        say("too little: no session holds 60 s of speech yet")
    for title, names in _groups(found.measures):
        header = ("week of", "sessions", "speech", *map(_name, names), "you said", "")
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
    values = [value_text(name, found.usual.values.get(name)) for name in names]
    return ["first sessions", str(len(found.usual.sessions)), "", *values, "", ""]


def _row(week: "Week", names: Sequence[str]) -> list[str]:
    said = "" if week.valence is None else f"{week.valence:+.2f} ({week.n_check_ins})"
    cells = [_cell(name, week.points.get(name)) for name in names]
    speech = f"{week.speech_s / 60:.0f} min" if week.n_sessions else ""
    return [week.monday.isoformat(), str(week.n_sessions), speech, *cells, said, _mark(week)]


def _mark(week: "Week") -> str:
    marks = [_REASONS[reason] for reason in week.apart]
    if week.n_apart and not week.is_apart:
        marks = [f"{week.n_apart} set aside: {', '.join(marks)}"]
    if week.n_too_little:
        marks.append(f"{week.n_too_little} too little" if week.n_sessions else "too little")
    return "; ".join(marks)


def _cell(name: str, point: "Point | None") -> str:
    """Return a value with half its interval, and an arrow where it is a change."""
    if point is None:
        return ""
    value = value_text(name, point.value)
    if point.low is not None and point.high is not None:
        value = f"{value} ({_bare(name, point.low)}–{_bare(name, point.high)})"
    arrow = ("↑" if (point.difference or 0) > 0 else "↓") if point.is_change else ""
    return value + arrow


def value_text(name: str, value: float | None) -> str:
    """Return a measure's value with its unit; "" where there is none."""
    from ...journal.trend import is_share

    if value is None:
        return ""
    return f"{value:.0%}" if is_share(name) else f"{value:.1f}{_UNITS[name]}"


def _bare(name: str, value: float) -> str:
    from ...journal.trend import is_share

    return f"{100 * value:.0f}" if is_share(name) else f"{value:.1f}"


def _name(name: str) -> str:
    from ...journal.trend import SOUNDED

    return _NAMES.get(name) or name.removeprefix(SOUNDED)


def change_lines(found: "Trend") -> list[str]:
    """Tell the changes in words, those of the latest weeks."""
    from ...journal.trend import SOUNDED

    if not found.usual.sessions:
        return []
    lines = []
    for week, name, point in found.changes()[-_MAX_CHANGES:]:
        more = "more" if (point.difference or 0) > 0 else "less"
        what = (
            f"sounded {_name(name)} {more}" if name.startswith(SOUNDED) else f"{_name(name)} {more}"
        )
        low, high = _bare(name, point.difference_low or 0), _bare(name, point.difference_high or 0)
        unit = " points" if value_text(name, 0).endswith("%") else _UNITS[name]
        lines.append(
            f"week of {week.monday}: {what} than in your first sessions: "
            f"{value_text(name, point.value)}, then {value_text(name, found.usual.values[name])} "
            f"(95 % interval of the difference {low} to {high}{unit})"
        )
    n_first = len(found.usual.sessions)
    lines = lines or [f"no change against your first {counted(n_first, 'session')}"]
    return [*lines, "how a voice sounded to a model is not how the person was; it is no diagnosis"]


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

    with open_journal(journal, person, passphrase_file) as opened:
        found = compared(opened.sessions_with_totals(), before, after)
    if as_json:
        say_json(comparison_json(found))
        return
    rows = [
        (
            _name(name),
            value_text(name, one.before),
            value_text(name, one.after),
            "unknown" if one.margin is None else f"±{value_text(name, one.margin)}",
            "beyond chance" if one.is_beyond_chance else "",
        )
        for name, one in found.differences.items()
    ]
    header = ("", f"session {before}", f"session {after}", "by chance", "")
    print_table("", header, rows)
    for line in caution_lines(found):
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


def caution_lines(found: "Comparison") -> list[str]:
    """Say what keeps two sessions from being compared."""
    lines = [
        f"session {number}: too little, less than 60 s of speech" for number in found.too_little
    ]
    if found.apart:
        reasons = ", ".join(_REASONS[reason] for reason in found.apart)
        lines.append(f"a difference may come from the recording: {reasons}")
    return lines
