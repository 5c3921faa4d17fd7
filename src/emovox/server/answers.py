"""What the answers hold, for the OpenAPI document; answers are made without them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Answer(BaseModel):
    """An answer, or a part of one, with these keys and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Moment(_Answer):
    """How much a quarter of a second carried a prediction."""

    start: float
    end: float
    weight: float = Field(description="by how much the score falls when the moment is silenced")


class Prediction(_Answer):
    """What was heard in a stretch of audio."""

    label: str
    score: float = Field(ge=0, le=1, description="of the label")
    scores: dict[str, float] = Field(description="of every label; they sum to 1")
    start: float = Field(description="seconds")
    end: float = Field(description="seconds")
    certain: bool = Field(description="false: the model abstains, the label is its best guess")
    final: bool
    moments: list[Moment] = Field([], description="with explain=true alone")


class Part(Prediction):
    """What was heard in a part of a recording."""

    channel: int = Field(0, description="counted from 0; with channels=separate alone")


class TurningPoint(_Answer):
    """One emotion gave way to another."""

    at: float = Field(description="seconds")
    before: str
    after: str


class Summary(_Answer):
    """What the parts of a recording come to."""

    speech_seconds: float
    shares: dict[str, float] = Field(description="of the speech time of each label")
    uncertain: float = Field(description="share in which the model abstains")
    turning_points: list[TurningPoint] = Field([], description="not of several channels together")


class ChannelSummary(Summary):
    """What the parts of one channel come to."""

    channel: int


class _Recording(_Answer):
    model: str = Field(description="fingerprint of the model file")
    seconds: float = Field(description="of the recording")
    compute_ms: float = Field(description="that recognising took")


class Whole(_Recording):
    """A recording answered as a whole."""

    prediction: Prediction


class Segments(_Recording):
    """A recording answered part by part."""

    segments: list[Part]
    summary: Summary
    summaries: list[ChannelSummary] = Field([], description="with channels=separate alone")
    warning: str = Field("", description="where the recording breaks off")


class Baseline(_Answer):
    """How a speaker usually sounds, as a model hears it."""

    version: Literal[1] = Field(alias="schema")
    model: str = Field(description="fingerprint of the model file")
    name: str
    seconds: float
    total: list[float]


class Model(BaseModel):
    """A model's card: these keys among others."""

    model_config = ConfigDict(extra="allow", strict=True)

    name: str
    labels: list[str]
    rate: int = Field(description="Hz")
    threshold: float = Field(description="of the score, below which a prediction is not certain")
    licence: str
    features: dict[str, Any]
    figures: dict[str, float]
    fingerprint: str


class Sign(_Answer):
    """A sign of life."""

    status: Literal["ok"]


class Mistake(_Answer):
    """A word for programs, and a line for people."""

    code: str
    message: str


class Refusal(_Answer):
    """Why there is no answer."""

    error: Mistake
