"""What was heard in one stretch of audio: the answer that every door of emovox gives."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Moment:
    """How much a quarter of a second carried a prediction.

    `start` and `end` are seconds from the beginning of the recording; `weight` is by how much the
    winning score falls when the moment is silenced, below zero where it rises.
    """

    start: float
    end: float
    weight: float


@dataclass(frozen=True)
class Prediction:
    """What was heard in one stretch of audio.

    `label` has the highest `score`; `scores` holds a calibrated probability of every label, and
    sums to 1; `start` and `end` are seconds from the beginning of the recording; where `certain`
    is False the model abstains, and the label is only its best guess. `final` is False in interim
    decisions of a live stream, which later ones replace. `moments` tell what carried the
    prediction, where that was asked for.
    """

    label: str
    score: float
    scores: Mapping[str, float]
    start: float
    end: float
    certain: bool
    final: bool = True
    moments: tuple[Moment, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as JSON carries it; "moments" only where they were asked for."""
        fields: dict[str, Any] = {
            "label": self.label,
            "score": self.score,
            "scores": dict(self.scores),
            "start": self.start,
            "end": self.end,
            "certain": self.certain,
            "final": self.final,
        }
        if self.moments is not None:
            fields["moments"] = [asdict(moment) for moment in self.moments]
        return fields

    def to_list(self) -> list[dict[str, Any]]:
        """Return [{"label", "score"}], best first, as Hugging Face's audio classification does."""
        best_first = sorted(self.scores.items(), key=lambda item: -item[1])
        return [{"label": label, "score": score} for label, score in best_first]
