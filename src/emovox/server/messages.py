"""Schemas of a live session's messages, for the AsyncAPI document only."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from ..practice.exercise import N_TAKES
from ..version import __version__
from .answers import Baseline, Measurement, Prediction, Prosody, Wanted
from .practice import MAX_TAKES
from .protocol import (
    ENCODINGS,
    MAX_CHANNELS,
    MAX_INTERVAL_S,
    MAX_RATE,
    MIN_INTERVAL_S,
    MIN_RATE,
)

Encoding = Literal["linear16", "mulaw", "alaw", "opus"]
Channel = Field(None, ge=0, lt=MAX_CHANNELS, description="index from 0; without it: all channels")
Named = Field(0, ge=0, lt=MAX_CHANNELS, description="only in a session of several channels")
_REF = "#/components/schemas/{model}"


class _Sent(BaseModel):
    """A message from the client; keys that it does not know are ignored."""

    model_config = ConfigDict(strict=True)


class _Received(BaseModel):
    """A message from the service, with exactly these keys."""

    model_config = ConfigDict(extra="forbid", strict=True)


class PracticeAsked(BaseModel):
    """What to practise: exactly one of target, loudness and pitch."""

    model_config = ConfigDict(extra="forbid", strict=True)
    target: str | None = Field(None, max_length=40, description="an emotion")
    loudness: str | None = Field(None, max_length=40, description='such as "6dB" or "-4dB"')
    pitch: str | None = Field(None, max_length=40, description='"up", "down", or such as "+2st"')
    takes: int = Field(N_TAKES, ge=1, le=MAX_TAKES, description="of each sentence")


class SessionUpdate(BaseModel):
    """Set options, before the first audio; all but the type may be left out."""

    model_config = ConfigDict(extra="forbid", strict=True)
    type: Literal["session.update"]
    encoding: Encoding = "linear16"
    rate: int = Field(
        ENCODINGS["linear16"],
        ge=MIN_RATE,
        le=MAX_RATE,
        description="Hz; default 8000 for mulaw and alaw. For opus: 8000, 12000, 16000, 24000 or "
        "48000, the encoder's",
    )
    channels: int = Field(1, ge=1, le=MAX_CHANNELS, description="interleaved; for opus 1 or 2")
    interval_s: float = Field(0.5, ge=MIN_INTERVAL_S, le=MAX_INTERVAL_S)
    baseline: Baseline | None = None
    baselines: list[Baseline | None] = Field([], description="instead: one for each channel")
    learn: bool = True
    prosody: bool = False
    emotion: bool = True
    labels: list[str] | None = Field(None, description="answer with these labels alone")
    practice: PracticeAsked | None = Field(None, description="takes instead of results")


class BaselineGet(_Sent):
    """Ask for the baseline."""

    type: Literal["baseline.get"]
    channel: int | None = Channel


class BaselineReset(_Sent):
    """Start a new baseline."""

    type: Literal["baseline.reset"]
    channel: int | None = Channel


class Flush(_Sent):
    """End the current segment without waiting for a pause."""

    type: Literal["flush"]
    channel: int | None = Channel


class AskTurn(_Sent):
    """Ask for what was said since the last turn."""

    type: Literal["turn"]
    channel: int | None = Channel


class Practise(PracticeAsked):
    """Begin another sentence of practice, of the same aim or of another."""

    type: Literal["practice"]


class Ping(_Sent):
    """Keep a silent session open."""

    type: Literal["ping"]


class SessionClose(_Sent):
    """Say that this is the last message."""

    type: Literal["session.close"]


class Limits(_Received):
    """Limits of a session."""

    max_message_bytes: int
    max_messages_per_s: float
    max_session_s: float
    idle_s: float


class SessionCreated(_Received):
    """The first message."""

    type: Literal["session.created"]
    session: str = Field(description="a random name, also in the log")
    model: str = Field(description="fingerprint of the model file")
    labels: list[str]
    rate: int
    interval_s: float
    limits: Limits


class Aim(_Received):
    """What is practised."""

    target: str
    emotion: str | None = Field(description="null for loudness and pitch alone")
    wanted: dict[str, Wanted] = Field(description="by dimension")
    takes: int


class SessionUpdated(_Received):
    """The options now in use."""

    type: Literal["session.updated"]
    encoding: Encoding
    rate: int
    channels: int
    interval_s: float
    learn: bool
    prosody: bool
    emotion: bool
    labels: list[str] | None
    practice: Aim | None
    baseline_seconds: float | list[float] = Field(description="a list if there are more channels")


class SpeechStart(_Received):
    """Speech began."""

    type: Literal["speech.start"]
    at: float = Field(description="seconds")
    channel: int = Named


class SpeechEnd(_Received):
    """Speech ended."""

    type: Literal["speech.end"]
    at: float = Field(description="seconds")
    channel: int = Named


class Result(_Received):
    """A prediction, interim or final."""

    type: Literal["result"]
    prediction: Prediction
    latency_ms: float = Field(description="from the arrival of the last audio it needed")
    baseline_seconds: float
    channel: int = Named


class Measured(_Received):
    """The prosody of a segment, in a session without `emotion`."""

    type: Literal["measurement"]
    measurement: Measurement
    latency_ms: float
    channel: int = Named


class Turn(_Received):
    """What was said since the last turn; null for nothing."""

    type: Literal["turn"]
    prediction: Prediction | None = None
    measurement: Measurement | None = Field(None, description="in a session without emotion")
    latency_ms: float = Field(description="from the question")
    channel: int = Named


class Level(_Received):
    """The level of the audio, about five times a second."""

    type: Literal["level"]
    db: float = Field(description="dB of full scale")
    seconds: float
    channel: int = Named


class BaselineAnswer(_Received):
    """The baseline so far."""

    type: Literal["baseline"]
    baseline: Baseline
    channel: int = Named


class PracticeAim(Aim):
    """The answer to `practice`: what is practised now."""

    type: Literal["practice.aim"]


class PracticeMoment(_Received):
    """The latest 0.3 s of sound, about ten times a second."""

    type: Literal["practice.moment"]
    seconds: float
    speaking: bool
    speech_seconds: float = Field(description="in this recording so far")
    pitch_st: float | None = Field(description="semitones above the usual voice")
    loudness_db: float | None = Field(description="dB above the usual voice")


class PracticeUsual(_Received):
    """The usual voice is known."""

    type: Literal["practice.usual"]
    speech_seconds: float
    prosody: Prosody


class PracticeAgain(_Received):
    """The usual voice could not be used and has to be said again."""

    type: Literal["practice.again"]
    message: str


class Hint(_Received):
    """What to change."""

    dimension: str
    by: float
    unit: str
    text: str


class Sounded(_Received):
    """What the model heard in a take."""

    label: str
    score: float
    scores: dict[str, float]
    certain: bool


class PracticeAttempt(_Received):
    """How close a take came; one that could not be told costs no take."""

    type: Literal["practice.attempt"]
    told: bool
    why_untold: str | None
    closeness: float | None = Field(ge=0, le=1, description="0: the usual voice, 1: the target")
    changes: dict[str, float | None] | None = Field(description="from the usual voice")
    hint: Hint | None
    prosody: Prosody | None
    emotion: Sounded | None = Field(None, description="where a model judges as well")
    take: int = Field(description="takes of this sentence that counted")
    takes: int
    best: int | None = Field(description="the closest take, counted from 1")
    over: bool = Field(description="whether the next take is of another sentence")


class Pong(_Received):
    """The answer to `ping`."""

    type: Literal["pong"]


class Error(_Received):
    """Why a message was ignored, or the session ends."""

    type: Literal["error"]
    code: str
    message: str
    fatal: bool


class SessionClosed(_Received):
    """The last message."""

    type: Literal["session.closed"]
    seconds: float
    speech_seconds: float
    decisions: int
    reason: str


SENT: tuple[type[BaseModel], ...] = (
    SessionUpdate, BaselineGet, BaselineReset, Flush, AskTurn, Practise, Ping,
    SessionClose,
)  # fmt: skip
RECEIVED: tuple[type[BaseModel], ...] = (
    SessionCreated, SessionUpdated, SpeechStart, SpeechEnd, Result, Measured, Turn, Level,
    BaselineAnswer, PracticeAim, PracticeMoment, PracticeUsual, PracticeAgain, PracticeAttempt,
    Pong, Error, SessionClosed,
)  # fmt: skip


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of `/v1/stream`."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in (*SENT, *RECEIVED)], ref_template=_REF
    )
    messages = {model.__name__: _message(model) for model in (*SENT, *RECEIVED)}
    messages["Audio"] = {
        "summary": "Audio in the session's encoding, its channels interleaved.",
        "contentType": "application/octet-stream",
        "payload": {"type": "string", "format": "binary"},
    }
    named = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "emovox", "version": __version__},
        "defaultContentType": "application/json",
        "channels": {"stream": {"address": "/v1/stream", "messages": named}},
        "operations": {
            "hear": _operation("receive", [*SENT], ["Audio"]),
            "answer": _operation("send", [*RECEIVED], []),
        },
        "components": {"messages": messages, "schemas": schemas["$defs"]},
    }


def _message(model: type[BaseModel]) -> dict[str, Any]:
    (kind,) = model.model_fields["type"].annotation.__args__  # type: ignore[union-attr]
    return {
        "name": kind,
        "summary": (model.__doc__ or "").splitlines()[0],
        "payload": {"$ref": _REF.format(model=model.__name__)},
    }


def _operation(action: str, models: list[type[BaseModel]], others: list[str]) -> dict[str, Any]:
    names = [*(model.__name__ for model in models), *others]
    return {
        "action": action,
        "channel": {"$ref": "#/channels/stream"},
        "messages": [{"$ref": f"#/channels/stream/messages/{name}"} for name in names],
    }
