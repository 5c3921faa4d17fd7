"""Examples: other voices of a speaker, the baselines that clips meet, and what is hidden."""

import numpy as np
import pytest
import soxr
import torch

from emovox.audio import RATE
from emovox.training.acoustic.features import AcousticFeatures
from emovox.training.acoustic.voices import (
    PRIOR_SECONDS,
    Examples,
    cut_and_masked,
    draw_baselines,
    draw_voices,
    resampled,
)
from emovox.training.settings import Acoustic, AcousticConfig

N_FEATURES = 59
HOP = 256


def make_examples(speakers: list[int]) -> Examples:
    """Make a clip of noise for each of these speakers."""
    rng = np.random.default_rng(0)
    frames = tuple(
        rng.normal(0, 1, (int(rng.integers(20, 60)), N_FEATURES)).astype(np.float32)
        for _ in speakers
    )
    targets = np.zeros(len(speakers), np.int64)
    return Examples(frames, targets, np.array(speakers), targets)


def test_the_classic_way_changes_nothing():
    """By default clips are as they were, and no baseline is met."""
    examples, rng = make_examples([0, 0, 1]), np.random.default_rng(0)
    voices = draw_voices(2, np.ones(N_FEATURES, np.float32), Acoustic(), rng)
    for clip, speaker in zip(examples.frames, examples.speakers, strict=True):
        np.testing.assert_array_equal(voices.clip(clip, speaker), clip)
        np.testing.assert_array_equal(cut_and_masked(clip, clip[0], Acoustic(), rng), clip)
    np.testing.assert_array_equal(voices.means(examples), examples.means)
    assert not draw_baselines(examples.means, examples, Acoustic(), rng).any()


def test_a_baseline_is_made_of_the_speakers_other_clips():
    """With two clips a speaker, each meets the other one's mean, shrunk as in use."""
    examples = make_examples([0, 1, 0, 1])
    drawn = draw_baselines(
        examples.means, examples, Acoustic(p_alone=0.0), np.random.default_rng(0)
    )
    for index, other in enumerate([2, 3, 0, 1]):
        seconds = len(examples.frames[other]) * HOP / RATE
        expected = seconds * examples.means[other] / (PRIOR_SECONDS + seconds)
        np.testing.assert_allclose(drawn[index], expected, rtol=1e-5)


def test_who_said_nothing_else_has_no_baseline():
    """A speaker's only clip is learnt without."""
    examples = make_examples([0, 1, 2])
    drawn = draw_baselines(
        examples.means, examples, Acoustic(p_alone=0.0), np.random.default_rng(0)
    )
    assert not drawn.any()


def test_some_clips_are_learnt_alone():
    """About the share asked for meets no baseline."""
    examples = make_examples([0] * 400)
    drawn = draw_baselines(
        examples.means, examples, Acoustic(p_alone=0.3), np.random.default_rng(0)
    )
    assert np.mean(~drawn.any(1)) == pytest.approx(0.3, abs=0.08)


def test_means_move_with_the_voice():
    """The mean of a clip in another voice is what the baseline is made of."""
    examples, rng = make_examples([0, 1, 1]), np.random.default_rng(3)
    voices = draw_voices(2, np.ones(N_FEATURES, np.float32), Acoustic(offset=1.0), rng)
    moved = [
        voices.clip(clip, one).mean(0)
        for clip, one in zip(examples.frames, examples.speakers, strict=True)
    ]
    np.testing.assert_allclose(voices.means(examples), moved, atol=1e-4)
    assert np.abs(voices.means(examples) - examples.means).mean() > 0.3


@pytest.mark.parametrize("speed", [1.0, 1.08, 1.15])
def test_resampled_is_close_to_resampled_sound(speed):
    """The moved features of a tone with harmonics are near those of the tone played faster."""
    time = np.arange(RATE) / RATE
    sound = sum(np.sin(2 * np.pi * 180 * n * time) / n for n in range(1, 20))
    sound = (0.1 * sound + np.random.default_rng(0).normal(0, 1e-3, RATE)).astype(np.float32)
    module = AcousticFeatures(AcousticConfig()).eval()

    def usual(clip: np.ndarray) -> np.ndarray:
        waveform = torch.from_numpy(clip)[None]
        frames, n_frames = module(waveform, torch.tensor([clip.size]))
        return frames[0, : int(n_frames)].mean(0).numpy()

    before = usual(sound)
    after = usual(soxr.resample(sound, RATE * speed, RATE))
    moved = before @ resampled(speed, AcousticConfig())
    n_mfcc = AcousticConfig().n_mfcc
    error = np.linalg.norm((moved - after)[:n_mfcc])
    assert error <= 0.5 * np.linalg.norm((before - after)[:n_mfcc]) + 1e-3
    assert moved[n_mfcc:-7].argmax() == after[n_mfcc:-7].argmax()


def test_cut_and_masked():
    """A clip is cut to the seconds asked for, and what is hidden is as usual."""
    clip = np.ones((300, N_FEATURES), np.float32)
    usual, rng = np.full(N_FEATURES, 7.0, np.float32), np.random.default_rng(1)
    chosen = Acoustic(mask=0.3, crop_s=2.0)
    pieces = [cut_and_masked(clip, usual, chosen, rng) for _ in range(50)]
    assert {len(piece) for piece in pieces} == {round(2.0 * RATE / HOP)}
    assert set(np.unique(np.stack(pieces))) == {1.0, 7.0}
    hidden = np.array([(piece == 7.0).mean() for piece in pieces])
    assert 0 < hidden.mean() < 0.51
    assert np.all(clip == 1.0)


def test_same_draws_from_one_seed():
    """What is drawn is the generator's alone."""
    examples = make_examples([0, 0, 0, 1, 1])
    chosen = Acoustic(p_alone=0.5, resample=0.15, offset=0.2)
    deviation = np.ones(N_FEATURES, np.float32)
    first, second = (
        (
            draw_voices(2, deviation, chosen, rng),
            draw_baselines(examples.means, examples, chosen, rng),
        )
        for rng in (np.random.default_rng(5), np.random.default_rng(5))
    )
    np.testing.assert_array_equal(first[0].matrices, second[0].matrices)
    np.testing.assert_array_equal(first[1], second[1])
