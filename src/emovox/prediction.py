"""The answer that every method of emovox gives, and the summary of the answers to a recording."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .prosody import Prosody


@dataclass(frozen=True)
class Moment:
    """How much a quarter of a second carried a prediction.

    `start` and `end` are seconds from the beginning of the recording; `weight` is by how much the
    winning score falls when the moment is silenced, below zero where it rises.
    """

    start: float
    end: float
    weight: float

    def moved(self, place: Callable[[float], float]) -> "Moment":
        """Return the moment with its start and end where `place` puts them."""
        return Moment(place(self.start), place(self.end), self.weight)


@dataclass(frozen=True)
class Prediction:
    """What was heard in one piece of audio.

    `label` has the highest `score`; `scores` holds a calibrated probability of every label, and
    sums to 1; `start` and `end` are seconds from the beginning of the recording; where `certain`
    is False the model abstains, and the label is only its best guess. `final` is False in interim
    decisions of a live stream, which later ones replace. `level_db` is how loud the speech was, in
    dB of full scale, and `level` tells whether that is "good", "too quiet" or "too loud" to be
    judged well. `moments` tell what carried the prediction, and `prosody` what was measured of the
    voice, each where that was asked for.
    """

    label: str
    score: float
    scores: Mapping[str, float]
    start: float
    end: float
    certain: bool
    final: bool = True
    level_db: float = 0.0
    level: str = "good"
    moments: tuple[Moment, ...] | None = None
    prosody: "Prosody | None" = None

    def moved(self, seconds: float) -> "Prediction":
        """Return the prediction with its times, and those of its moments, so much later."""
        moved = self.with_moments(lambda at: round(at + seconds, 4))
        start, end = (round(at + seconds, 4) for at in (self.start, self.end))
        return replace(moved, start=start, end=end)

    def with_moments(self, place: Callable[[float], float]) -> "Prediction":
        """Return the prediction with the times of its moments where `place` puts them."""
        if self.moments is None:
            return self
        return replace(self, moments=tuple(moment.moved(place) for moment in self.moments))

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as JSON carries it; moments and prosody only if asked for."""
        fields: dict[str, Any] = {
            "label": self.label,
            "score": self.score,
            "scores": dict(self.scores),
            "start": self.start,
            "end": self.end,
            "certain": self.certain,
            "final": self.final,
            "level_db": self.level_db,
            "level": self.level,
        }
        if self.moments is not None:
            fields["moments"] = [asdict(moment) for moment in self.moments]
        if self.prosody is not None:
            fields["prosody"] = self.prosody.to_dict()
        return fields

    def to_list(self) -> list[dict[str, Any]]:
        """Return [{"label", "score"}], best first, as Hugging Face's audio classification does."""
        best_first = sorted(self.scores.items(), key=lambda item: -item[1])
        return [{"label": label, "score": score} for label, score in best_first]


@dataclass(frozen=True)
class TurningPoint:
    """At second `at` the emotion `before` gave way to `after`."""

    at: float
    before: str
    after: str


@dataclass(frozen=True)
class Summary:
    """What a recording's segments come to.

    `shares` holds the share of the speech time of each label, best guesses counted; they sum to 1,
    and are empty without speech. `uncertain` is the share in which the model abstains.
    """

    speech_seconds: float
    shares: Mapping[str, float]
    uncertain: float
    turning_points: tuple[TurningPoint, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON carries it."""
        return {
            "speech_seconds": self.speech_seconds,
            "shares": dict(self.shares),
            "uncertain": self.uncertain,
            "turning_points": [asdict(point) for point in self.turning_points],
        }


def summary_fields(
    segments: Sequence[tuple[int | None, Prediction]], n_channels: int | None
) -> dict[str, Any]:
    """Return what JSON says of a recording's segments: `summary`, and `summaries`, one a channel.

    The latter where each channel is a speaker of its own; the former is then of all of them, and
    without turning points, since one speaker does not take up where another stopped.

    Parameters
    ----------
    segments : sequence of (channel, Prediction)
        In the order spoken; the channel is None where all are heard as one.
    n_channels : int or None
        Where each channel is a speaker of its own; None where all are heard as one.
    """
    together = summarise([segment for _, segment in segments]).to_dict()
    if n_channels is None:
        return {"summary": together}
    del together["turning_points"]
    summaries = [
        {
            "channel": channel,
            **summarise([segment for one, segment in segments if one == channel]).to_dict(),
        }
        for channel in range(n_channels)
    ]
    return {"summary": together, "summaries": summaries}


def summarise(predictions: Sequence[Prediction]) -> Summary:
    """Sum up the final predictions of one speaker, in the order spoken.

    A turning point is the start of a segment of which the model is certain and whose label differs
    from that of the certain segment before it. Interim predictions do not count.
    """
    segments = [prediction for prediction in predictions if prediction.final]
    seconds = sum(segment.end - segment.start for segment in segments)
    times = dict.fromkeys(segments[0].scores, 0.0) if segments else {}
    for segment in segments:
        times[segment.label] += segment.end - segment.start
    sure_seconds = sum(segment.end - segment.start for segment in segments if segment.certain)
    points = (
        TurningPoint(after.start, before.label, after.label) for before, after in changes(segments)
    )
    return Summary(
        round(seconds, 4),
        MappingProxyType({label: time / seconds for label, time in times.items()}),
        1 - sure_seconds / seconds if segments else 0.0,
        tuple(points),
    )


def changes(predictions: Sequence[Prediction]) -> list[tuple[Prediction, Prediction]]:
    """Return the segments on both sides of each turning point of one speaker, in order."""
    certain = [segment for segment in predictions if segment.final and segment.certain]
    return [pair for pair in pairwise(certain) if pair[0].label != pair[1].label]
