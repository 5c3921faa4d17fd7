"""A turn, and the answer to it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..prediction import Prediction, summarise

# Control characters, halves of surrogate pairs and non-characters, which XML cannot hold.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u2028\u2029]+")


@dataclass(frozen=True)
class Turn:
    """A stretch of a recording that somebody else cut: a diariser, a transcript, a dialogue system.

    `start` and `end` are seconds from the beginning of the recording; `speaker` and `text` are ""
    where they are not known. Nothing is checked: a turn that cannot be heard is answered as such.
    """

    start: float
    end: float
    speaker: str = ""
    text: str = ""


@dataclass(frozen=True)
class TurnAnswer:
    """The prediction of a turn, or the reason why there is none.

    `prediction` is None where nothing could be recognised; then `reason` says why, in one line,
    and is "" otherwise. The times of the prediction are those of the turn as far as it lies in the
    recording.
    """

    turn: Turn
    prediction: Prediction | None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as JSON carries it: the prediction's fields, and those of the turn.

        Without a prediction `label` is null, and the fields of the prediction are missing.
        """
        found = {"label": None} if self.prediction is None else self.prediction.to_dict()
        turn = self.turn
        times = {"start": turn.start, "end": turn.end}
        return found | times | {"speaker": turn.speaker, "text": turn.text, "reason": self.reason}


def speaker_summaries(answers: Sequence[TurnAnswer]) -> list[dict[str, Any]]:
    """Return what JSON says of the turns of each speaker, in the order of their first."""
    speakers: dict[str, list[Prediction]] = {}
    for answer in answers:
        own = speakers.setdefault(answer.turn.speaker, [])
        own += [answer.prediction] if answer.prediction else []
    return [
        {"speaker": speaker, **summarise(predictions).to_dict()}
        for speaker, predictions in speakers.items()
    ]


def one_spaced(text: str) -> str:
    r"""Return a text as one line, with single spaces and without control characters.

    Examples
    --------
    >>> one_spaced(" two\n lines ")
    'two lines'
    """
    return " ".join(_UNPRINTABLE.sub(" ", text).split())
