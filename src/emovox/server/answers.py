"""Schemas of the answers, for the OpenAPI document only."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Answer(BaseModel):
    """An answer or a part of one, with exactly these keys."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Moment(_Answer):
    """The weight of a quarter of a second in a prediction."""

    start: float
    end: float
    weight: float = Field(description="decrease of the score when the moment is silenced")


class Prosody(_Answer):
    """Measurements of a voice."""

    pitch_st: float | None = Field(description="median pitch, semitones above 27.5 Hz")
    pitch_range_st: float | None = Field(description="from the 10th to the 90th percentile")
    level_db: float = Field(description="level of the speech, in dB of full scale")
    rate_hz: float | None = Field(description="syllables a second of speech")
    pause_share: float = Field(ge=0, le=1, description="pauses of 0.25 s and more")
    voiced_share: float = Field(ge=0, le=1, description="share of the speech that has a pitch")


class Prediction(_Answer):
    """The emotion recognised in a span of audio."""

    label: str
    score: float = Field(ge=0, le=1, description="score of the label")
    scores: dict[str, float] = Field(description="score of every label; they sum to 1")
    start: float = Field(description="seconds")
    end: float = Field(description="seconds")
    certain: bool = Field(description="false if the model abstains; the label is its best guess")
    final: bool
    level_db: float = Field(description="level of the speech, in dB of full scale")
    level: Literal["good", "too quiet", "too loud"] = Field(
        description="whether the speech was too quiet or too loud to be judged well"
    )
    moments: list[Moment] = Field([], description="only with explain=true")
    prosody: Prosody | None = Field(None, description="only with prosody=true")


class Segment(Prediction):
    """The emotion recognised in a segment of a recording."""

    channel: int = Field(0, description="index from 0; only with channels=separate")


class TurningPoint(_Answer):
    """A change from one emotion to another."""

    at: float = Field(description="seconds")
    before: str
    after: str


class Summary(_Answer):
    """Summary of the segments of a recording."""

    speech_seconds: float
    shares: dict[str, float] = Field(description="share of each label in the speech time")
    uncertain: float = Field(description="share of the speech time in which the model abstains")
    turning_points: list[TurningPoint] = Field(
        [], description="empty for several channels together"
    )


class ChannelSummary(Summary):
    """Summary of the segments of one channel."""

    channel: int


class _Recording(_Answer):
    model: str = Field(description="fingerprint of the model file")
    seconds: float = Field(description="length of the recording")
    compute_ms: float = Field(description="milliseconds spent on recognition")


class Whole(_Recording):
    """Answer to a recording as a whole."""

    prediction: Prediction


class Segments(_Recording):
    """Answer to a recording, segment by segment."""

    segments: list[Segment]
    summary: Summary
    summaries: list[ChannelSummary] = Field([], description="only with channels=separate")
    warning: str = Field("", description="where the recording breaks off, if it does")


class Turn(_Answer):
    """The emotion recognised in a turn; `label` is null, and others missing, without one."""

    label: str | None
    score: float = Field(0.0, ge=0, le=1, description="score of the label")
    scores: dict[str, float] = Field({}, description="score of every label; they sum to 1")
    start: float = Field(description="seconds")
    end: float = Field(description="seconds")
    certain: bool = Field(False, description="false if the model abstains")
    final: bool = True
    level_db: float = Field(0.0, description="level of the speech, in dB of full scale")
    level: Literal["good", "too quiet", "too loud"] = "good"
    moments: list[Moment] = Field([], description="only with explain=true")
    prosody: Prosody | None = Field(None, description="only with prosody=true")
    speaker: str = Field(description="empty if unknown")
    text: str = Field(description="what was said, if the file of turns has it")
    reason: str = Field(description="why there is no answer; else empty")


class SpeakerSummary(Summary):
    """Summary of the turns of one speaker."""

    speaker: str


class Turns(_Recording):
    """Answer to a recording, turn by turn."""

    turns: list[Turn]
    summaries: list[SpeakerSummary]
    warning: str = Field("", description="where the recording breaks off, if it does")


class Measurement(_Answer):
    """The prosody of a recording, or of a segment of it."""

    start: float = Field(description="seconds")
    end: float = Field(description="seconds")
    level: Literal["good", "too quiet", "too loud"] = Field(
        description="whether the speech was too quiet or too loud to be measured well"
    )
    prosody: Prosody
    channel: int = Field(0, description="index from 0; only with channels=separate")


class _Measured(_Answer):
    seconds: float = Field(description="length of the recording")
    compute_ms: float = Field(description="milliseconds spent on measuring")


class MeasuredWhole(_Measured):
    """The prosody of a recording as a whole; no emotion is recognised."""

    measurement: Measurement


class MeasuredSegments(_Measured):
    """The prosody of a recording segment by segment; no emotion is recognised."""

    segments: list[Measurement]
    warning: str = Field("", description="where the recording breaks off, if it does")


class Wanted(_Answer):
    """A change that is aimed at, in the unit of its dimension."""

    by: float
    low: float | None = Field(description="null: there is no bound")
    high: float | None = Field(description="null: there is no bound")
    spread: float = Field(description="of takes of people who make the change")


class Target(_Answer):
    """An emotion that can be practised, and what people change for it."""

    target: str
    emotion: str | None
    wanted: dict[str, Wanted] = Field(description="by dimension")
    recognised: bool = Field(description="whether the model knows it")
    measured: bool = Field(description="whether it can be practised without the model")


class Exercises(_Answer):
    """What can be practised in a live session."""

    targets: list[Target]
    dimensions: dict[str, str] = Field(description="their units")
    sentences: list[str]
    usual_seconds: float = Field(description="of speech that the usual voice takes")


class Baseline(_Answer):
    """A speaker's baseline for one model."""

    version: Literal[1] = Field(alias="schema")
    model: str = Field(description="fingerprint of the model file")
    name: str
    seconds: float
    total: list[float]


class Model(BaseModel):
    """A model card; it has further keys."""

    model_config = ConfigDict(extra="allow", strict=True)

    name: str
    labels: list[str]
    rate: int = Field(description="Hz")
    threshold: float = Field(description="score below which a prediction is not certain")
    licence: str
    features: dict[str, Any]
    figures: dict[str, float]
    fingerprint: str


class Sign(_Answer):
    """Answer of a health check."""

    status: Literal["ok"]


class Mistake(_Answer):
    """A code for programs, and a line for people."""

    code: str
    message: str


class Refusal(_Answer):
    """Body of every error."""

    error: Mistake
