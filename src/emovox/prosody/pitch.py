"""Pitch: how high a voice is every 10 ms, by the method of Boersma (1993)."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import soxr
from numpy.typing import NDArray

from ..audio import NOISE_FLOOR, RATE, Samples

HOP = RATE // 100  # samples between frames, 10 ms
LOW_HZ, HIGH_HZ = 70.0, 620.0  # the lowest and the highest pitch found
_RATE = 8_000  # Hz; at 16 kHz pitch is found no better, and in twice the time
_HOP = _RATE * HOP // RATE
_FRAME = _RATE // 25  # samples, 40 ms: nearly three periods of the lowest pitch
_N_FFT = 512  # a frame and the longest period, and nothing wraps around
_FINER = 2  # times: the autocorrelation between the samples, where short periods have their peaks
_PERIODS_HZ = _FINER * _RATE
_FIRST, _LAST = int(_PERIODS_HZ / HIGH_HZ) - 1, int(_PERIODS_HZ / LOW_HZ) + 2  # its periods
_N_CANDIDATES = 4  # pitches of a frame that are weighed against each other, beside "unvoiced"
# Boersma's weights, those of his "raw autocorrelation" in Praat
_VOICED, _SILENT = 0.45, 0.03
_OCTAVE, _JUMP, _CHANGE = 0.01, 0.35, 0.14
_BLOCK = 60 * RATE  # samples tracked at a time: memory does not grow with the clip

Floats = NDArray[np.float64]


def track_pitch(clip: Samples) -> Floats:
    """Return the pitch of a voice every 10 ms; NaN where it has none.

    Periods are peaks of the autocorrelation of each frame of 40 ms, divided by that of its window,
    and a path through the best four of each frame and "unvoiced" is chosen by their strengths and
    the cost of jumps (P. Boersma, Accurate short-term analysis of the fundamental frequency and
    the harmonics-to-noise ratio of a sampled sound, IFA Proceedings 17, 1993). No gain changes it,
    as long as the sound is above the noise floor.

    Parameters
    ----------
    clip : ndarray of float32, shape=(n_samples,)
        Mono at 16 kHz. Each minute is tracked on its own.

    Returns
    -------
    pitch_hz : ndarray of float64, shape=(n_samples // 160 + 1,)
        70 to 620 Hz, or NaN; element `i` is of the frame around sample `160 * i`.
    """
    blocks = [_track(clip[first : first + _BLOCK]) for first in range(0, len(clip), _BLOCK)]
    tracked = np.concatenate([block[: _BLOCK // HOP] for block in blocks] or [np.zeros(0)])
    n_frames = len(clip) // HOP + 1
    return np.pad(tracked, (0, n_frames - len(tracked)), constant_values=np.nan)


def _track(clip: Samples) -> Floats:
    """Track the pitch of at most a minute."""
    n_frames = len(clip) // HOP + 1
    if np.abs(clip).max() < NOISE_FLOOR:
        return np.full(n_frames, np.nan)
    frames = _frames(soxr.resample(clip, RATE, _RATE), n_frames)
    alike, powers = _autocorrelations(frames)
    candidates = _candidates(alike)
    path = _best_path(candidates, _unvoiced(powers))
    chosen = candidates.hertz[np.arange(n_frames), np.maximum(path - 1, 0)]
    return np.where(path > 0, chosen, np.nan)


def _frames(sound: Samples, n_frames: int) -> Samples:
    """Return frames of 40 ms around every tenth millisecond, shape=(n_frames, 320)."""
    n_samples = (n_frames - 1) * _HOP + _FRAME
    before = _FRAME // 2
    padded = np.pad(sound, (before, max(0, n_samples - before - len(sound))))[:n_samples]
    frames: Samples = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP]
    return frames


def _autocorrelations(frames: Samples) -> tuple[Samples, Samples]:
    """Return how alike each frame is to itself a period later, 1 at most; and its power.

    Shapes (n_frames, n_periods) and (n_frames,).
    """
    window, weights, cosines = _transform()
    spectra = np.fft.rfft((frames - frames.mean(1, keepdims=True)) * window, _N_FFT)
    squares: Samples = (spectra.real**2 + spectra.imag**2).astype(np.float32, copy=False)
    powers = np.maximum(squares @ weights, np.float32(1e-20))
    alike: Samples = squares @ cosines / powers[:, None]
    return alike, powers


@cache
def _transform() -> tuple[Samples, Samples, Samples]:
    """Return the window, and what makes powers and autocorrelations of squared spectra.

    The inverse Fourier transform at the periods alone is one product of matrices; it takes half the
    time of an FFT, which gives all periods. It is divided by the window's own autocorrelation.
    """
    window = np.hanning(_FRAME + 2)[1:-1]
    weights = np.full(_N_FFT // 2 + 1, 2.0)
    weights[[0, -1]] = 1.0
    periods = np.arange(_FIRST, _LAST) / _FINER
    cosines = np.cos(2 * np.pi / _N_FFT * np.outer(np.arange(_N_FFT // 2 + 1), periods))
    cosines *= weights[:, None]
    own = np.abs(np.fft.rfft(window, _N_FFT)) ** 2
    scaled = cosines * (own @ weights) / (own @ cosines)
    return window.astype(np.float32), weights.astype(np.float32), scaled.astype(np.float32)


@dataclass(frozen=True)
class _Candidates:
    """The pitches that a frame may have and their strengths, shape=(n_frames, 4)."""

    hertz: Floats
    strengths: Floats


def _candidates(alike: Samples) -> _Candidates:
    """Find the strongest peaks of each frame, between the samples by a parabola."""
    middle = alike[:, 1:-1]
    periods = np.arange(_FIRST + 1, _LAST - 1)
    is_peak = (middle >= alike[:, :-2]) & (middle > alike[:, 2:])
    cost = (_OCTAVE * np.log2(periods * LOW_HZ / _PERIODS_HZ)).astype(np.float32)
    worth = np.where(is_peak, middle - cost, np.float32(-1))
    index = np.argpartition(-worth, _N_CANDIDATES, axis=1)[:, :_N_CANDIDATES]
    rows = np.arange(len(alike))[:, None]
    left, top, right = (alike[rows, index + step].astype(np.float64) for step in range(3))
    bend = np.maximum(2 * top - left - right, 1e-9)
    shift = np.clip(0.5 * (right - left) / bend, -0.5, 0.5)
    hertz = np.clip(_PERIODS_HZ / (periods[index] + shift), LOW_HZ, HIGH_HZ)
    height = np.minimum(top + 0.25 * (right - left) * shift, 1.0)
    strengths = height + _OCTAVE * np.log2(hertz / LOW_HZ)
    return _Candidates(hertz, np.where(worth[rows, index] > 0, strengths, -np.inf))


def _unvoiced(powers: Samples) -> Floats:
    """Return the strength of "unvoiced" in each frame: great where it is silent beside others."""
    relative = np.sqrt(powers / powers.max()).astype(np.float64)
    return np.asarray(_VOICED + np.maximum(0.0, 2.0 - relative * (1 + _VOICED) / _SILENT))


def _best_path(candidates: _Candidates, unvoiced: Floats) -> NDArray[np.intp]:
    """Return what was chosen in each frame: 0 for unvoiced, or a candidate counted from 1."""
    worth = np.column_stack((unvoiced, candidates.strengths))
    costs = _transitions(candidates.hertz) - worth[1:, None, :]
    origins = np.zeros(worth.shape, np.intp)
    total, choices = -worth[0], np.arange(worth.shape[1])
    for frame, cost in enumerate(costs, start=1):
        reached = total[:, None] + cost
        origins[frame] = origin = reached.argmin(0)
        total = reached[origin, choices]
    path = np.empty(len(worth), np.intp)
    choice = int(total.argmin())
    for frame in range(len(worth) - 1, -1, -1):
        path[frame] = choice
        choice = origins[frame, choice]
    return path


def _transitions(hertz: Floats) -> Floats:
    """Return the cost of each step from a frame to the next, shape=(n_frames - 1, 5, 5)."""
    octaves = np.log2(hertz)
    n_choices = hertz.shape[1] + 1
    costs = np.full((len(hertz) - 1, n_choices, n_choices), _CHANGE)
    costs[:, 0, 0] = 0.0
    costs[:, 1:, 1:] = _JUMP * np.abs(octaves[:-1, :, None] - octaves[1:, None, :])
    return costs
