"""How a take differs from a person's usual voice, in five dimensions."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..prosody import Prosody


@dataclass(frozen=True)
class Dimension:
    """One thing that a person can change in their voice.

    `unit` is how a change of it is given; `step` the least change that a hint asks for, about what
    a listener notices; `more` and `less` tell how to change it.
    """

    unit: str
    step: float
    more: str
    less: str


DIMENSIONS: Mapping[str, Dimension] = MappingProxyType(
    {
        "pitch": Dimension("st", 1.0, "speak higher", "speak lower"),
        "range": Dimension("st", 1.0, "let your melody rise and fall more", "keep it more even"),
        "loudness": Dimension("dB", 1.0, "speak louder", "speak softer"),
        "tempo": Dimension("%", 5.0, "speak faster", "speak slower"),
        "pauses": Dimension("% of the time", 5.0, "pause more", "pause less"),
    }
)
"""Pitch and range in semitones, loudness in dB, tempo in percent, pauses in points of percent.

The steps: a semitone and a decibel are about what is noticed in running speech, 5 % what is of
tempo (H. Quene, On the just noticeable difference for tempo in speech, Journal of Phonetics 35,
2007).
"""


def changes(take: Prosody, usual: Prosody) -> dict[str, float | None]:
    """Return how a take differs from the usual voice, by dimension.

    None where one of them could not be measured.
    """
    differences = take.relative_to(usual)
    return {
        "pitch": differences["pitch_st"],
        "range": differences["pitch_range_st"],
        "loudness": differences["level_db"],
        "tempo": _percent(take.rate_hz, usual.rate_hz),
        "pauses": 100 * (take.pause_share - usual.pause_share),
    }


def _percent(now: float | None, before: float | None) -> float | None:
    """Return by how many percent one is above the other."""
    return 100 * (now / before - 1) if now is not None and before else None
