"""emovox recognises emotion in speech.

Examples
--------
>>> from emovox import Recognizer
>>> recognizer = Recognizer.load()
>>> recognizer.labels
('angry', 'disgust', 'fear', 'happy', 'neutral', 'sad', 'surprise')
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .audio import load_audio
    from .baseline import Baseline
    from .errors import EmovoxError
    from .prediction import Prediction
    from .recognizer import AsyncRecognizer, Recognizer
    from .stream import Stream
    from .turns.reading import read_turns
    from .turns.turn import Turn

# onnxruntime keeps a device ID and a database of events, and looks up a collector's name, unless
# this is set before its first import, in this process and in those that it starts.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__all__ = [
    "AsyncRecognizer",
    "Baseline",
    "EmovoxError",
    "Prediction",
    "Recognizer",
    "Stream",
    "Turn",
    "__version__",
    "load_audio",
    "read_turns",
]

_HOMES = {
    "AsyncRecognizer": "recognizer",
    "Baseline": "baseline",
    "EmovoxError": "errors",
    "Prediction": "prediction",
    "Recognizer": "recognizer",
    "Stream": "stream",
    "Turn": "turns.turn",
    "load_audio": "audio",
    "read_turns": "turns.reading",
}


def __getattr__(name: str) -> Any:
    """Load public names when first used, so that `import emovox` costs next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'emovox' has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
