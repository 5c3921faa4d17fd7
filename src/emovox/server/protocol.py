"""The messages of a live session: parsing and checking those of the client, writing ours."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ..baseline import Baseline
from ..checks import is_number
from ..errors import BaselineError, ConfigError
from .practice import PracticeOptions

MIN_RATE, MAX_RATE = 8_000, 192_000  # Hz
MIN_INTERVAL_S, MAX_INTERVAL_S = 0.1, 10.0
# Each with its default rate in Hz: that of telephony, or of the model.
ENCODINGS: Mapping[str, int] = {"linear16": 16_000, "mulaw": 8_000, "alaw": 8_000, "opus": 48_000}
OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)  # Hz, of encoders: RFC 6716, section 2
MAX_CHANNELS, MAX_OPUS_CHANNELS = 8, 2  # a packet of Opus has no more
_OPUS_BYTES_PER_S = 6_000  # of speech, or more than that
KINDS = (
    "session.update", "baseline.get", "baseline.reset", "flush", "turn", "practice", "ping",
    "session.close",
)  # fmt: skip
_MAX_NESTED = 64  # objects and lists in a message: small ones take far more memory than their text
_CHEAP = frozenset({"ping", "session.close"})
_WORK = 20.0  # ordinary messages that a message with work for the service counts as
# Escaped backslashes and pairs of surrogates go first; a surrogate that is left stands alone.
_WHOLE_ESCAPE = re.compile(r"\\\\|\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class MessageError(Exception):
    """An invalid client message: a code for programs, and a line for people.

    If it is `fatal`, the session cannot go on: it would hear audio with the wrong options.
    """

    def __init__(self, code: str, message: str, *, fatal: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.fatal = fatal


@dataclass(frozen=True)
class SessionOptions:
    """The options of a live session, which its client can set.

    Where `emotion` is false, prosody is measured, and no emotion recognised.
    """

    encoding: str = "linear16"
    rate: int | None = None  # Hz; None: the default of the encoding
    channels: int = 1
    interval_s: float = 0.5
    baselines: tuple[Baseline | None, ...] = (None,)  # one for each channel
    learn: bool = True
    prosody: bool = False
    emotion: bool = True
    labels: tuple[str, ...] | None = None  # the only ones to answer with
    practice: PracticeOptions | None = None

    @property
    def rate_hz(self) -> int:
        """Rate of the audio in Hz."""
        return self.rate or ENCODINGS[self.encoding]

    @property
    def bytes_per_s(self) -> int:
        """Bytes per second of audio; about as many, if it is compressed."""
        if self.encoding == "opus":
            return _OPUS_BYTES_PER_S
        n_bytes = 2 if self.encoding == "linear16" else 1
        return n_bytes * self.channels * self.rate_hz

    def changed(self, changes: Mapping[str, Any]) -> "SessionOptions":
        """Return the options after a session.update.

        Raises
        ------
        MessageError
            If they do not fit one another.
        """
        options = replace(self, **changes)
        if "baselines" not in changes and options.channels != len(options.baselines):
            options = replace(options, baselines=(None,) * options.channels)
        if options.channels != len(options.baselines):
            raise _fatal(
                f"baselines: expected one, or null, for each of {options.channels} channels, "
                f"got {len(options.baselines)}"
            )
        if options.encoding == "opus":
            _check_opus(options)
        if options.practice and options.channels > 1:
            raise _fatal(f"channels: expected 1 with practice, got {options.channels}")
        return options

    def to_dict(self) -> dict[str, Any]:
        """Return the options as the service confirms them; of the baselines only their seconds."""
        heard = [baseline.seconds if baseline else 0.0 for baseline in self.baselines]
        return {
            "encoding": self.encoding,
            "rate": self.rate_hz,
            "channels": self.channels,
            "interval_s": self.interval_s,
            "learn": self.learn,
            "prosody": self.prosody or not self.emotion,
            "emotion": self.emotion,
            "labels": None if self.labels is None else list(self.labels),
            "practice": self.practice.to_dict() if self.practice else None,
            "baseline_seconds": heard[0] if self.channels == 1 else heard,
        }


@dataclass(frozen=True)
class Request:
    """A valid text message: its type, and the `SessionOptions` that it changes.

    Other messages may name a channel; None means all of them.
    """

    kind: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    channel: int | None = None

    @property
    def cost(self) -> float:
        """Number of ordinary messages that it counts as."""
        return 1.0 if self.kind in _CHEAP else _WORK


def read_message(text: str) -> Request:
    """Parse a text message; only the options of a session.update and a channel are kept.

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
    if kind == "session.update":
        return Request(kind, _changes(message))
    if kind == "practice":
        asked = {key: value for key, value in message.items() if key != "type"}
        return Request(kind, {"practice": _practice(asked)})
    return Request(kind, channel=_channel(message.get("channel")))


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
        raise _fatal(f"session.update takes {known}, but got {named}")
    if {"baseline", "baselines"} <= options.keys():
        raise _fatal("expected either baseline or baselines, got both")
    try:
        changes = {key: _READERS[key](value) for key, value in options.items()}
    except MessageError as error:
        raise MessageError(error.code, str(error), fatal=True) from None
    if "baseline" in changes:
        changes["baselines"] = (changes.pop("baseline"),)
    return changes


def _check_opus(options: SessionOptions) -> None:
    if options.channels > MAX_OPUS_CHANNELS:
        raise _fatal(
            f"channels: expected 1 or {MAX_OPUS_CHANNELS} for opus, got {options.channels}"
        )
    if options.rate_hz not in OPUS_RATES:
        rates = ", ".join(map(str, OPUS_RATES))
        raise _fatal(f"rate: expected one of {rates} for opus, got {options.rate_hz}")


def _fatal(message: str) -> MessageError:
    return MessageError("parameter", message, fatal=True)


def _encoding(value: Any) -> str:
    if not isinstance(value, str) or value not in ENCODINGS:
        names = ", ".join(ENCODINGS)
        raise MessageError("parameter", f"encoding: expected one of {names}, got {value!r:.40}")
    return value


def _channel(value: Any) -> int | None:
    return None if value is None else _whole(value, "channel", 0, MAX_CHANNELS - 1)


def _interval_s(value: Any) -> float:
    return _number(value, "interval_s", MIN_INTERVAL_S, MAX_INTERVAL_S)


def _switch(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise MessageError("parameter", f"{name}: expected true or false, got {value!r:.40}")
    return value


def _practice(value: Any) -> PracticeOptions | None:
    try:
        return None if value is None else PracticeOptions.read(value)
    except ConfigError as error:
        raise MessageError("parameter", f"practice: {error}") from None


def _baseline(value: Any) -> Baseline | None:
    try:
        return None if value is None else Baseline.from_dict(value)
    except BaselineError as error:
        raise MessageError("baseline", str(error)) from None


def _baselines(value: Any) -> tuple[Baseline | None, ...]:
    if not isinstance(value, list):
        raise MessageError("parameter", f"baselines: expected a list, got {value!r:.40}")
    return tuple(map(_baseline, value))


def _labels(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise MessageError("parameter", f"labels: expected a list of labels, got {value!r:.40}")
    return tuple(value)


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "encoding": _encoding,
    "rate": lambda value: _whole(value, "rate", MIN_RATE, MAX_RATE, "Hz"),
    "channels": lambda value: _whole(value, "channels", 1, MAX_CHANNELS),
    "interval_s": _interval_s,
    "baseline": _baseline,
    "baselines": _baselines,
    "labels": _labels,
    "practice": _practice,
    **{name: partial(_switch, name) for name in ("learn", "prosody", "emotion")},
}


def _number(value: Any, name: str, lowest: float, highest: float) -> float:
    if not is_number(value) or not lowest <= value <= highest:
        wanted = f"{lowest:g} to {highest:g}"
        raise MessageError("parameter", f"{name}: expected {wanted}, got {value!r:.40}")
    return float(value)


def _whole(value: Any, name: str, lowest: int, highest: int, unit: str = "") -> int:
    number = _number(value, name, lowest, highest)
    if number != int(number):
        wanted = f"a whole number of {unit}" if unit else "a whole number"
        raise MessageError("parameter", f"{name}: expected {wanted}, got {number:g}")
    return int(number)


def _no_constant(name: str) -> float:
    raise ValueError(name)
