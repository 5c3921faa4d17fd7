"""How loud the speech in a clip is, and one level for all that a model hears."""

from collections.abc import Iterable
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .audio import RATE, Samples

LEVEL_DB = -26.0  # of full scale, the level of all speech that a model hears (ITU-T P.56's usual)
QUIET_DB = -55.0  # below it a microphone's own noise is heard more than the voice
ADVICE = MappingProxyType(
    {
        "too quiet": "move closer or raise the microphone's level",
        "too loud": "move away or lower it",
    }
)
EDGE = 0.025  # amplitude at that level: the first sample as loud begins the speech, in noise, too
MARGIN = RATE // 10  # samples (0.1 s) kept on both sides, for soft beginnings and ends
_FRAME = RATE // 100  # samples, 10 ms
_ACTIVE = 10**-1.6  # a frame 16 dB below the level of the speech is a pause
_STEPS = 4  # of the fixed point; it moves no more after three on real recordings
_LEAST = 1e-12  # of power, so that silence has a level
_FULL = 0.98  # amplitude; what a converter cuts off lies above
_CUT_OFF = 1e-3  # share of samples above it that can be heard as distortion


def speech_level_db(clip: Samples) -> float:
    """Return the mean level of the frames that hold speech, in dB of full scale.

    Those are the frames of 10 ms less than 16 dB below that very mean, found as a fixed point in
    the manner of ITU-T P.56: neither pauses nor a single click move it much.

    Parameters
    ----------
    clip : ndarray of float32, shape=(n_samples,)
        Mono at 16 kHz; -120 is returned for digital silence.
    """
    powers = _frame_powers(clip)
    level = powers.mean()
    for _ in range(_STEPS):
        level = powers[powers >= level * _ACTIVE].mean()
    return float(10 * np.log10(max(level, _LEAST)))


def _frame_powers(clip: Samples) -> NDArray[np.float64]:
    """Return the mean power of each frame; the last may be a part of one."""
    squares = np.pad(clip, (0, -len(clip) % _FRAME)).reshape(-1, _FRAME).astype(np.float64) ** 2
    powers: NDArray[np.float64] = squares.mean(1)
    return powers


def levelled(clip: Samples, level_db: float | None = None) -> Samples:
    """Return a clip with its speech at -26 dB of full scale; its level is measured if not given."""
    level_db = speech_level_db(clip) if level_db is None else level_db
    return clip * np.float32(10 ** ((LEVEL_DB - level_db) / 20))


def without_edges(clip: Samples) -> Samples:
    """Cut a clip a tenth of a second before its first and after its last loud sample.

    So silence or noise around the speech hardly matters. Speech models cut the same, and count
    their frames from the first loud sample. A clip without a loud sample becomes empty.

    Parameters
    ----------
    clip : ndarray of float32, shape=(n_samples,)
        At one level, as `levelled` returns it.
    """
    loud = np.flatnonzero(np.abs(clip) >= EDGE)
    if not loud.size:
        return clip[:0]
    return clip[max(0, loud[0] - MARGIN) : loud[-1] + 1 + MARGIN]


def judge_level(clip: Samples, level_db: float) -> str:
    """Tell whether speech is "too quiet" or "too loud" to be judged well, else "good".

    Too loud is what a converter has cut off: more than a sample in 1,000 lies within 2 % of full
    scale.
    """
    if level_db < QUIET_DB:
        return "too quiet"
    return "too loud" if float(np.mean(np.abs(clip) >= _FULL)) > _CUT_OFF else "good"


def advice(levels: Iterable[str]) -> list[str]:
    """Return a line for each fault among some levels, such as "too loud: move away or lower it"."""
    found = set(levels)
    return [f"{level}: {words}" for level, words in ADVICE.items() if level in found]
