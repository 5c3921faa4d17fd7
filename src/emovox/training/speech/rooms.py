"""A recording as another room, microphone and line would have given it: training's second take."""

import zlib

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfilt

from ...audio import NOISE_FLOOR, RATE, Samples

_P_ROOM, _P_BAND, _P_NOISE = 0.35, 0.4, 0.7  # of each, drawn by itself
_ROOM_S = (0.15, 0.6)  # reverberation time, of small rooms and halls
_ROOM_DB = (-14.0, -2.0)  # of the reverberation against the voice itself
_LOW_HZ, _HIGH_HZ = (50.0, 300.0), (3000.0, 7500.0)  # borders of the band, telephone to studio
_NOISE_DB = (10.0, 40.0)  # of the voice above the noise
_STEEPEST = 0.8  # noise falls by this power of the frequency: 0 is white, 0.5 pink


def recorded_elsewhere(clip: Samples, take: int = 0) -> Samples:
    """Return a clip with a room, a narrower band and noise, each there or not.

    The draws depend on the clip and the number of the take alone, so that features of the result
    can be kept.

    Parameters
    ----------
    clip : ndarray of float32, shape=(n_samples,)
        Mono at 16 kHz.
    take : int
        Other numbers draw other rooms.

    Returns
    -------
    ndarray of float32, shape=(n_samples,)
        As loud at its loudest as the clip.
    """
    rng = np.random.default_rng([zlib.crc32(clip.tobytes()), take])
    sound = clip.astype(np.float64)
    if rng.random() < _P_ROOM:
        sound = fftconvolve(sound, _room(rng))[: len(clip)]
    if rng.random() < _P_BAND:
        band = [np.exp(rng.uniform(*np.log(ends))) for ends in (_LOW_HZ, _HIGH_HZ)]
        sound = sosfilt(butter(3, band, "bandpass", fs=RATE, output="sos"), sound)
    if rng.random() < _P_NOISE:
        sound = sound + _noise(rng, sound)
    loudest = float(np.abs(clip).max(initial=0.0))
    return (sound * (loudest / max(float(np.abs(sound).max(initial=0.0)), 1e-12))).astype(
        np.float32
    )


def _room(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the response of a room: the voice, then noise that falls by 60 dB in its time."""
    time = np.arange(round(_ROOM_S[1] * RATE)) / RATE
    echo = rng.standard_normal(len(time)) * 10.0 ** (-3.0 * time / rng.uniform(*_ROOM_S))
    echo *= 10.0 ** (rng.uniform(*_ROOM_DB) / 20.0) / np.sqrt((echo**2).sum())
    echo[0] += 1.0
    return echo


def _noise(rng: np.random.Generator, sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return noise for a sound, between white and steeper than pink."""
    spectrum = np.fft.rfft(rng.standard_normal(len(sound)))
    spectrum /= np.maximum(np.arange(len(spectrum)), 8.0) ** rng.uniform(0.0, _STEEPEST)
    noise = np.fft.irfft(spectrum, len(sound))
    audible = sound[np.abs(sound) > NOISE_FLOOR]
    power = float((audible**2).mean()) if audible.size else NOISE_FLOOR**2
    level = np.sqrt(power) / 10.0 ** (rng.uniform(*_NOISE_DB) / 20.0)
    scaled: NDArray[np.float64] = noise * (level / max(float(noise.std()), 1e-12))
    return scaled
