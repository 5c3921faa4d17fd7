"""What can be practised: targets and what they ask for, sentences to say, and words for hints."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .aims import emotion_aim, known_changes
from .changes import DIMENSIONS
from .exercise import SENTENCES
from .session import USUAL_S


def choices(labels: Sequence[str]) -> dict[str, Any]:
    """Return what can be practised, as JSON carries it.

    Parameters
    ----------
    labels : sequence of str
        The emotions that the model knows: only those are `recognised`.
    """
    targets = [
        {
            **emotion_aim(emotion).to_dict(),
            "recognised": emotion in labels,
            "measured": bool(emotion_aim(emotion).wanted),
        }
        for emotion in known_changes()
    ]
    return {
        "targets": targets,
        "dimensions": {name: one.unit for name, one in DIMENSIONS.items()},
        "sentences": list(SENTENCES),
        "usual_seconds": USUAL_S,
    }


def choices_with_words(labels: Sequence[str]) -> dict[str, Any]:
    """Return what can be practised, and what hints are made of, by dimension under `hints`."""
    return choices(labels) | {"hints": {name: asdict(one) for name, one in DIMENSIONS.items()}}
