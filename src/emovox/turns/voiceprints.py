"""Voiceprints: vectors of 1.6 s of speech, alike for one speaker whatever the emotion."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio import RATE, Samples

MODEL = Path(__file__).parent / "voiceprints.onnx"  # made by training/voiceprints.py
N_FRAMES = 160  # of a window
N_FFT = 400  # samples (25 ms) of a frame
WINDOW_S = 1.6
HOP_S = 0.5  # between windows, at most
_HOP = RATE // 100  # samples between frames, 10 ms
_LEVEL = 10 ** (-30 / 20)  # of what the network was trained on, an amplitude
_BATCH = 8  # windows heard at a time: more are no faster
_FAINT = 1e-12

Vectors = NDArray[np.float32]


def voiceprints(speech: Samples, hop_s: float = HOP_S) -> Vectors:
    """Return the voiceprint of each window of a stretch of speech.

    Windows have 1.6 s and lie `hop_s` apart at most; the first begins with the stretch, and the
    last ends with it. A shorter stretch is one window, heard over and over.

    Parameters
    ----------
    speech : ndarray of float32, shape=(n_samples,)
        Mono at 16 kHz; no gain changes the answer.
    hop_s : float > 0

    Returns
    -------
    vectors : ndarray of float32, shape=(n_windows, 256)
        Of length 1.
    """
    spectra = spectra_of(speech, hop_s)
    batches = (spectra[first : first + _BATCH] for first in range(0, len(spectra), _BATCH))
    vectors = np.concatenate([_network().run(None, {"spectra": batch})[0] for batch in batches])
    return unit(vectors)


def unit(vectors: Vectors) -> Vectors:
    """Return vectors, shape (n, n_dimensions), of length 1."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = vectors / np.maximum(lengths, _FAINT)
    return scaled


def window_starts(n_samples: int, hop_s: float = HOP_S) -> NDArray[np.int64]:
    """Return the first frame of each window of a stretch of speech."""
    n_late = max(0, _n_frames(n_samples) - N_FRAMES)
    n_windows = int(np.ceil(n_late / (hop_s * RATE / _HOP))) + 1
    return np.rint(np.linspace(0, n_late, n_windows)).astype(np.int64)


def spectra_of(speech: Samples, hop_s: float) -> Samples:
    """Return the power spectra of each window at one level, shape (n_windows, 160, 201)."""
    n_least = (N_FRAMES - 1) * _HOP + N_FFT
    sound = speech if len(speech) >= n_least else np.resize(speech, n_least)
    frames = np.lib.stride_tricks.sliding_window_view(sound, N_FFT)[::_HOP]
    spectra = np.fft.rfft(frames * _hann(), axis=1)
    powers = (spectra.real**2 + spectra.imag**2).astype(np.float32)
    starts = window_starts(len(sound), hop_s)
    windows = np.stack([powers[first : first + N_FRAMES] for first in starts])
    loudness = [
        float(np.mean(sound[first * _HOP : first * _HOP + n_least] ** 2)) for first in starts
    ]
    gains = _LEVEL**2 / np.maximum(loudness, _FAINT)
    levelled: Samples = windows * gains.astype(np.float32)[:, None, None]
    return levelled


def _n_frames(n_samples: int) -> int:
    return max(0, n_samples - N_FFT) // _HOP + 1


@cache
def _hann() -> Samples:
    return np.hanning(N_FFT + 1)[:-1].astype(np.float32)


@cache
def _network() -> Any:
    """Open the network, once a process; it has no state."""
    from ..model import open_session

    return open_session(MODEL.read_bytes(), is_own=True)
