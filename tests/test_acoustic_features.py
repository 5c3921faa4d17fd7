"""Acoustic features against librosa, and their independence of everything but the frame."""

import functools
from itertools import pairwise

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emovox.audio import load_audio
from emovox.training.acoustic.features import (
    AcousticFeatures,
    PowerSpectrum,
    contrast_bands,
    trim_silence,
)
from emovox.training.settings import AcousticConfig
from made_corpus import voice

CONFIG = AcousticConfig()
PARTS = {"mfcc": slice(0, 40), "chroma": slice(40, 52), "contrast": slice(52, 59)}


def compute(*clips: np.ndarray) -> list[np.ndarray]:
    """Return the frames of each clip of one batch."""
    audio = np.zeros((len(clips), max(map(len, clips))), np.float32)
    for row, clip in enumerate(clips):
        audio[row, : len(clip)] = clip
    with torch.inference_mode():
        frames, n_frames = AcousticFeatures(CONFIG).eval()(
            torch.from_numpy(audio), torch.tensor([len(clip) for clip in clips])
        )
    return [frame[: int(count)].numpy() for frame, count in zip(frames, n_frames, strict=True)]


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch):
    """Give librosa's features of a clip, with our floors and no floor relative to the clip."""
    decibel = functools.partial(librosa.power_to_db, top_db=None, amin=1e-3)
    monkeypatch.setattr("librosa.feature.spectral.power_to_db", decibel)

    def compute_reference(clip: np.ndarray) -> np.ndarray:
        spectrum = np.abs(librosa.stft(clip, n_fft=1024, hop_length=256, center=False))
        mel = librosa.feature.melspectrogram(S=spectrum**2, sr=16_000, n_mels=80)
        mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel, top_db=None), n_mfcc=40)
        chroma = librosa.feature.chroma_stft(S=spectrum**2, sr=16_000, tuning=0.0)
        contrast = librosa.feature.spectral_contrast(S=spectrum, sr=16_000)
        return np.concatenate([mfcc, chroma, contrast]).T

    return compute_reference


def largest_difference(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """Return the largest difference of each part, relative to its largest value."""
    return {
        name: float(np.abs(ours[:, part] - theirs[:, part]).max() / np.abs(theirs[:, part]).max())
        for name, part in PARTS.items()
    }


@pytest.mark.parametrize("emotion", ["angry", "sad"])
def test_features_equal_librosa(reference, rng, emotion):
    """MFCC, chroma and contrast of a voice are librosa's to 1e-4 of their range."""
    clip = voice(emotion, 180.0, rng)
    difference = largest_difference(compute(clip)[0], reference(clip))
    assert max(difference.values()) < 1e-4, difference


@pytest.mark.corpora
def test_features_equal_librosa_on_real_recordings(reference, corpora_root):
    """On real recordings the largest difference to librosa is below 1e-3 of the range."""
    files = sorted(corpora_root.glob("tess/*/*"))[::200] + sorted(corpora_root.glob("*/*/*"))[::700]
    audible = [file for file in files if file.suffix in {".wav", ".flac", ".opus"}]
    worst = dict.fromkeys(PARTS, 0.0)
    for file in audible:
        clip = load_audio(file)
        for name, value in largest_difference(compute(clip)[0], reference(clip)).items():
            worst[name] = max(worst[name], value)
    assert len(audible) > 20
    assert max(worst.values()) < 1e-3, worst


def test_power_spectrum_is_that_of_the_fourier_transform(rng):
    """The two-step product equals numpy's FFT, also for sizes that hops do not divide."""
    clip = rng.uniform(-1, 1, 4000).astype(np.float32)
    for n_fft, hop in ((1024, 256), (400, 160), (60, 60)):
        power = PowerSpectrum(n_fft, hop)(torch.from_numpy(clip)[None])[0].numpy()
        n_whole = (len(clip) - n_fft) // hop + 1
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
        for index in range(n_whole):
            frame = clip[index * hop : index * hop + n_fft] * window
            expected = np.abs(np.fft.rfft(frame)) ** 2
            np.testing.assert_allclose(power[index], expected, atol=1e-5 * expected.max())
        assert len(power) == len(clip) // hop + 1


def test_bands_cover_the_spectrum_in_order():
    """The bands of contrast follow each other and end at the last bin."""
    bands = contrast_bands(CONFIG)
    assert len(bands) == 7
    assert bands[0][0] == 0
    assert bands[-1][1] == 513
    assert all(low[1] == high[0] for low, high in pairwise(bands))


def test_a_batch_equals_its_clips_alone(rng):
    """A clip's features do not depend on its neighbours in a batch."""
    clips = [rng.uniform(-0.5, 0.5, n).astype(np.float32) for n in (3000, 16_000, 500, 1024)]
    for together, alone in zip(compute(*clips), [compute(c)[0] for c in clips], strict=True):
        np.testing.assert_allclose(together, alone, atol=2e-3)


@given(n_samples=st.integers(1, 6000), n_shown=st.integers(1, 6000))
@settings(max_examples=40)
def test_frames_of_a_beginning_are_those_of_the_whole(n_samples, n_shown):
    """Frames that lie within the beginning of a clip do not change with what follows."""
    rng = np.random.default_rng(n_samples)
    clip = rng.uniform(-0.5, 0.5, max(n_samples, n_shown)).astype(np.float32)
    beginning = compute(clip[:n_shown])[0]
    whole = compute(clip)[0]
    n_inside = max(0, (n_shown - 1024) // 256 + 1)
    np.testing.assert_allclose(beginning[:n_inside], whole[:n_inside], atol=2e-3)


def test_silent_frames_are_finite():
    """Digital silence gives finite features, chroma zero and contrast zero."""
    (frames,) = compute(np.zeros(2000, np.float32))
    assert np.isfinite(frames).all()
    assert not frames[:, 40:].any()


@given(before=st.integers(0, 3000), after=st.integers(0, 3000))
@settings(max_examples=40)
def test_trimming_is_exact_to_the_sample(before, after):
    """Silence of any length around a clip is cut off, and nothing else."""
    clip = np.random.default_rng(0).uniform(0.01, 0.5, 777).astype(np.float32)
    audio = np.concatenate([np.zeros(before), clip, np.zeros(after)]).astype(np.float32)
    trimmed, length = trim_silence(torch.from_numpy(audio)[None], torch.tensor([len(audio)]))
    assert int(length) == len(clip)
    np.testing.assert_array_equal(trimmed[0, : len(clip)].numpy(), clip)
    assert not trimmed[0, len(clip) :].any()


def test_trimming_ignores_what_does_not_count():
    """Samples behind a clip's length are not heard, whatever they hold."""
    audio = torch.full((2, 100), 0.5)
    trimmed, lengths = trim_silence(audio, torch.tensor([40, 100]))
    assert lengths.tolist() == [40, 100]
    assert not trimmed[0, 40:].any()


def test_trimming_silence_leaves_nothing():
    """A clip below the noise floor has no samples left."""
    _, lengths = trim_silence(torch.full((1, 100), 1e-4), torch.tensor([100]))
    assert lengths.tolist() == [0]


def test_settings_are_those_the_docs_name():
    """The defaults are 40 MFCC, 12 chroma and 7 bands of contrast."""
    assert (CONFIG.n_mfcc, CONFIG.n_chroma, CONFIG.n_bands, CONFIG.n_features) == (40, 12, 7, 59)
