"""One recording cut from live sound: from when somebody speaks until they have been quiet."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from ..audio import RATE, Samples, resampler
from ..loudness import speech_level_db
from ..prosody import semitones
from ..prosody.pitch import track_pitch
from ..vad import Activity

QUIET_S = 1.0  # after which a take is over
_BEFORE_S = 1.0  # of sound kept from before the speech
_LATEST_S = 0.3  # that pitch and level of a moment are measured in
_LEAST_VOICED = 5  # frames of 10 ms


@dataclass(frozen=True)
class Moment:
    """The latest 0.3 s of sound: `pitch_st` above 27.5 Hz, None where there is no voice."""

    speaking: bool
    speech_s: float  # heard in this recording so far
    level_db: float  # of full scale
    pitch_st: float | None


class Cutter:
    """Takes in live sound, and returns each recording when it is over.

    Parameters
    ----------
    least_s : float
        Seconds of speech that a recording needs before quiet ends it.
    most_s : float
        Seconds after which it ends in any case.
    """

    def __init__(self, least_s: float = 0.0, most_s: float = 30.0) -> None:
        self._least, self._most = least_s * RATE, most_s * RATE
        self._rate = 0.0
        self._begin(RATE)

    def feed(self, samples: Samples, rate: float, *, gap: bool = False) -> Samples | None:
        """Take in a block; return a recording, mono at 16 kHz, if it ends here.

        Parameters
        ----------
        samples : ndarray of float32, shape=(n_samples,)
            Mono.
        rate : float
            Hz; may change from one block to the next.
        gap : bool
            Whether sound was lost before this block: what was said until then is dropped.
        """
        if gap or rate != self._rate:
            self._begin(rate)
        sound = self._resample(samples, False)
        self._sound.append(sound)
        self._n_fed += len(sound)
        self._n_spoken += sum(one.end - one.start for one in self._activity.feed(sound))
        if not self._is_over():
            return None
        recording = np.concatenate(self._sound)
        self._begin(rate)
        return recording

    def moment(self) -> Moment:
        """Measure the latest moment, for the eye."""
        n_latest = int(_LATEST_S * RATE)
        latest = np.concatenate([np.zeros(1, np.float32), *list(self._sound)[-20:]])[-n_latest:]
        pitch_hz = track_pitch(latest)
        voiced = pitch_hz[~np.isnan(pitch_hz)]
        return Moment(
            self._activity.speaking,
            self._n_spoken / RATE,
            max(-120.0, speech_level_db(latest)),
            float(np.median(semitones(voiced))) if len(voiced) >= _LEAST_VOICED else None,
        )

    def _begin(self, rate: float) -> None:
        self._rate, self._resample = rate, resampler(rate)
        self._activity = Activity()
        self._sound: deque[Samples] = deque()
        self._n_fed = 0  # samples at 16 kHz
        self._n_spoken = 0  # of these, in segments that are over
        self._first: int | None = None  # sample at which the speech began

    def _is_over(self) -> bool:
        latest = self._activity.latest
        if latest is None:
            self._forget()
            return False
        start, end = latest
        self._first = start if self._first is None else self._first
        is_quiet = end is not None and self._n_fed - end >= QUIET_S * RATE
        is_enough = is_quiet and self._n_spoken >= self._least
        return is_enough or self._n_fed - self._first >= self._most

    def _forget(self) -> None:
        """Drop old sound in which nobody spoke."""
        while sum(map(len, self._sound)) - len(self._sound[0]) >= _BEFORE_S * RATE:
            self._sound.popleft()
