"""How a session was recorded, as far as the sound tells: noise, and the band of the microphone.

Emotions and measurements of two sessions can be compared only where these are alike; see `trend`.
"""

import numpy as np
from numpy.typing import NDArray

from ..audio import RATE, Samples
from .records import Conditions

FRAME = RATE // 100  # samples, 10 ms
QUIET_TENTH = 10  # percent of the frames: the pauses, which hold the room and the microphone
MAX_SNR_DB = 60.0  # above it a recording is as good as free of noise
BAND_DB = 50.0  # below the strongest frequency, at which the speech's band ends
_N_FFT = 512  # samples, 32 ms: bins of 31 Hz
_LEVELS = np.arange(-120, 31)  # dB of full scale, the bins of the histogram
_LEAST = 1e-12  # of power, so that silence has a level


class Meter:
    """Hears all the sound of a session, and the segments in it; memory does not grow."""

    def __init__(self) -> None:
        self._n_samples = 0
        self._rest = np.zeros(0, np.float32)  # of a frame that is not full yet
        self._frames = np.zeros(len(_LEVELS), np.int64)  # by their level in dB
        self._speech_s = 0.0
        self._energy = 0.0  # of the segments: power times seconds
        self._spectrum: NDArray[np.float64] = np.zeros(_N_FFT // 2 + 1)

    def hear(self, samples: Samples) -> None:
        """Take in more sound, mono float32 at 16 kHz."""
        self._n_samples += len(samples)
        sound = np.concatenate((self._rest, samples))
        n_whole = len(sound) // FRAME * FRAME
        self._rest = sound[n_whole:].copy()
        powers = (sound[:n_whole].reshape(-1, FRAME).astype(np.float64) ** 2).mean(1)
        levels = np.clip(np.round(_db(powers)), _LEVELS[0], _LEVELS[-1]).astype(int)
        self._frames += np.bincount(levels - _LEVELS[0], minlength=len(_LEVELS))

    def hear_segment(self, samples: Samples, level_db: float) -> None:
        """Take in the sound of a segment, and the level of its speech in dB of full scale."""
        seconds = len(samples) / RATE
        self._speech_s += seconds
        self._energy += seconds * 10 ** (level_db / 10)
        n_whole = len(samples) // _N_FFT * _N_FFT
        frames = samples[:n_whole].reshape(-1, _N_FFT).astype(np.float64) * np.hanning(_N_FFT)
        self._spectrum += (np.abs(np.fft.rfft(frames)) ** 2).sum(0)

    @property
    def conditions(self) -> Conditions:
        """What was heard so far comes to."""
        seconds = self._n_samples / RATE
        if not self._speech_s or not self._frames.sum():
            return Conditions(seconds, self._speech_s)
        level = float(_db(np.array(self._energy / self._speech_s)))
        snr_db = float(np.clip(level - self._noise_db(), 0.0, MAX_SNR_DB))
        return Conditions(seconds, self._speech_s, round(snr_db, 1), self._band_hz())

    def _noise_db(self) -> float:
        """Return the level below which the quietest tenth of all frames lies."""
        n_quiet = self._frames.sum() * QUIET_TENTH / 100
        return float(_LEVELS[int(np.searchsorted(np.cumsum(self._frames), n_quiet))])

    def _band_hz(self) -> float:
        """Return the highest frequency within 50 dB of the strongest, of speech on the average."""
        levels = _db(self._spectrum)
        last = int(np.flatnonzero(levels >= levels.max() - BAND_DB)[-1])
        return round(last * RATE / _N_FFT, 1)


def _db(power: NDArray[np.float64]) -> NDArray[np.float64]:
    level: NDArray[np.float64] = 10 * np.log10(np.maximum(power, _LEAST))
    return level
