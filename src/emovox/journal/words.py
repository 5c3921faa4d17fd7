"""How measures and cautions of a journal are told: "sounded", never "was"."""

from types import MappingProxyType

from .comparison import Comparison
from .trend import SOUNDED, is_share

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


def cautions(found: Comparison) -> list[str]:
    """Say what keeps two sessions from being compared."""
    lines = [
        f"session {number}: too little, less than 60 s of speech" for number in found.too_little
    ]
    if found.apart:
        told = ", ".join(reasons(found.apart))
        lines.append(f"a difference may come from the recording: {told}")
    return lines
