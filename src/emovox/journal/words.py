"""How measures and cautions of a journal are told: "sounded", never "was"."""

from types import MappingProxyType

from ..errors import counted
from .comparison import Comparison
from .trend import SOUNDED, Point, Trend, Week, is_share

_MAX_CHANGES = 12  # told in words

_UNITS = MappingProxyType(
    {"pitch_st": " st", "pitch_range_st": " st", "level_db": " dB", "rate_hz": " /s"}
)
_NAMES = MappingProxyType(
    {
        "pitch_st": "pitch",
        "pitch_range_st": "pitch range",
        "level_db": "level",
        "rate_hz": "rate",
        "pause_share": "pauses",
        "voiced_share": "voiced",
    }
)
_REASONS = MappingProxyType(
    {
        "device": "another device",
        "noise": "another level of noise",
        "band": "another band",
        "model": "another model",
    }
)
NO_DIAGNOSIS = "how a voice sounded to a model is not how the person was; it is no diagnosis"


def label_of(name: str) -> str:
    """Return a measure's short name: sad for the share that sounded sad, pitch for pitch_st."""
    return _NAMES.get(name) or name.removeprefix(SOUNDED)


def name_of(name: str) -> str:
    """Return a measure's name: sounded sad, pitch."""
    return f"sounded {label_of(name)}" if name.startswith(SOUNDED) else label_of(name)


def unit_of(name: str) -> str:
    """Return the unit of a difference of a measure, with the space before it."""
    return " points" if is_share(name) else _UNITS[name]


def value_text(name: str, value: float | None) -> str:
    """Return a measure's value with its unit; "" where there is none."""
    if value is None:
        return ""
    return f"{value:.0%}" if is_share(name) else f"{value:.1f}{_UNITS[name]}"


def bare_text(name: str, value: float) -> str:
    """Return a measure's value without its unit, a share in percent."""
    return f"{100 * value:.0f}" if is_share(name) else f"{value:.1f}"


def reasons(apart: tuple[str, ...]) -> list[str]:
    """Say why a session cannot be compared."""
    return [_REASONS[reason] for reason in apart]


def marks(week: Week) -> list[str]:
    """Say what keeps a week, or some of its sessions, from being compared."""
    told = reasons(week.apart)
    if week.n_apart and not week.is_apart:
        told = [f"{week.n_apart} set aside: {', '.join(told)}"]
    if week.n_too_little:
        told.append(f"{week.n_too_little} too little" if week.n_sessions else "too little")
    return told


def change_lines(found: Trend) -> list[str]:
    """Tell the changes in words, those of the latest weeks."""
    if not found.usual.sessions:
        return []
    lines = [_change(found, *change) for change in found.changes()[-_MAX_CHANGES:]]
    n_first = len(found.usual.sessions)
    return [
        *(lines or [f"no change against your first {counted(n_first, 'session')}"]),
        NO_DIAGNOSIS,
    ]


def _change(found: Trend, week: Week, name: str, point: Point) -> str:
    more = "more" if (point.difference or 0) > 0 else "less"
    low, high = (bare_text(name, end or 0) for end in (point.difference_low, point.difference_high))
    return (
        f"week of {week.monday}: {name_of(name)} {more} than in your first sessions: "
        f"{value_text(name, point.value)}, then {value_text(name, found.usual.values[name])} "
        f"(95 % interval of the difference {low} to {high}{unit_of(name)})"
    )


def cautions(found: Comparison) -> list[str]:
    """Say what keeps two sessions from being compared."""
    lines = [
        f"session {number}: too little, less than 60 s of speech" for number in found.too_little
    ]
    if found.apart:
        told = ", ".join(reasons(found.apart))
        lines.append(f"a difference may come from the recording: {told}")
    return lines
