"""Recordings as another room, microphone and line would have given them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emovox.audio import RATE
from emovox.training.speech.rooms import recorded_elsewhere


def tone(hz: float, seconds: float = 0.5) -> np.ndarray:
    """A tone at a level that a voice may have."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.1 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


@given(st.integers(1, 3000), st.floats(50, 7000), st.integers(0, 20))
def test_a_copy_is_as_long_and_as_loud(n_samples, hz, take):
    """Length and loudest sample are the clip's, and every sample is finite."""
    clip = tone(hz)[:n_samples]
    copy = recorded_elsewhere(clip, take)
    assert copy.shape == clip.shape
    assert copy.dtype == np.float32
    assert np.isfinite(copy).all()
    loudest = np.abs(clip).max()
    assert np.abs(copy).max() <= loudest * 1.001


def test_one_clip_and_take_give_one_copy():
    """The same clip and take are the same copy again; takes differ from each other."""
    clip = tone(300)
    takes = [recorded_elsewhere(clip, take) for take in range(12)]
    np.testing.assert_array_equal(takes[3], recorded_elsewhere(clip.copy(), 3))
    assert len({take.tobytes() for take in takes}) > 6


def test_takes_bring_noise_and_narrower_bands():
    """Some takes have noise above the voice's band, and some have lost what lay high in it."""
    clip = tone(300) + tone(7200)
    spectra = np.stack([np.abs(np.fft.rfft(recorded_elsewhere(clip, take))) for take in range(40)])
    at = lambda hz: round(hz * len(clip) / RATE)  # noqa: E731
    noise = spectra[:, at(4000) : at(6000)].mean(1) / spectra[:, at(300)]
    lost = spectra[:, at(7200)] / spectra[:, at(300)]
    assert noise.min() < 1e-5 < 1e-3 < noise.max()
    assert lost.min() < 0.5 * np.median(lost)


def test_silence_stays_silence():
    """Digital silence is not turned into noise."""
    assert not recorded_elsewhere(np.zeros(RATE, np.float32)).any()
