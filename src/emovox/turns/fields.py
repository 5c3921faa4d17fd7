"""What the readers share: times in a text, and the error that a line is damaged."""

import math
import re
from typing import TypeVar

from ..errors import TurnsError

T = TypeVar("T")
_NUMBER = re.compile(r"[+-]?(\d{1,15}(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_CLOCK = re.compile(r"(?:(\d{1,6}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,9}))?", re.ASCII)


def damaged(line: int, expected: str, got: str) -> TurnsError:
    """Return the error that a line is not as expected."""
    return TurnsError(f"line {line}: expected {expected}, got {got[:60]!r}")


def read_number(text: str) -> float | None:
    """Return a finite number, None for any other text."""
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None


def read_clock(text: str) -> float | None:
    """Return the seconds of hours, minutes and seconds, such as 1:02:03.5; None for other texts."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups()[:3])
    if minutes > 59 or seconds > 59:
        return None
    thousandths = int((match[4] or "0").ljust(3, "0")[:3])
    return (1000 * (3600 * hours + 60 * minutes + seconds) + thousandths) / 1000


def _names(recording: str) -> set[str]:
    """Return a recording's name without its folders, with and without its suffix."""
    name = recording.replace("\\", "/").rpartition("/")[2]
    return {name, name.rpartition(".")[0] or name}


def of_recording(found: list[tuple[str, T]], recording: str) -> list[T]:
    """Return what belongs to a recording, if there are several; all if there is one.

    Raises
    ------
    TurnsError
        If there are several, and none is this one.
    """
    names = list(dict.fromkeys(name for name, _ in found))
    if len(names) < 2:
        return [item for _, item in found]
    chosen = [item for name, item in found if _names(name) & _names(recording)]
    if not chosen:
        listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise TurnsError(
            f"expected turns of the recording {recording!r}, got those of {len(names):,}: {listed}"
        )
    return chosen
