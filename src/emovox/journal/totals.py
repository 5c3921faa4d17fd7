"""What the segments of a session come to, kept with it so that a trend reads no segments."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .records import Segment
from .rows import PROSODY


@dataclass(frozen=True)
class Totals:
    """Sums and means over the segments of a session, each weighted by its seconds.

    `seconds` holds the seconds of each label, best guesses counted; `uncertain_s` those in which
    the model abstained; both are empty where nothing was inferred. `means` holds the mean of each
    measurement of the voice that could be measured.
    """

    n_segments: int = 0
    speech_s: float = 0.0
    inferred_s: float = 0.0
    uncertain_s: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict)
    means: Mapping[str, float] = field(default_factory=dict)

    def share(self, label: str) -> float:
        """Return the share, 0 to 1, of the inferred speech that sounded like a label."""
        return self.seconds.get(label, 0.0) / self.inferred_s

    def to_json(self) -> str:
        """Return the totals as a journal keeps them."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def of_json(cls, text: str) -> "Totals":
        """Return the totals that a journal kept."""
        fields: dict[str, Any] = json.loads(text)
        return cls(**fields)


def totals_of(segments: Iterable[Segment]) -> Totals:
    """Add up segments."""
    n_segments, speech_s, inferred_s, uncertain_s = 0, 0.0, 0.0, 0.0
    seconds: dict[str, float] = defaultdict(float)
    sums: dict[str, float] = defaultdict(float)
    weights: dict[str, float] = defaultdict(float)
    for segment in segments:
        n_segments += 1
        speech_s += segment.seconds
        if segment.inferred:
            inferred_s += segment.seconds
            seconds[segment.inferred.label] += segment.seconds
            uncertain_s += 0.0 if segment.inferred.certain else segment.seconds
        for name in PROSODY:
            value = getattr(segment.prosody, name)
            if value is not None:
                sums[name] += value * segment.seconds
                weights[name] += segment.seconds
    means = {name: round(sums[name] / weights[name], 4) for name in sums if weights[name] > 0}
    return Totals(
        n_segments,
        round(speech_s, 4),
        round(inferred_s, 4),
        round(uncertain_s, 4),
        {label: round(value, 4) for label, value in seconds.items()},
        means,
    )
