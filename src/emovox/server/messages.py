"""The messages of a live session: what a client may say, checked; what the service says."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..baseline import Baseline

MIN_RATE, MAX_RATE = 8_000, 192_000  # Hz
MIN_INTERVAL_S, MAX_INTERVAL_S = 0.1, 10.0
KINDS = ("session.update", "baseline.get", "baseline.reset", "flush", "ping", "session.close")
_UPDATE_KEYS = frozenset({"type", "rate", "interval_s", "baseline", "learn"})


class MessageError(Exception):
    """A message that cannot be heeded: a code for programs, and a line for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Update:
    """How a client wants to be heard: a session.update."""

    rate: int = 16_000
    interval_s: float = 0.5
    baseline: Baseline | None = None
    learn: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return it as it is confirmed, the baseline in seconds alone."""
        return {
            "rate": self.rate,
            "interval_s": self.interval_s,
            "learn": self.learn,
            "baseline_seconds": self.baseline.seconds if self.baseline else 0.0,
        }


def read_message(text: str) -> dict[str, Any]:
    """Read a text message, and check that its type is one of `KINDS`.

    Raises
    ------
    MessageError
        If it is not.
    """
    try:
        message = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise MessageError("json", "expected a text message of JSON") from None
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise MessageError("type", f"expected an object with a type of {', '.join(KINDS)}")
    assert isinstance(message, dict)
    return message


def read_update(message: dict[str, Any], now: Update) -> Update:
    """Return what a session.update makes of the present wishes; what it leaves out stays.

    Raises
    ------
    MessageError
        If a key is unknown or its value cannot be.
    BaselineError
        If the baseline is none.
    """
    if unknown := message.keys() - _UPDATE_KEYS:
        raise MessageError("parameter", f"unknown keys: {', '.join(sorted(unknown))[:200]}")
    rate = _number(message.get("rate", now.rate), "rate", MIN_RATE, MAX_RATE)
    if rate != int(rate):
        raise MessageError("parameter", f"rate: expected a whole number of Hz, got {rate}")
    interval_s = _number(
        message.get("interval_s", now.interval_s), "interval_s", MIN_INTERVAL_S, MAX_INTERVAL_S
    )
    learn = message.get("learn", now.learn)
    if not isinstance(learn, bool):
        raise MessageError("parameter", "learn: expected true or false")
    baseline = now.baseline
    if "baseline" in message:
        given = message["baseline"]
        baseline = None if given is None else Baseline.from_json(json.dumps(given))
    return Update(int(rate), float(interval_s), baseline, learn)


def read_samples(data: bytes) -> NDArray[np.int16]:
    """Return the samples of a binary message, s16le.

    Raises
    ------
    MessageError
        If its bytes are not whole samples.
    """
    if len(data) % 2:
        raise MessageError(
            "odd_bytes", f"expected 16-bit samples, an even number of bytes, got {len(data)}"
        )
    return np.frombuffer(data, "<i2")


def _number(value: Any, name: str, lowest: float, highest: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not lowest <= value <= highest:  # NaN is not, either
        raise MessageError("parameter", f"{name}: expected {lowest:g} to {highest:g}")
    return float(value)


def _no_constant(name: str) -> float:
    raise ValueError(name)
