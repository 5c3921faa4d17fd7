"""What is measured of a voice in a segment: the one place that a journal takes it from."""

from dataclasses import dataclass

from ..audio import Samples
from ..loudness import speech_level_db


@dataclass(frozen=True)
class Prosody:
    """Measurements of a stretch of speech: of the voice, not of an emotion."""

    pitch_st: float | None = None
    pitch_range_st: float | None = None
    level_db: float | None = None
    rate_hz: float | None = None
    pause_share: float | None = None
    voiced_share: float | None = None


def measure(samples: Samples) -> Prosody:
    """Measure a segment, mono float32 at 16 kHz."""
    return Prosody(level_db=speech_level_db(samples))
