"""A recording with its turns: read once, each turn cut out and answered as it comes by."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..audio import MAX_SECONDS, RATE, Samples, check_audible
from ..baseline import Baseline, Window
from ..checks import is_number
from ..decoding import Block, Reading, ahead
from ..errors import AudioError, BaselineError, ConfigError
from ..model import Model
from ..prediction import Prediction
from ..vad import CHUNK, MIN_SPEECH, Speech, find_speech
from .turn import Turn, TurnAnswer

MIN_TURN_S = MIN_SPEECH * CHUNK / RATE  # 0.19 s: what is shorter cannot hold enough speech

# From speech and a baseline to the prediction, and what to learn.
Hear = Callable[[Speech, Baseline], tuple[Prediction, list[Window]]]


class Conversation(Reading):
    """The turns of a recording, each with its answer; `Recognizer.turns`.

    Iterate over it once: the recording is read as you go on, and the answers come in the order in
    which the turns begin; reading stops behind the last of them. Those that came before an error or
    an interruption stay valid. Memory holds the recording from the turn that is due on, so it grows
    with the longest turn, not with the recording. For `seconds`, `duration` and `broken` see
    `Reading`.

    Attributes
    ----------
    baselines : dict of str to Baseline
        What was heard of each speaker so far.
    """

    def __init__(
        self,
        model: Model,
        hear: Hear,
        blocks: Iterator[Block],
        turns: Iterable[Turn | tuple[Any, ...]],
        *,
        baselines: Mapping[str, Baseline] | None = None,
        learn: bool = True,
        max_seconds: float = math.inf,
    ) -> None:
        super().__init__(max_seconds)
        self.baselines = dict(baselines or {})
        for baseline in self.baselines.values():
            model.check_baseline(baseline)
        self._model, self._hear, self._learn = model, hear, learn
        self._blocks = blocks
        self._turns = sorted(map(_as_turn, turns), key=_begin)

    def __iter__(self) -> Iterator[TurnAnswer]:
        waiting, self._turns = deque(self._turns), []
        sound = Kept()
        for samples in self._resampled(ahead(self._blocks)):
            self._model.pause()
            sound.add(samples)
            while waiting and _end(waiting[0]) <= sound.end:
                yield self._answer(waiting.popleft(), sound)
            if not waiting:
                return
            sound.forget(_first(waiting[0]))
        while waiting:
            yield self._answer(waiting.popleft(), sound)

    def _answer(self, turn: Turn, sound: "Kept") -> TurnAnswer:
        reason = _flaw(turn) or _flaw_in(turn, sound)
        if reason:
            return TurnAnswer(turn, None, reason)
        first, end = _first(turn), min(_end(turn), sound.end)
        clip = sound.cut(first, end)
        try:
            check_audible(clip)
            speech = find_speech(clip, self._model.pause)
            prediction = self._heard(turn.speaker, speech)
        except AudioError as error:
            return TurnAnswer(turn, None, error.reason)
        return TurnAnswer(turn, prediction.moved(first / RATE))

    def _heard(self, speaker: str, speech: Speech) -> Prediction:
        """Recognise the speech of a speaker, and learn it."""
        baseline = self.baselines.get(speaker) or self._model.new_baseline(speaker)
        prediction, windows = self._hear(speech, baseline)
        self.baselines[speaker] = baseline.after(windows) if self._learn else baseline
        return prediction


class Kept:
    """The sound that turns are still to be cut from: samples `start` to `end` of all there was."""

    def __init__(self) -> None:
        self._blocks: deque[Samples] = deque()
        self.start = 0
        self.end = 0

    def add(self, samples: Samples) -> None:
        """Take in what follows."""
        self._blocks.append(samples)
        self.end += len(samples)

    def forget(self, before: float) -> None:
        """Drop the blocks that end before a sample of the recording."""
        while self._blocks and self.start + len(self._blocks[0]) <= before:
            self.start += len(self._blocks.popleft())

    def cut(self, first: int, end: float) -> Samples:
        """Return the samples of the recording from one to another, which have been kept."""
        parts, at = [], self.start
        for block in self._blocks:
            if at < end and at + len(block) > first:
                parts.append(block[max(0, first - at) : int(end) - at])
            at += len(block)
        return np.concatenate(parts)


def baselines_of(turns: Sequence[Turn], own: Baseline | None) -> dict[str, Baseline]:
    """Return the baseline given by its speaker: the one of its name, or the only one.

    Raises
    ------
    BaselineError
        If that is nobody.
    """
    speakers = list(dict.fromkeys(turn.speaker for turn in turns))
    if own is None:
        return {}
    if own.name in speakers:
        return {own.name: own}
    if len(speakers) == 1:
        return {speakers[0]: own}
    listed = ", ".join(map(repr, speakers[:5])) + (", ..." if len(speakers) > 5 else "")
    raise BaselineError(
        f"expected the baseline of one of the speakers, {listed}, got that of {own.name!r}"
    )


def _as_turn(turn: object) -> Turn:
    if isinstance(turn, Turn):
        return turn
    if isinstance(turn, tuple) and 2 <= len(turn) <= 4:
        return Turn(*turn)
    raise ConfigError(
        f"expected turns, or tuples of start, end, speaker and text, got {type(turn).__name__}"
    )


def _begin(turn: Turn) -> float:
    """Return what turns are sorted by; those without a time come first."""
    return -math.inf if _flaw(turn) else turn.start


def _first(turn: Turn) -> int:
    """Return the sample that a turn begins with."""
    return 0 if _flaw(turn) else max(0, round(turn.start * RATE))


def _end(turn: Turn) -> float:
    """Return the sample behind the last of a turn; 0 where it cannot be heard anyway."""
    return 0 if _flaw(turn) else round(turn.end * RATE)


def _flaw(turn: Turn) -> str:
    """Return what keeps a turn from being heard, whatever the recording; "" for nothing."""
    if not (_is_second(turn.start) and _is_second(turn.end)):
        return f"expected a start and an end in seconds, got {turn.start!r:.40}, {turn.end!r:.40}"
    if not isinstance(turn.speaker, str):
        return f"expected a speaker's name as text, got {type(turn.speaker).__name__}"
    if turn.end < turn.start:
        return f"ends before it begins: {turn.start:g} to {turn.end:g} s"
    seconds = turn.end - max(0.0, turn.start)
    if seconds > MAX_SECONDS:
        return f"too long: {seconds:,.0f} s; a turn may have {MAX_SECONDS:,.0f} s"
    return _brevity(seconds)


def _flaw_in(turn: Turn, sound: Kept) -> str:
    """Return what keeps a turn from being heard in a recording read as far as it needs."""
    if _first(turn) >= sound.end:
        return f"begins after the end of the recording, which has {sound.end / RATE:.2f} s"
    return _brevity((min(_end(turn), sound.end) - _first(turn)) / RATE)


def _brevity(seconds: float) -> str:
    if seconds >= MIN_TURN_S:
        return ""
    return f"too short: {max(0.0, seconds):.2f} s; speech needs {MIN_TURN_S:.2f} s"


def _is_second(value: object) -> bool:
    return is_number(value.item() if isinstance(value, np.generic) else value)
