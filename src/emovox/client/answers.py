"""Answers of the service as the types that the library gives in the same process."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..errors import (
    AudioError,
    BaselineError,
    EmovoxError,
    NoSpeechError,
    ServiceError,
    TurnsError,
)
from ..measuring import Measurement
from ..prediction import Moment, Prediction
from ..prosody import Prosody
from ..turns.turn import Turn, TurnAnswer


@dataclass(frozen=True)
class Segments:
    """The segments of a recording: predictions, its length, and why it ends early, if it does.

    `channel` counts from 0; None where all channels were heard as one.
    """

    predictions: tuple[Prediction, ...]
    seconds: float
    warning: str = ""
    channel: int | None = None


@dataclass(frozen=True)
class Result:
    """An answer of a live session; its `start` and `end` are seconds of what you have sent.

    `answer` is a Measurement where no emotion was asked for. `latency_ms` is the time that the
    service took from the last audio it needed, `baseline_seconds` the speech in the speaker's
    baseline.
    """

    answer: Prediction | Measurement
    channel: int
    latency_ms: float
    baseline_seconds: float = 0.0

    @property
    def prediction(self) -> Prediction:
        """The answer, of a session that recognises emotion."""
        assert isinstance(self.answer, Prediction), "this session measures"
        return self.answer


@dataclass(frozen=True)
class TurnResult:
    """The answer to all that was said on a channel since the turn before, as you asked for it.

    `answer` is None if nobody has spoken, and a Measurement in a session without emotion. Its
    `start` and `end` are seconds of what you have sent. `latency_ms` counts from the question.
    """

    answer: Prediction | Measurement | None
    channel: int
    latency_ms: float


@dataclass(frozen=True)
class Speech:
    """Somebody began to speak, or has stopped, at a second of what you have sent."""

    at: float
    began: bool
    channel: int


@dataclass(frozen=True)
class Gap:
    """What you sent between these seconds was lost with the connection, which is back."""

    start: float
    end: float


@dataclass(frozen=True)
class Problem:
    """The service ignored a message, such as a damaged packet, for this reason."""

    code: str
    reason: str


def prediction_of(data: Mapping[str, Any], after_s: float = 0.0) -> Prediction:
    """Return the prediction in JSON's data, moved by some seconds."""
    fields = dict(data)
    fields.pop("channel", None)
    fields["scores"] = MappingProxyType(dict(data["scores"]))
    fields |= _placed(data, after_s)
    if "moments" in data:
        fields["moments"] = tuple(Moment(**moment) for moment in data["moments"])
    if "prosody" in data:
        fields["prosody"] = Prosody(**data["prosody"])
    return Prediction(**fields)


def turn_answer_of(data: Mapping[str, Any]) -> TurnAnswer:
    """Return the answer to a turn in JSON's data."""
    fields = dict(data)
    speaker, text, reason = (fields.pop(key) for key in ("speaker", "text", "reason"))
    turn = Turn(data["start"], data["end"], speaker, text)
    return TurnAnswer(turn, None if data["label"] is None else prediction_of(fields), reason)


def measurement_of(data: Mapping[str, Any], after_s: float = 0.0) -> Measurement:
    """Return the measurement in JSON's data, moved by some seconds."""
    place = _placed(data, after_s)
    return Measurement(**place, level=data["level"], prosody=Prosody(**data["prosody"]))


def _placed(data: Mapping[str, Any], after_s: float) -> dict[str, float]:
    return {key: round(data[key] + after_s, 4) for key in ("start", "end")}


def error_of(code: str, message: str, status: int = 0) -> EmovoxError:
    """Return the exception that the library raises for the same reason, or a ServiceError."""
    if code == "no_speech":
        return NoSpeechError(message)
    if code in ("audio", "unsupported_audio"):
        return AudioError(message)
    if code == "turns":
        return TurnsError(message)
    return BaselineError(message) if code == "baseline" else ServiceError(message, code, status)
