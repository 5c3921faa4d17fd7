"""The messages of a live session: parsing and checking those of the client, writing ours."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..baseline import Baseline
from ..checks import is_number
from ..errors import BaselineError

MIN_RATE, MAX_RATE = 8_000, 192_000  # Hz
MIN_INTERVAL_S, MAX_INTERVAL_S = 0.1, 10.0
KINDS = (
    "session.update", "baseline.get", "baseline.reset", "flush", "turn", "ping", "session.close",
)  # fmt: skip
_MAX_NESTED = 64  # objects and lists in a message: small ones take far more memory than their text
_CHEAP = frozenset({"ping", "session.close"})
_WORK = 20.0  # ordinary messages that a message with work for the service counts as
# Escaped backslashes and pairs of surrogates go first; a surrogate that is left stands alone.
_WHOLE_ESCAPE = re.compile(r"\\\\|\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class MessageError(Exception):
    """An invalid client message: a code for programs, and a line for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class SessionOptions:
    """The options of a live session, which its client can set.

    Where `emotion` is false, prosody is measured, and no emotion recognised.
    """

    rate: int = 16_000
    interval_s: float = 0.5
    baseline: Baseline | None = None
    learn: bool = True
    prosody: bool = False
    emotion: bool = True

    @property
    def bytes_per_s(self) -> int:
        """Bytes per second of audio."""
        return 2 * self.rate

    def to_dict(self) -> dict[str, Any]:
        """Return the options as the service confirms them; of the baseline only its seconds."""
        return {
            "rate": self.rate,
            "interval_s": self.interval_s,
            "learn": self.learn,
            "prosody": self.prosody or not self.emotion,
            "emotion": self.emotion,
            "baseline_seconds": self.baseline.seconds if self.baseline else 0.0,
        }


@dataclass(frozen=True)
class Request:
    """A valid text message: its type, and the `SessionOptions` that a session.update changes."""

    kind: str
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """Number of ordinary messages that it counts as."""
        return 1.0 if self.kind in _CHEAP else _WORK


def read_message(text: str) -> Request:
    """Parse a text message; only the options of a session.update are kept.

    Raises
    ------
    MessageError
        If it is not JSON, its type is not one of `KINDS`, or an option is invalid.
    """
    message = _parsed(text)
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise MessageError("type", f"expected an object with a type of {', '.join(KINDS)}")
    assert isinstance(message, dict)
    return Request(kind, _changes(message) if kind == "session.update" else {})


def read_samples(data: bytes) -> NDArray[np.int16]:
    """Return the samples of a binary message, s16le.

    Raises
    ------
    MessageError
        If the number of bytes is odd.
    """
    if len(data) % 2:
        raise MessageError(
            "odd_bytes", f"expected 16-bit samples, an even number of bytes, got {len(data)}"
        )
    return np.frombuffer(data, "<i2")


def as_text(message: Mapping[str, Any]) -> str:
    """Return a message as it is sent: always JSON, and always UTF-8.

    Raises
    ------
    ValueError
        If a number in it is not finite.
    """
    text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()  # without lone surrogates


def _parsed(text: str) -> object:
    """Parse JSON, after a check of how much work and memory it would take."""
    if text.count("[") + text.count("{") > _MAX_NESTED:
        raise MessageError("json", f"expected at most {_MAX_NESTED} objects and lists in a message")
    if _SURROGATE.search(_WHOLE_ESCAPE.sub(" ", text)):
        raise MessageError("json", "expected Unicode text, got half of a surrogate pair")
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        raise MessageError("json", "expected a text message of JSON") from None


def _changes(message: dict[str, Any]) -> dict[str, Any]:
    options = {key: value for key, value in message.items() if key != "type"}
    if unknown := options.keys() - _READERS.keys():
        known = ", ".join(_READERS)
        named = ", ".join(sorted(unknown))[:200]
        raise MessageError(
            "parameter", f"session.update takes {known}, but got {named}; audio is 16-bit samples"
        )
    return {key: _READERS[key](value) for key, value in options.items()}


def _rate(value: Any) -> int:
    rate = _number(value, "rate", MIN_RATE, MAX_RATE)
    if rate != int(rate):
        raise MessageError("parameter", f"rate: expected a whole number of Hz, got {rate:g}")
    return int(rate)


def _interval_s(value: Any) -> float:
    return _number(value, "interval_s", MIN_INTERVAL_S, MAX_INTERVAL_S)


def _switch(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise MessageError("parameter", f"{name}: expected true or false, got {value!r:.40}")
    return value


def _baseline(value: Any) -> Baseline | None:
    try:
        return None if value is None else Baseline.from_dict(value)
    except BaselineError as error:
        raise MessageError("baseline", str(error)) from None


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "rate": _rate,
    "interval_s": _interval_s,
    "baseline": _baseline,
    **{name: partial(_switch, name) for name in ("learn", "prosody", "emotion")},
}


def _number(value: Any, name: str, lowest: float, highest: float) -> float:
    if not is_number(value) or not lowest <= value <= highest:
        wanted = f"{lowest:g} to {highest:g}"
        raise MessageError("parameter", f"{name}: expected {wanted}, got {value!r:.40}")
    return float(value)


def _no_constant(name: str) -> float:
    raise ValueError(name)
