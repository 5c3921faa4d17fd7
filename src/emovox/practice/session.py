"""A session of practice: the person's usual voice, then takes, each told how close it came."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from ..audio import RATE, AudioSource, Samples
from ..errors import AudioError, ConfigError, NoSpeechError, SilenceError
from ..loudness import ADVICE, judge_level, speech_level_db
from ..prosody import Prosody, measure
from ..stream import measured
from ..vad import Speech, read_speech
from .aims import Aim
from .changes import changes
from .hints import Hint, blended, closeness, hint

if TYPE_CHECKING:
    from ..baseline import Baseline
    from ..prediction import Prediction
    from ..recognizer import Recognizer

USUAL_S, MOST_USUAL_S = 12.0, 90.0  # of speech, and of sound, in a usual voice heard live
MOST_TAKE_S = 30.0  # of sound, of a take heard live
LEAST_USUAL_S = 10.0  # of speech in a person's usual voice
_MAX_USUAL_S = 600.0  # seconds of a recording of it
_MAX_TAKE_S = 60.0
_LEAST_TAKE_S = 0.8  # of speech, in which a melody can be told
_LEAST_SEGMENT_S = 1.0


@dataclass(frozen=True)
class Usual:
    """How a person usually sounds: measured, and as a model hears it where one is asked.

    `prosody` is that of its segments together; `speech_s` are seconds of speech.
    """

    prosody: Prosody
    speech_s: float
    baseline: "Baseline | None" = None

    def to_dict(self) -> dict[str, Any]:
        """Return what was measured as JSON carries it."""
        return {"speech_seconds": round(self.speech_s, 2), "prosody": self.prosody.to_dict()}


@dataclass(frozen=True)
class Attempt:
    """What a take came to.

    Where `untold` says why it could not be told, it costs no take, and has no `closeness`. That is
    0 for the person's usual voice, and 1 for the aim. `changes` are those from the usual voice, by
    dimension; `prediction` is None where no emotion was looked for.
    """

    untold: str = ""
    closeness: float | None = None
    changes: Mapping[str, float | None] | None = None
    hint: Hint | None = None
    prosody: Prosody | None = None
    prediction: "Prediction | None" = None

    def to_dict(self) -> dict[str, Any]:
        """Return the attempt as JSON carries it; what is not known is null."""
        rounded = self.changes and {
            name: None if change is None else round(change, 2)
            for name, change in self.changes.items()
        }
        fields = {
            "told": not self.untold,
            "why_untold": self.untold or None,
            "closeness": None if self.closeness is None else round(self.closeness, 4),
            "changes": rounded,
            "hint": asdict(self.hint) if self.hint else None,
            "prosody": self.prosody.to_dict() if self.prosody else None,
        }
        return fields | ({"emotion": _emotion(self.prediction)} if self.prediction else {})


@dataclass(frozen=True)
class Practice:
    """An aim and a person's usual voice: what takes are compared with.

    Without a `recognizer` no emotion is looked for, whatever the aim.

    Raises
    ------
    ConfigError
        If neither measurements nor the recogniser can tell how close a take is.
    """

    aim: Aim
    usual: Usual
    recognizer: "Recognizer | None" = None

    def __post_init__(self) -> None:
        check_aim(self.aim, self.recognizer)

    def attempt(self, audio: AudioSource | ArrayLike, rate: float | None = None) -> Attempt:
        """Tell how close a take came, and give at most one hint.

        Parameters
        ----------
        audio : path, bytes, file object, or array, shape=(n_samples,) or (n_samples, n_channels)
        rate : float, optional
            Hz; needed with an array, and only then.

        Raises
        ------
        AudioError
            If the recording cannot be read, or is longer than a minute. A take in which nobody
            speaks is no error, but untold.
        """
        try:
            speech = read_speech(audio, rate, max_seconds=_MAX_TAKE_S)
        except (NoSpeechError, SilenceError):
            return Attempt("no speech was found")
        prosody = measured(speech)
        if untold := _untold(speech, prosody):
            return Attempt(untold, prosody=prosody)
        return self._judged(speech, prosody)

    def _judged(self, speech: Speech, prosody: Prosody) -> Attempt:
        changed = changes(prosody, self.usual.prosody)
        close, advice = closeness(changed, self.aim), hint(changed, self.aim)
        if self.recognizer is None or self.aim.emotion is None:
            return Attempt("", close, changed, advice, prosody)
        prediction, _ = self.recognizer.hear(speech.samples, self.usual.baseline)
        if not prediction.certain:
            untold = "the emotion was uncertain"
            return Attempt(untold, None, changed, advice, prosody, prediction)
        close = blended(close, prediction.scores[self.aim.emotion])
        return Attempt("", close, changed, advice, prosody, prediction)


def check_aim(aim: Aim, recognizer: "Recognizer | None") -> None:
    """Refuse an aim that neither measurements nor the recogniser can judge.

    Raises
    ------
    ConfigError
        If the recogniser does not know the aim's emotion; or, without one, if people agree in
        nothing that they change for it.
    """
    if recognizer is None and not aim.wanted:
        raise ConfigError(
            f"people do not agree in how they change their voice for {aim.name!r}, so it cannot be "
            "measured; practise it with emotion recognition"
        )
    if recognizer and aim.emotion and aim.emotion not in recognizer.labels:
        raise ConfigError(
            f"the model does not know {aim.emotion!r}, only {', '.join(recognizer.labels)}; "
            "without emotion recognition it can be practised if people agree in it"
        )


def hear_usual(
    recordings: Sequence[tuple[AudioSource | ArrayLike, float | None]],
    recognizer: "Recognizer | None" = None,
) -> Usual:
    """Learn how a person usually sounds from recordings in their everyday, neutral voice.

    Parameters
    ----------
    recordings : sequence of (audio, rate)
        As for `Practice.attempt`; 10 s of speech in all, or more.
    recognizer : Recognizer, optional
        Learns a baseline as well.

    Raises
    ------
    AudioError
        If one cannot be read, is too quiet or too loud, or if there is too little speech in them.
    """
    spoken = [read_speech(audio, rate, max_seconds=_MAX_USUAL_S) for audio, rate in recordings]
    _check_level(spoken)
    speech_s = sum(len(speech.samples) for speech in spoken) / RATE
    if speech_s < LEAST_USUAL_S:
        raise AudioError(
            f"expected {LEAST_USUAL_S:g} s of your usual voice or more, heard {speech_s:.1f} s of "
            "speech; record a longer text",
            "too short",
        )
    baseline = _learned(recognizer, spoken) if recognizer else None
    return Usual(_usual_of(spoken), speech_s, baseline)


def _untold(speech: Speech, prosody: Prosody) -> str:
    """Return why a take cannot be told; "" where it can."""
    speech_s = len(speech.samples) / RATE
    level = judge_level(speech.samples, prosody.level_db)
    if level != "good":
        return f"it was {level}: {ADVICE[level]}"
    if speech_s < _LEAST_TAKE_S:
        return f"it was too short: {speech_s:.1f} s of speech, and {_LEAST_TAKE_S:g} s are needed"
    return "no pitch was found: speak with your voice, do not whisper" * (prosody.pitch_st is None)


def typical(measured: Sequence[Prosody]) -> Prosody:
    """Return how a voice mostly is, of measurements of its segments.

    Medians, since pitch may be tracked an octave off; shares are means, as most are 0.
    """
    return Prosody(
        pitch_st=_median(one.pitch_st for one in measured),
        pitch_range_st=_median(one.pitch_range_st for one in measured),
        level_db=round(median(one.level_db for one in measured), 1),
        rate_hz=_median(one.rate_hz for one in measured),
        pause_share=round(fmean(one.pause_share for one in measured), 4),
        voiced_share=round(fmean(one.voiced_share for one in measured), 4),
    )


def _usual_of(spoken: Sequence[Speech]) -> Prosody:
    """Measure a usual voice by its segments; short ones do not count."""
    segments = [segment for speech in spoken for segment in _segments(speech)]
    least = min(_LEAST_SEGMENT_S * RATE, max(map(len, segments)))
    usual = typical([measure(segment) for segment in segments if len(segment) >= least])
    if usual.pitch_st is None:
        raise AudioError("no pitch was found in your usual voice; speak, do not whisper")
    return usual


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), 3) if known else None


def _segments(speech: Speech) -> Iterator[Samples]:
    """Yield the segments that the speech was put together from."""
    first = 0
    for start, end in speech.spans:
        yield speech.samples[first : (first := first + end - start)]


def _check_level(spoken: Sequence[Speech]) -> None:
    """Refuse a usual voice whose loudness means nothing."""
    for speech in spoken:
        level = judge_level(speech.samples, speech_level_db(speech.samples))
        if level != "good":
            raise AudioError(f"your usual voice was recorded {level}; {ADVICE[level]}")


def _learned(recognizer: "Recognizer", spoken: Sequence[Speech]) -> "Baseline":
    """Return the baseline that has heard a person's usual voice."""
    baseline = recognizer.new_baseline()
    for speech in spoken:
        _, windows = recognizer.hear(speech.samples, baseline)
        baseline = baseline.after(windows)
    return baseline


def _emotion(prediction: "Prediction") -> dict[str, Any]:
    """Return what JSON says of the emotion that was heard."""
    return {
        "label": prediction.label,
        "score": prediction.score,
        "scores": dict(prediction.scores),
        "certain": prediction.certain,
    }
