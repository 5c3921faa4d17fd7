"""Answers to whole recordings: as one, segment by segment, measured, and as a baseline."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from ..baseline import Baseline
from ..errors import AudioError
from ..measuring import Measurement, measure_recording, measure_segments
from ..prediction import Prediction, summary_fields
from ..sound import open_sound
from ..stream import SpeechSegments
from ..turns.conversation import Conversation, baselines_of
from ..turns.finding import find_turns
from ..turns.turn import Turn as GivenTurn
from ..turns.turn import TurnAnswer, speaker_summaries
from .refusals import RefusedError
from .service import Service
from .settings import ServerSettings
from .workers import Turn

T = TypeVar("T")
Answer = TypeVar("Answer", Prediction, Measurement)
Channels = Literal["mix", "separate"]
MAX_CHANNELS = 8
_MAX_RATE = 192_000  # Hz
_MAX_WHOLE_PER_S = 2 * 96_000  # samples decoded for a second: stereo at 96 kHz
_LARGE_S = 30.0  # of a recording that is decoded as a whole: 2 MB of samples, several times
_MAX_EXPLAINED_S = 60.0  # each quarter second is weighed by a pass of its own


async def answer_whole(
    service: Service,
    content: bytes,
    baseline: Baseline | None,
    labels: Sequence[str] | None,
    explain: bool,
    prosody: bool,
) -> dict[str, Any]:
    """Answer a recording as a whole; the same as `Recognizer.predict`."""
    max_s = service.settings.max_clip_s
    if explain:
        max_s = min(max_s, _MAX_EXPLAINED_S)

    def recognise(turn: Turn) -> Prediction:
        recognizer = service.recognizer.pausing(turn)
        return recognizer.predict(
            content,
            baseline=baseline,
            labels=labels,
            explain=explain,
            prosody=prosody,
            max_seconds=max_s,
        )

    hint = "; ask for segments"
    prediction, compute_ms = await _timed_whole(service, [content], max_s, hint, recognise)
    _count(service, prediction.end, [prediction])
    return {
        "prediction": prediction.to_dict(),
        "model": service.recognizer.fingerprint,
        "seconds": prediction.end,
        "compute_ms": round(compute_ms, 2),
    }


async def answer_segments(
    service: Service,
    content: bytes,
    baseline: Baseline | None,
    labels: Sequence[str] | None,
    explain: bool,
    prosody: bool,
    channels: Channels,
) -> dict[str, Any]:
    """Answer a recording segment by segment; the same as `Recognizer.segments`."""
    max_s = service.settings.max_seconds

    def recognise(turn: Turn) -> _Heard[Prediction]:
        recognizer = service.recognizer.pausing(turn)
        return _hear(
            content,
            channels,
            max_s,
            lambda channel: recognizer.segments(
                content,
                baseline=baseline,
                labels=labels,
                explain=explain,
                prosody=prosody,
                channel=channel,
                without_bleed=channel is not None,
                max_seconds=max_s,
            ),
        )

    heard, compute_ms = await _timed(service, _limited(recognise, max_s, ""))
    _count(service, heard.seconds, [segment for _, segment in heard.found])
    return {
        "segments": heard.rows(),
        "model": service.recognizer.fingerprint,
        "seconds": heard.seconds,
        "compute_ms": round(compute_ms, 2),
        **summary_fields(heard.found, heard.n_channels if channels == "separate" else None),
        **heard.warning(),
    }


@dataclass(frozen=True)
class TurnsAsked:
    """The turns to answer: those given, or those of so many speakers (None: as many as differ)."""

    given: Sequence[GivenTurn] | None
    n_speakers: int | None = None


async def answer_turns(
    service: Service,
    content: bytes,
    asked: TurnsAsked,
    baseline: Baseline | None,
    labels: Sequence[str] | None,
    explain: bool,
    prosody: bool,
) -> dict[str, Any]:
    """Answer a recording turn by turn; the same as `Recognizer.turns`."""
    max_s = service.settings.max_seconds
    _check_turns(asked.given or (), service.settings)

    def recognise(turn: Turn) -> tuple[list[TurnAnswer], Conversation]:
        recognizer = service.recognizer.pausing(turn)
        check_sound(content, max_s, "", whole=False)
        turns = asked.given
        if turns is None:
            turns = find_turns(
                content,
                speakers=asked.n_speakers,
                max_seconds=max_s,
                on_progress=lambda *_: turn(),
            )
        conversation = recognizer.turns(
            content,
            turns,
            baselines=baselines_of(turns, baseline),
            labels=labels,
            explain=explain,
            prosody=prosody,
            max_seconds=max_s,
        )
        return list(conversation), conversation

    limited = _limited(recognise, max_s, "")
    (answers, conversation), compute_ms = await _timed(service, limited)
    seconds = round(conversation.seconds, 4)
    _count(service, seconds, [one.prediction for one in answers if one.prediction])
    return {
        "turns": [answer.to_dict() for answer in answers],
        "summaries": speaker_summaries(answers),
        "model": service.recognizer.fingerprint,
        "seconds": seconds,
        "compute_ms": round(compute_ms, 2),
        **({"warning": conversation.broken} if conversation.broken else {}),
    }


def _check_turns(turns: Sequence[GivenTurn], settings: ServerSettings) -> None:
    """Refuse turns that are long, or more of them than a recording has; bad times count nothing."""
    lengths = [one.end - one.start for one in turns]
    if max(lengths, default=0.0) > settings.max_clip_s:
        raise RefusedError(422, "turns", f"expected turns of at most {settings.max_clip_s:g} s")
    if sum(max(0.0, length) for length in lengths) > settings.max_seconds:
        raise RefusedError(
            422, "turns", f"expected turns of {settings.max_seconds:g} s together, at most"
        )


async def answer_measured(
    service: Service, content: bytes, segments: bool, channels: Channels
) -> dict[str, Any]:
    """Measure a recording, as a whole or segment by segment, and recognise nothing."""
    if segments:
        return await _measured_segments(service, content, channels)
    return await _measured_whole(service, content)


async def _measured_whole(service: Service, content: bytes) -> dict[str, Any]:
    """Measure a recording as a whole; the same as `measure_recording`."""
    max_s = service.settings.max_clip_s

    def measured(turn: Turn) -> Measurement:
        return measure_recording(content, max_seconds=max_s, on_chunk=turn)

    hint = "; ask for segments"
    whole, compute_ms = await _timed_whole(service, [content], max_s, hint, measured)
    _count(service, whole.end, [])
    return {
        "measurement": whole.to_dict(),
        "seconds": whole.end,
        "compute_ms": round(compute_ms, 2),
    }


async def _measured_segments(
    service: Service, content: bytes, channels: Channels
) -> dict[str, Any]:
    """Measure a recording segment by segment; the same as `measure_segments`."""
    max_s = service.settings.max_seconds

    def measured(turn: Turn) -> _Heard[Measurement]:
        return _hear(
            content,
            channels,
            max_s,
            lambda channel: measure_segments(
                content,
                channel=channel,
                without_bleed=channel is not None,
                max_seconds=max_s,
                on_second=turn,
            ),
        )

    heard, compute_ms = await _timed(service, _limited(measured, max_s, ""))
    _count(service, heard.seconds, [])
    return {
        "segments": heard.rows(),
        "seconds": heard.seconds,
        "compute_ms": round(compute_ms, 2),
        **heard.warning(),
    }


@dataclass(frozen=True)
class _Heard(Generic[Answer]):
    """The answers to the segments of a recording, with the channel of each (None: all as one)."""

    n_channels: int
    seconds: float
    broken: str
    found: list[tuple[int | None, Answer]]

    def rows(self) -> list[dict[str, Any]]:
        """Return the segments as JSON carries them."""
        return [
            answer.to_dict() | ({} if channel is None else {"channel": channel})
            for channel, answer in self.found
        ]

    def warning(self) -> dict[str, str]:
        """Return the field that tells where the recording breaks off, if it does."""
        return {"warning": self.broken} if self.broken else {}


def _hear(
    content: bytes,
    channels: Channels,
    max_s: float,
    segments_of: Callable[[int | None], SpeechSegments[Answer]],
) -> _Heard[Answer]:
    """Answer the segments of a recording's channels, one after the other."""
    sound = check_sound(content, max_s, "", whole=False)
    found: list[tuple[int | None, Answer]] = []
    for channel in range(sound.n_channels) if channels == "separate" else [None]:
        segments = segments_of(channel)
        found += [(channel, segment) for segment in segments]
    return _Heard(sound.n_channels, round(segments.seconds, 4), segments.broken, found)


async def answer_baseline(service: Service, contents: list[bytes], name: str) -> str:
    """Learn a speaker's baseline from recordings; return its JSON."""
    max_s = service.settings.max_clip_s

    def learn(turn: Turn) -> Baseline:
        return service.recognizer.pausing(turn).enrol(name, contents, max_seconds=max_s)

    baseline, _ = await _timed_whole(service, contents, max_s, "", learn)
    service.metrics.audio_seconds.labels("baseline").inc(baseline.seconds)
    return baseline.to_json()


@dataclass(frozen=True)
class _Sound:
    """What a recording's header says; seconds may be unknown."""

    n_channels: int
    seconds: float | None


def check_sound(content: bytes, max_s: float, hint: str, *, whole: bool) -> _Sound:
    """Refuse what is no audio or too much of it, by its header, and return what that says.

    A header may promise too little: what reads the recording holds the limit, too.
    """
    if not content:
        raise RefusedError(422, "audio", "expected a recording, got 0 bytes")
    try:
        with open_sound(io.BytesIO(content), "the recording") as file:
            rate, n_channels, frames = file.samplerate, file.channels, file.frames
    except AudioError as error:
        raise RefusedError(415, "unsupported_audio", str(error)) from None
    if n_channels > MAX_CHANNELS or rate > _MAX_RATE:
        raise RefusedError(
            422,
            "audio",
            f"expected at most {MAX_CHANNELS} channels and {_MAX_RATE} Hz, got {n_channels} "
            f"and {rate} Hz",
        )
    if frames is None:  # the reading limits it
        return _Sound(n_channels, None)
    too_much = whole and frames * n_channels > max_s * _MAX_WHOLE_PER_S
    if frames > max_s * rate or too_much:
        raise too_long(max_s, hint)
    return _Sound(n_channels, frames / rate)


def _limited(call: Callable[[Turn], T], max_s: float, hint: str) -> Callable[[Turn], T]:
    """Return a call that refuses a recording longer than its header promised, if it promised."""

    def run(turn: Turn) -> T:
        try:
            return call(turn)
        except AudioError as error:
            if error.kind == "too long":
                raise too_long(max_s, hint) from None
            raise

    return run


def too_long(max_s: float, hint: str) -> RefusedError:
    """Return the refusal of a recording longer than the limit."""
    return RefusedError(413, "too_long", f"expected a recording of at most {max_s:g} s{hint}")


def _count(service: Service, seconds: float, predictions: list[Prediction]) -> None:
    service.metrics.audio_seconds.labels("upload").inc(seconds)
    for prediction in predictions:
        service.metrics.decisions.labels("upload", prediction.label).inc()


async def _timed_whole(
    service: Service, contents: list[bytes], max_s: float, hint: str, call: Callable[[Turn], T]
) -> tuple[T, float]:
    """Like `_timed`; of calls with recordings that are large, once decoded, few run at a time."""
    limited = _limited(call, max_s, hint)

    def unless_large(turn: Turn) -> T | None:
        sounds = [check_sound(content, max_s, hint, whole=True) for content in contents]
        if any(sound.seconds is None or sound.seconds > _LARGE_S for sound in sounds):
            return None
        return limited(turn)

    result, compute_ms = await _timed(service, unless_large)
    if result is None:
        return await _timed(service, limited, large=True)
    return result, compute_ms


async def _timed(
    service: Service, call: Callable[[Turn], T], *, large: bool = False
) -> tuple[T, float]:
    """Run a call among the uploads; also return the milliseconds it took, waiting left out."""

    def run(turn: Turn) -> tuple[T, float]:
        result = call(turn)
        return result, 1000 * turn.spent_s

    return await service.workers.run_upload(run, large=large)
