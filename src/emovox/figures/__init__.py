"""Pictures: training, confusion, scores, one recording, a whole corpus; as PNG and SVG."""

from ._corpus import corpus
from ._recording import recording
from ._scores import coverage, reliability
from ._timeline import timeline
from .measurements import Measurements, measure
from .results import confusion, training_curves
from .style import EMOTION_COLOURS, is_of_kind, rendered, save, write_file

__all__ = [
    "EMOTION_COLOURS",
    "Measurements",
    "confusion",
    "corpus",
    "coverage",
    "is_of_kind",
    "measure",
    "recording",
    "reliability",
    "rendered",
    "save",
    "timeline",
    "training_curves",
    "write_file",
]
