"""A live session of practice: sound in; moments, the usual voice and judged takes out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from ..audio import RATE, Samples, check_block
from ..errors import AudioError, ConfigError
from ..practice.aims import Aim, emotion_aim, loudness_aim, pitch_aim
from ..practice.choices import choices
from ..practice.cutter import Cutter
from ..practice.exercise import N_TAKES, Exercise, Outcome, outcome
from ..practice.session import (
    MOST_TAKE_S,
    MOST_USUAL_S,
    USUAL_S,
    Practice,
    Usual,
    check_aim,
    hear_usual,
)
from .answers import Exercises
from .refusals import Json

if TYPE_CHECKING:
    from ..recognizer import Recognizer
    from .live import Block, Update
    from .service import Service

MAX_TAKES = 20
_MOMENT_S = 0.08  # of sound, at least, between two moments
_AIMS: Mapping[str, Callable[[str], Aim]] = {
    "target": emotion_aim,
    "loudness": loudness_aim,
    "pitch": pitch_aim,
}


@dataclass(frozen=True)
class PracticeOptions:
    """What a session practises: an aim, and how many takes of each sentence."""

    aim: Aim
    n_takes: int = N_TAKES

    @classmethod
    def read(cls, value: Any) -> "PracticeOptions":
        """Read what a client asks for: a target, a loudness or a pitch, and takes.

        Raises
        ------
        ConfigError
            If it asks for none of these, for more than one, or for what there is not.
        """
        if not isinstance(value, dict) or len(value.keys() & _AIMS.keys()) != 1:
            raise ConfigError(f"expected an object with one of {', '.join(_AIMS)}")
        if unknown := value.keys() - _AIMS.keys() - {"takes"}:
            raise ConfigError(f"expected {', '.join(_AIMS)} and takes, got {min(unknown)!r:.40}")
        ((kind, word),) = (item for item in value.items() if item[0] in _AIMS)
        n_takes = value.get("takes", N_TAKES)
        if type(n_takes) is not int or not 1 <= n_takes <= MAX_TAKES:
            raise ConfigError(f"expected 1 to {MAX_TAKES} takes, got {n_takes!r:.40}")
        if not isinstance(word, str) or len(word) > 40:
            raise ConfigError(f"expected {kind} as a short text, got {word!r:.40}")
        return cls(_AIMS[kind](word), n_takes)

    def to_dict(self) -> dict[str, Any]:
        """Return it as the service confirms it."""
        return {**self.aim.to_dict(), "takes": self.n_takes}


class PracticeStream:
    """The sound of one speaker who practises, and the updates to send; for one thread at a time.

    The first recording is their usual voice, those after it are takes. Without a recogniser
    nothing infers.

    Raises
    ------
    ConfigError
        If neither measurements nor the recogniser can tell how close a take is.
    """

    def __init__(
        self, options: PracticeOptions, rate: int, recognizer: "Recognizer | None"
    ) -> None:
        self._rate, self._recognizer = rate, recognizer
        self._n_samples = 0
        self._moment_sent = 0.0  # seconds
        self._usual: Usual | None = None
        self._options = options
        self._exercises: list[Exercise] = []
        self.practise(options)

    @property
    def seconds(self) -> float:
        """Seconds of audio received."""
        return self._n_samples / self._rate

    def practise(self, options: PracticeOptions) -> dict[str, Any]:
        """Begin another sentence, of the same aim or of another; return the message about it."""
        check_aim(options.aim, self._recognizer)
        is_same = options.aim.name == self._options.aim.name
        tried = [one for one in self._exercises if one.attempts] if is_same else []
        self._exercises = [*tried, Exercise("", options.n_takes)]
        self._options = options
        self._cutter = self._new_cutter()
        return {"type": "practice.aim", **options.to_dict()}

    def feed(self, blocks: "Sequence[Block]") -> "list[Update]":
        """Take in audio and return the updates to send, in order."""
        updates: list[Update] = []
        for block in blocks:
            self._n_samples += len(block.samples)
            sound = self._cutter.feed(check_block(block.samples), self._rate)
            if sound is not None:
                updates.append(self._heard(sound))
        if self.seconds - self._moment_sent >= _MOMENT_S:
            self._moment_sent = self.seconds
            updates.append(self._moment())
        return updates

    def outcome(self) -> Outcome:
        """Return what all sentences of the aim at hand have come to so far."""
        return outcome(self._options.aim.name, self._exercises)

    def flush(self) -> "list[Update]":
        """Return nothing: what has not ended by itself is no take."""
        return []

    def _new_cutter(self) -> Cutter:
        return Cutter(0.0, MOST_TAKE_S) if self._usual else Cutter(USUAL_S, MOST_USUAL_S)

    def _heard(self, sound: Samples) -> "Update":
        return self._judged(sound) if self._usual else self._learned(sound)

    def _learned(self, sound: Samples) -> "Update":
        """Hear the usual voice; what cannot be used has to be said again."""
        try:
            self._usual = hear_usual([(sound, RATE)], self._recognizer)
        except AudioError as error:
            self._cutter = self._new_cutter()
            return {"type": "practice.again", "message": str(error)}
        self._cutter = self._new_cutter()
        return {"type": "practice.usual", **self._usual.to_dict()}

    def _judged(self, sound: Samples) -> "Update":
        """Tell how close a take came, and which one of its sentence was the best so far."""
        assert self._usual
        if self._exercises[-1].is_over:
            self._exercises.append(Exercise("", self._options.n_takes))
        exercise = self._exercises[-1]
        practice = Practice(self._options.aim, self._usual, self._recognizer)
        attempt = practice.attempt(sound, RATE)
        exercise.attempts.append(attempt)
        return {
            "type": "practice.attempt",
            **attempt.to_dict(),
            "take": exercise.n_told,
            "takes": exercise.n_takes,
            "best": exercise.best[0] if exercise.best else None,
            "over": exercise.is_over,
        }

    def _moment(self) -> "Update":
        """Return the latest moment; pitch and loudness against the usual voice, once known."""
        moment = self._cutter.moment()
        usual = self._usual.prosody if self._usual and moment.speaking else None
        pitch = moment.pitch_st
        is_pitched = usual is not None and usual.pitch_st is not None and pitch is not None
        return {
            "type": "practice.moment",
            "seconds": round(self.seconds, 3),
            "speaking": moment.speaking,
            "speech_seconds": round(moment.speech_s, 2),
            "pitch_st": round(pitch - usual.pitch_st, 2) if is_pitched else None,  # type: ignore
            "loudness_db": round(moment.level_db - usual.level_db, 1) if usual else None,
        }


def add_practice(app: FastAPI, service: "Service") -> None:
    """Add the route that tells what can be practised."""
    answer = choices(service.recognizer.labels)

    @app.get("/v1/practice", tags=["practice"], response_model=Exercises)
    async def practice() -> Json:
        """Return what can be practised in a live session, and sentences to say."""
        return Json(answer)
