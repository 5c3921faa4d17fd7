"""Syllables, counted by their nuclei: peaks of loudness that are voiced."""

import numpy as np
from numpy.typing import NDArray

from ..audio import Samples
from .pitch import HOP, Floats

_DIP_DB = 2.0  # that the level has to fall before another nucleus
FAINT_DB = 25.0  # below the loudest frames: no nucleus is as faint
LOUDEST = 99  # percentile of the frames that counts as the loudest
_SMOOTHING = np.hanning(9)[1:-1] / np.hanning(9).sum()  # of 10 ms each: one syllable, one peak


def levels_db(clip: Samples) -> Floats:
    """Return the smoothed level every 10 ms in dB of full scale, as many as pitch is tracked."""
    n_frames = len(clip) // HOP + 1
    padded = np.pad(clip, (HOP // 2, n_frames * HOP - len(clip)))[: n_frames * HOP]
    frames = padded.reshape(n_frames, HOP)
    powers = np.einsum("ij,ij->i", frames, frames, dtype=np.float64) / HOP
    smooth = np.convolve(np.pad(powers, 3, mode="edge"), _SMOOTHING, "valid")
    return 10 * np.log10(np.maximum(smooth, 1e-12))


def nuclei(levels: Floats, pitch_hz: Floats) -> NDArray[np.intp]:
    """Return the frames of syllable nuclei.

    These are the peaks of the level that are voiced, less than 25 dB below the loudest frames,
    with a dip of at least 2 dB since the one before (N. H. de Jong & T. Wempe, Praat script to
    detect syllable nuclei and measure speech rate automatically, Behavior Research Methods 41,
    2009).

    Parameters
    ----------
    levels, pitch_hz : ndarray of float64, shape=(n_frames,)
        From `levels_db` and `track_pitch`.
    """
    if len(levels) < 3:
        return np.zeros(0, np.intp)
    floor = np.percentile(levels, LOUDEST) - FAINT_DB
    inner = levels[1:-1]
    peaks = 1 + np.flatnonzero((inner > levels[:-2]) & (inner >= levels[2:]) & (inner > floor))
    found: list[int] = []
    for peak in map(int, peaks):
        if found and _dip(levels, found[-1], peak) < _DIP_DB:
            found[-1] = max(found[-1], peak, key=lambda frame: levels[frame])
        else:
            found.append(peak)
    chosen = np.array(found, np.intp)
    return chosen[~np.isnan(pitch_hz[chosen])]


def _dip(levels: Floats, before: int, after: int) -> float:
    """Return by how much the level falls between two peaks, below the lower one."""
    lowest = levels[before : after + 1].min()
    return float(min(levels[before], levels[after]) - lowest)
