"""Prosody: pitch, loudness, tempo and pauses, measured; nothing is inferred from them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio import NOISE_FLOOR, RATE, Samples, check_clip
from ..loudness import speech_level_db
from .pitch import HOP, Floats, track_pitch
from .syllables import FAINT_DB, LOUDEST, levels_db, nuclei

__all__ = ["Prosody", "measure", "semitones"]

REFERENCE_HZ = 27.5  # of semitones, A0, as in eGeMAPS (Eyben et al. 2016)
_LEAST_VOICED = 10  # frames (0.1 s), fewer of which tell no pitch
_LEAST_SPEECH_S = 0.5  # which tells a rate
_PAUSE = 25  # frames (0.25 s) of it are a pause, fewer a stop consonant (Goldman-Eisler 1968)
# In noise: fitted on sentences with a pause of 0.4 s between, in noise 5 to 30 dB below the speech
_QUIETEST, _ABOVE_DB, _BELOW_DB = 5, 4.0, 8.0  # percentile; above that is sound; below the loudest
_NOISE_DB = 20 * np.log10(NOISE_FLOOR)  # of full scale: silence, too
_HOP_S = HOP / RATE


@dataclass(frozen=True)
class Prosody:
    """Measurements of a stretch of speech: of the voice, not of an emotion.

    `pitch_st` is the median pitch of the voiced frames in semitones above 27.5 Hz, and
    `pitch_range_st` how far their 10th and their 90th percentile lie apart; both are None where
    there is less than 0.1 s of voice. `level_db` is the level of the speech as it was recorded, in
    dB of full scale; `rate_hz` are syllables a second of speech, pauses left out, and None for less
    than half a second. `pause_share` is the share of pauses of 0.25 s and more in the stretch from
    the first to the last sound, `voiced_share` the share of the speech that has a pitch; both 0 to
    1.
    """

    pitch_st: float | None
    pitch_range_st: float | None
    level_db: float
    rate_hz: float | None
    pause_share: float
    voiced_share: float

    @property
    def pitch_hz(self) -> float | None:
        """The median pitch in Hz, as `pitch_st` has it in semitones."""
        return None if self.pitch_st is None else REFERENCE_HZ * 2 ** (self.pitch_st / 12)

    def to_dict(self) -> dict[str, Any]:
        """Return the measurements as JSON carries them."""
        return asdict(self)

    def relative_to(self, usual: "Prosody") -> Mapping[str, float | None]:
        """Return each measurement less that of the usual, under the same names.

        None where one of the two is None.
        """
        pairs = zip(asdict(self).items(), asdict(usual).values(), strict=True)
        return {
            name: None if now is None or before is None else now - before
            for (name, now), before in pairs
        }


def measure(samples: Samples, *, pauses_s: float = 0.0) -> Prosody:
    """Measure the prosody of a stretch of speech.

    Parameters
    ----------
    samples : ndarray of float32, shape=(n_samples,)
        Mono at 16 kHz, as recorded: a segment, from one pause to the next.
    pauses_s : float >= 0
        Seconds of pauses that were cut out of it, and count as such.

    Raises
    ------
    AudioError
        If the samples are of another type or shape, empty, not finite or far outside [-1, 1].
    """
    check_clip(samples)
    stretch, paused = _stretch(levels := levels_db(samples))
    pitch_hz = track_pitch(samples)[stretch]
    voiced = ~np.isnan(pitch_hz)
    speech_s = float((~paused).sum()) * _HOP_S
    whole_s = len(paused) * _HOP_S + pauses_s
    median, spread = _pitch(pitch_hz[voiced])
    n_syllables = len(nuclei(levels[stretch], pitch_hz))
    return Prosody(
        pitch_st=median,
        pitch_range_st=spread,
        level_db=round(speech_level_db(samples), 1),
        rate_hz=round(n_syllables / speech_s, 3) if speech_s >= _LEAST_SPEECH_S else None,
        pause_share=round(1 - speech_s / whole_s, 4) if whole_s else 1.0,
        voiced_share=round(float(voiced[~paused].mean()) if speech_s else 0.0, 4),
    )


def semitones(hertz: float | Floats) -> Any:
    """Return how far pitches lie above 27.5 Hz, in semitones."""
    return 12 * np.log2(np.asarray(hertz) / REFERENCE_HZ)


def _pitch(hertz: Floats) -> tuple[float | None, float | None]:
    """Return median and range of the voiced frames in semitones; None for too few of them."""
    if len(hertz) < _LEAST_VOICED:
        return None, None
    low, median, high = np.percentile(semitones(hertz), (10, 50, 90))
    return round(float(median), 3), round(float(high - low), 3)


def _stretch(levels: Floats) -> tuple[slice, NDArray[np.bool_]]:
    """Return the frames from the first to the last that are not silent, and which are in a pause.

    Silent is 25 dB below the loudest frames, or in noise little above its level; a pause is 0.25 s
    of that, and more. Where nothing is above the noise floor there is no stretch.
    """
    noise, loudest = np.percentile(levels, (_QUIETEST, LOUDEST))
    silent = levels < max(loudest - FAINT_DB, min(noise + _ABOVE_DB, loudest - _BELOW_DB))
    if levels.max() < _NOISE_DB:
        return slice(0, 0), silent[:0]
    sounding = np.flatnonzero(~silent)
    stretch = slice(int(sounding[0]), int(sounding[-1]) + 1)
    runs = [len(list(run)) for _, run in groupby(silent[stretch])]  # speech, silence, speech...
    is_pause = [index % 2 == 1 and n_frames >= _PAUSE for index, n_frames in enumerate(runs)]
    return stretch, np.repeat(is_pause, runs)
