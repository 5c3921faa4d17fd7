"""How high a voice is: the median of its pitch, by autocorrelation."""

import numpy as np

from ..audio import RATE, Samples

_LOW_HZ, _HIGH_HZ = 60.0, 400.0
_FRAME, _HOP = RATE // 25, RATE // 50  # samples: 40 and 20 ms
_VOICED = 0.5  # of the autocorrelation at its peak, against that at no lag
_OCTAVE_COST = 0.1  # two periods are as alike as one: the shorter one counts
_SPEECH_DB = 25.0  # frames less than this below the loudest one are looked at


def median_pitch(clip: Samples) -> float | None:
    """Return the median pitch of a clip's voiced frames in Hz; None where there are fewer than 5.

    Each frame's autocorrelation is divided by that of its window (Boersma 1993), and the highest
    peak between 60 and 400 Hz is its pitch.
    """
    if len(clip) < _FRAME:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(clip.astype(np.float64), _FRAME)[::_HOP]
    powers = (frames**2).mean(axis=1)
    loud = frames[powers > powers.max() * 10 ** (-_SPEECH_DB / 10)]
    window = np.hanning(_FRAME)
    lags = slice(round(RATE / _HIGH_HZ), round(RATE / _LOW_HZ) + 1)
    alike = _autocorrelation((loud - loud.mean(axis=1, keepdims=True)) * window)
    alike = (alike / np.maximum(_autocorrelation(window[None]), 1e-9))[:, lags]
    voiced = alike.max(axis=1, initial=0.0) > _VOICED
    if voiced.sum() < 5:
        return None
    cost = _OCTAVE_COST * np.log2(np.arange(lags.start, lags.stop))
    return float(np.median(RATE / ((alike[voiced] - cost).argmax(axis=1) + lags.start)))


def _autocorrelation(frames: np.ndarray) -> np.ndarray:
    """Return the autocorrelation of each frame, 1 at no lag, shape (n_frames, n_samples)."""
    spectrum = np.fft.rfft(frames, 2 * frames.shape[1])
    found = np.fft.irfft(np.abs(spectrum) ** 2)[:, : frames.shape[1]]
    return np.asarray(found / np.maximum(found[:, :1], 1e-12))
