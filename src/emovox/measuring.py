"""Measuring: recordings and live sound in, prosody out; no network looks for an emotion."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from .audio import MAX_SECONDS, RATE, AudioSource, Samples
from .cleaning import cleaned
from .decoding import read_blocks
from .loudness import judge_level
from .prosody import Prosody, measure
from .stream import SpeechSegments, SpeechStream, measured
from .vad import SEGMENT_S, Segment, Speech, read_speech


@dataclass(frozen=True)
class Measurement:
    """The prosody of a recording, or of a segment of speech in it.

    `start` and `end` are seconds from the beginning of the recording; `level` tells whether the
    speech is "good", "too quiet" or "too loud" to be measured well.
    """

    start: float
    end: float
    level: str
    prosody: Prosody

    def to_dict(self) -> dict[str, Any]:
        """Return the measurement as JSON carries it."""
        return {
            "start": self.start,
            "end": self.end,
            "level": self.level,
            "prosody": self.prosody.to_dict(),
        }


def measure_recording(
    audio: AudioSource | ArrayLike,
    rate: float | None = None,
    *,
    max_seconds: float = MAX_SECONDS,
    on_chunk: Callable[[], object] = lambda: None,
) -> Measurement:
    """Measure one recording as a whole; its pauses count, the silence around the speech does not.

    Parameters
    ----------
    audio : path, bytes, file object, or array, shape=(n_samples,) or (n_samples, n_channels)
    rate : float, optional
        Hz; needed with an array, and only then.
    max_seconds : float > 0
        A longer recording is refused; `measure_segments` takes any.
    on_chunk : callable, optional
        Called again and again; what it raises ends the work.

    Raises
    ------
    AudioError
        If the audio cannot be used; SilenceError, a kind of it, if it holds no sound;
        NoSpeechError, a kind of that, if nobody speaks in it.
    """
    speech = read_speech(audio, rate, max_seconds=max_seconds, on_chunk=on_chunk)
    return _measurement(0.0, round(speech.seconds, 4), speech.samples, measured(speech))


def _measurement(start: float, end: float, clip: Samples, prosody: Prosody) -> Measurement:
    return Measurement(start, end, judge_level(clip, prosody.level_db), prosody)


def measure_segments(
    audio: AudioSource | ArrayLike,
    rate: float | None = None,
    *,
    max_segment_s: float = SEGMENT_S,
    channel: int | None = None,
    without_bleed: bool = False,
    max_seconds: float = math.inf,
    on_second: Callable[[], object] = lambda: None,
) -> SpeechSegments[Measurement]:
    """Measure each segment of speech in a recording of any length, those of `Recognizer.segments`.

    Parameters
    ----------
    audio, rate, max_segment_s, channel, without_bleed, max_seconds
        As for `Recognizer.segments`.
    on_second : callable, optional
        Called for each second of sound; what it raises ends the work.

    Returns
    -------
    segments : SpeechSegments
        An iterable that yields a `Measurement` for each segment, in the order spoken.

    Raises
    ------
    AudioError
        If the audio cannot be used; while you iterate.
    ConfigError
        If `max_segment_s` is out of range.
    """
    stream = MeasuringStream(max_segment_s=max_segment_s, on_second=on_second)
    blocks = read_blocks(audio, rate, channel=channel, without_bleed=without_bleed)
    return SpeechSegments(stream, blocks, max_seconds=max_seconds)


class MeasuringStream(SpeechStream[Measurement]):
    """Measures each segment of speech in a live session; there are no interim measurements.

    Parameters
    ----------
    rate, max_segment_s
        As for `SpeechStream`.
    on_second : callable, optional
        Called for each second of sound; what it raises ends the work.
    """

    def __init__(
        self,
        rate: float = RATE,
        *,
        max_segment_s: float = SEGMENT_S,
        on_second: Callable[[], object] = lambda: None,
    ) -> None:
        self._on_second = on_second
        super().__init__(rate, max_segment_s=max_segment_s)

    def pause(self) -> None:
        """Let others have a turn."""
        self._on_second()

    def _final(self, segment: Segment) -> Measurement:
        clip = cleaned(segment.audio)
        return _measurement(self._at(segment.start), self._at(segment.end), clip, measure(clip))

    def _turn(self, speech: Speech, first: int) -> Measurement:
        start, end = (round(at, 4) for at in (first / RATE, first / RATE + speech.seconds))
        return _measurement(start, end, speech.samples, measured(speech))

    def _interim(self, segment: Segment) -> Measurement:
        return self._final(segment)
