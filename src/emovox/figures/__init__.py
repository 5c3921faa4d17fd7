"""Pictures: training, confusion, scores, one recording, a whole corpus; as PNG and SVG."""

from .comparisons import comparison
from .corpora import corpus
from .journals import Stretch, session, sessions_beside
from .measurements import Measurements, measure
from .recordings import recording
from .results import confusion, training_curves
from .scores import coverage, reliability
from .style import (
    EMOTION_COLOURS,
    check_drawing,
    colours_of,
    is_of_kind,
    rendered,
    save,
    write_file,
)
from .timelines import Heard, timeline

__all__ = [
    "EMOTION_COLOURS",
    "Heard",
    "Measurements",
    "Stretch",
    "check_drawing",
    "colours_of",
    "comparison",
    "confusion",
    "corpus",
    "coverage",
    "is_of_kind",
    "measure",
    "recording",
    "reliability",
    "rendered",
    "save",
    "session",
    "sessions_beside",
    "timeline",
    "training_curves",
    "write_file",
]
