"""The network: shapes, masks, and what a baseline does."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emovox.training.network import EmotionNetwork, frame_mask, masked_mean
from emovox.training.settings import NetworkConfig

N_FEATURES, N_CLASSES = 5, 3


def make_network(dropout: float = 0.3) -> EmotionNetwork:
    """Make a small network with fixed weights."""
    torch.manual_seed(1)
    config = NetworkConfig(channels=(6, 8), n_lstm=4, dropout=dropout)
    return EmotionNetwork(N_FEATURES, N_CLASSES, config)


def run(network: EmotionNetwork, frames: torch.Tensor, n_frames: list[int]) -> torch.Tensor:
    """Return the logits without a baseline."""
    baseline = torch.zeros(len(n_frames), N_FEATURES)
    logits, _ = network(frames, torch.tensor(n_frames), baseline)
    return logits


@given(n_frames=st.integers(1, 30), n_padding=st.integers(0, 30))
@settings(max_examples=40)
def test_padding_has_no_effect(n_frames, n_padding):
    """Whatever stands behind a clip's frames does not change its logits."""
    network = make_network().eval()
    frames = torch.randn(1, n_frames, N_FEATURES, generator=torch.Generator().manual_seed(n_frames))
    rubbish = torch.full((1, n_padding, N_FEATURES), 7.0)
    alone = run(network, frames, [n_frames])
    padded = run(network, torch.cat([frames, rubbish], 1), [n_frames])
    torch.testing.assert_close(alone, padded, atol=1e-5, rtol=1e-5)


def test_neighbours_have_no_effect_in_training_mode():
    """In training, too, a clip's result does not depend on its batch (no batch norm)."""
    network = make_network(dropout=0.0).train()
    frames = torch.randn(4, 20, N_FEATURES)
    together = run(network, frames, [20, 7, 13, 1])
    alone = torch.cat(
        [run(network, frames[i : i + 1, :n], [n]) for i, n in enumerate([20, 7, 13, 1])]
    )
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_every_frame_counts():
    """A change of any single frame, first and last among them, changes the logits."""
    network = make_network().eval()
    frames = torch.randn(1, 9, N_FEATURES)
    before = run(network, frames, [9])
    for index in range(9):
        changed = frames.clone()
        changed[0, index] += 1.0
        assert not torch.allclose(before, run(network, changed, [9])), index


def test_order_of_frames_matters():
    """The network hears time: frames reversed are another clip."""
    network = make_network().eval()
    frames = torch.randn(1, 16, N_FEATURES)
    assert not torch.allclose(run(network, frames, [16]), run(network, frames.flip(1), [16]))


def test_baseline_is_taken_from_every_frame():
    """A voice shifted by an amount, judged against that amount, is as the voice unshifted."""
    network = make_network().eval()
    frames = torch.randn(1, 12, N_FEATURES).clamp(-2, 2)
    shift = torch.tensor([[0.5, -0.25, 0.0, 1.0, -1.0]])
    count = torch.tensor([12])
    plain, embedding = network(frames, count, torch.zeros_like(shift))
    shifted, moved = network(frames + shift[:, None], count, shift)
    torch.testing.assert_close(plain, shifted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(moved - embedding, shift)


def test_embedding_is_the_mean_of_standardised_frames():
    """The embedding is in units of the training data's deviation."""
    network = make_network().eval()
    network.standardise_by(torch.full((N_FEATURES,), 2.0), torch.full((N_FEATURES,), 4.0))
    frames = torch.full((1, 6, N_FEATURES), 6.0)
    _, embedding = network(frames, torch.tensor([6]), torch.zeros(1, N_FEATURES))
    torch.testing.assert_close(embedding, torch.ones(1, N_FEATURES))


def test_masks_and_means():
    """The mask is 1 for frames that count, and only these enter a mean."""
    frames = torch.tensor([[[1.0], [3.0], [100.0]]])
    assert frame_mask(frames, torch.tensor([2])).flatten().tolist() == [1.0, 1.0, 0.0]
    assert masked_mean(frames, torch.tensor([2])).item() == pytest.approx(2.0)


def test_extreme_frames_are_bounded():
    """Digital silence, many deviations away, gives finite logits."""
    logits = run(make_network().eval(), torch.full((1, 8, N_FEATURES), -1e6), [8])
    assert np.isfinite(logits.detach().numpy()).all()
