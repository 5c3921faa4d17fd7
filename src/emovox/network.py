"""The classifier in torch: convolutions, then an LSTM both ways, then pooling, then logits.

Masks make sure that padding and the neighbours in a batch have no effect, in training as in use.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .features import trim_silence

_MAX_DEVIATION = 5.0  # standard deviations; what lies beyond (digital silence) is no measurement


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the network; the defaults are those of the shipped models."""

    channels: tuple[int, ...] = (64, 96, 128)  # of each convolution; each halves the frame rate
    kernel: int = 5  # frames, odd
    n_lstm: int = 64  # units each way
    dropout: float = 0.3


class ConvBlock(nn.Module):
    """Convolution over time, layer norm over channels, ReLU, maximum of frame pairs, dropout.

    The norm is taken in each frame by itself: a batch norm would mix clips, a norm over time would
    make a frame depend on the rest of the clip.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(n_in, n_out, kernel, padding=kernel // 2)
        self.norm = nn.LayerNorm(n_out)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Tensor, n_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Map frames, shape=(batch, time, n_in), to (batch, time / 2 rounded up, n_out).

        Frames from `n_frames` on must be zero, and are zero in what is returned.
        """
        convolved = self.convolution(frames.transpose(1, 2)).transpose(1, 2)
        active = F.relu(self.norm(convolved)) * frame_mask(convolved, n_frames)
        # One more frame of zeros, so that an odd last frame is kept; zeros lose against a ReLU.
        pooled = F.max_pool1d(F.pad(active.transpose(1, 2), (0, 1)), 2).transpose(1, 2)
        halved = torch.div(n_frames + 1, 2, rounding_mode="floor")
        return self.dropout(pooled), halved


class TwoWayLSTM(nn.Module):
    """Two LSTMs, one from the first frame on, one from the last frame that counts back.

    A ready-made bidirectional layer would start its way back in the padding.
    """

    def __init__(self, n_in: int, n_units: int) -> None:
        super().__init__()
        self.forth = nn.LSTM(n_in, n_units, batch_first=True)
        self.back = nn.LSTM(n_in, n_units, batch_first=True)

    def forward(self, frames: Tensor, n_frames: Tensor) -> Tensor:
        """Return the mean of both ways' outputs over time, shape=(batch, 2 * n_units)."""
        position = torch.arange(frames.shape[1], device=frames.device)[None]
        reverse = (n_frames[:, None] - 1 - position).clamp(min=0)[..., None]
        reversed_frames = torch.gather(frames, 1, reverse.expand(-1, -1, frames.shape[2]))
        forth, _ = self.forth(frames)
        back, _ = self.back(reversed_frames)
        return masked_mean(torch.cat([forth, back], dim=-1), n_frames)


class EmotionNetwork(nn.Module):
    """Frames of features in, logits and embedding out.

    The embedding is the mean of the standardised frames: what is usual for a voice in a room. The
    speaker's baseline, in the same units, is taken from every frame before the convolutions.

    Parameters
    ----------
    n_features, n_classes : int
    config : NetworkConfig
    """

    def __init__(self, n_features: int, n_classes: int, config: NetworkConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("deviation", torch.ones(n_features))
        widths = (n_features, *config.channels)
        self.blocks = nn.ModuleList(
            ConvBlock(n_in, n_out, config.kernel, config.dropout)
            for n_in, n_out in pairwise(widths)
        )
        self.lstm = TwoWayLSTM(widths[-1], config.n_lstm)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(2 * config.n_lstm, n_classes)

    def standardise_by(self, mean: Tensor, deviation: Tensor) -> None:
        """Set the features' mean and standard deviation, each of shape (n_features,)."""
        self.get_buffer("mean").copy_(mean)
        self.get_buffer("deviation").copy_(deviation.clamp(min=1e-3))

    def forward(self, frames: Tensor, n_frames: Tensor, baseline: Tensor) -> tuple[Tensor, Tensor]:
        """Classify a batch.

        Parameters
        ----------
        frames : Tensor of float32, shape=(batch, time, n_features)
        n_frames : Tensor of int64, shape=(batch,)
            Frames that count, at least 1.
        baseline : Tensor of float32, shape=(batch, n_features)
            The speaker's usual embedding; zeros: the mean of the training data.

        Returns
        -------
        logits : Tensor of float32, shape=(batch, n_classes)
        embedding : Tensor of float32, shape=(batch, n_features)
        """
        standard = (frames - self.get_buffer("mean")) / self.get_buffer("deviation")
        standard = standard.clamp(-_MAX_DEVIATION, _MAX_DEVIATION)
        embedding = masked_mean(standard, n_frames)
        hidden = (standard - baseline[:, None]) * frame_mask(standard, n_frames)
        for block in self.blocks:
            hidden, n_frames = block(hidden, n_frames)
        logits: Tensor = self.output(self.dropout(self.lstm(hidden, n_frames)))
        return logits, embedding


class WaveformModel(nn.Module):
    """A whole model as it is exported: waveform in, logits and embedding out.

    Parameters
    ----------
    features : nn.Module
        (audio, lengths) to (frames, n_frames).
    network : EmotionNetwork
    """

    def __init__(self, features: nn.Module, network: EmotionNetwork) -> None:
        super().__init__()
        self.features = features
        self.network = network

    def forward(self, audio: Tensor, lengths: Tensor, baseline: Tensor) -> tuple[Tensor, Tensor]:
        """Classify audio, shape=(batch, n_samples), of which `lengths` samples each count."""
        trimmed, n_samples = trim_silence(audio, lengths)
        frames, n_frames = self.features(trimmed, n_samples)
        logits, embedding = self.network(frames, n_frames, baseline)
        return logits, embedding


def frame_mask(frames: Tensor, n_frames: Tensor) -> Tensor:
    """Return 1.0 for frames that count and 0.0 for the rest, shape=(batch, time, 1)."""
    position = torch.arange(frames.shape[1], device=frames.device)[None, :, None]
    return (position < n_frames[:, None, None]).to(frames.dtype)


def masked_mean(frames: Tensor, n_frames: Tensor) -> Tensor:
    """Return the mean over the frames that count, shape=(batch, n_features)."""
    total = (frames * frame_mask(frames, n_frames)).sum(1)
    return total / n_frames[:, None].to(frames.dtype)


@dataclass(frozen=True)
class HeadConfig:
    """Sizes and constants of the head of a speech model."""

    n_dimensions: int = 384  # of the space in which voices are compared
    n_hidden: int = 128
    n_members: int = 2  # pairs of experts whose answers are averaged
    dropout: float = 0.3
    input_dropout: float = 0.2
    prior_seconds: float = 6.0  # of the model's mean in a speaker's baseline
    balance_seconds: float = 11.0  # of balanced emotions, before a speaker counts as one-sided
    balanced_below: float = 0.10  # distance of the emotions heard from balanced ones
    one_sided_above: float = 0.16


class SpeakerHead(nn.Module):
    """Statistics of a clip and the speaker's baseline in, logits and embedding out.

    The statistics are moved into a space of fewer dimensions, z. One expert judges z itself, the
    other how z differs from the speaker's mean. Their answers are blended: the more of the speaker
    has been heard, the more the second counts; but not where the speaker has shown mainly one
    emotion, since the mean then holds that emotion, and taking it away would hide it.

    The embedding, from which a baseline is averaged, is z, the second expert's probabilities, and a
    1. The mean of the training data has a 0 in place of the 1: of a shrunk mean the last element
    says how much was heard, and the probabilities how one-sided it was.

    Parameters
    ----------
    n_statistics, n_classes : int
    config : HeadConfig
    """

    def __init__(self, n_statistics: int, n_classes: int, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.n_classes = n_classes
        self.register_buffer("projection", torch.zeros(n_statistics, config.n_dimensions))
        self.register_buffer("offset", torch.zeros(config.n_dimensions))
        self.members = nn.ModuleList(Experts(n_classes, config) for _ in range(config.n_members))

    @property
    def n_embedding(self) -> int:
        """Numbers in an embedding and in a baseline."""
        return self.config.n_dimensions + self.n_classes + 1

    def embed(self, statistics: Tensor) -> Tensor:
        """Return z, shape=(batch, n_dimensions)."""
        return statistics @ self.get_buffer("projection") + self.get_buffer("offset")

    def trust(self, heard: Tensor, seconds: Tensor) -> Tensor:
        """Return how far the speaker's mean is to be trusted, 0 to 1, shape=(batch, 1).

        `heard` is the mean of the probabilities of the emotions in what was heard. Half the sum of
        its differences from equal shares is 0 for a balanced speaker and near 1 for one who shows
        one emotion alone; little heard counts as balanced.
        """
        config = self.config
        equal = 1.0 / self.n_classes
        total = seconds + config.balance_seconds
        shares = (heard * seconds + equal * config.balance_seconds) / total
        distance = 0.5 * (shares - equal).abs().sum(-1, keepdim=True)
        width = config.one_sided_above - config.balanced_below
        one_sided = ((distance - config.balanced_below) / width).clamp(0.0, 1.0)
        return seconds / (seconds + config.prior_seconds) * (1.0 - one_sided)

    def forward(self, statistics: Tensor, baseline: Tensor) -> tuple[Tensor, Tensor]:
        """Classify; `baseline` has shape=(batch, n_embedding)."""
        n = self.config.n_dimensions
        z = self.embed(statistics)
        share = baseline[:, -1:].clamp(0.0, 0.9999)
        means = baseline[:, :-1] / share.clamp(min=1e-4)
        seconds = self.config.prior_seconds * share / (1.0 - share)
        answers = [member(z, means[:, :n], seconds) for member in self.members]
        itself = torch.stack([answer[0] for answer in answers]).mean(0)
        difference = torch.stack([answer[1] for answer in answers]).mean(0)
        trust = self.trust(means[:, n:], seconds)
        logits = (1.0 - trust) * itself + trust * difference
        embedding = [z, torch.softmax(difference, -1), torch.ones_like(share)]
        return logits, torch.cat(embedding, dim=-1)


class Experts(nn.Module):
    """Two experts: one for a clip itself, one for how it differs from the speaker's mean."""

    def __init__(self, n_classes: int, config: HeadConfig) -> None:
        super().__init__()
        self.itself = _expert(n_classes, config)
        self.difference = _expert(n_classes, config)
        start = torch.full((config.n_dimensions,), config.prior_seconds).log()
        self.log_prior = nn.Parameter(start)  # how soon each dimension trusts the mean

    def forward(self, z: Tensor, mean: Tensor, seconds: Tensor) -> tuple[Tensor, Tensor]:
        """Return both experts' log-probabilities; `seconds` has shape=(batch, 1)."""
        away = z - mean * (seconds / (seconds + self.log_prior.exp()))
        itself = torch.log_softmax(self.itself(z), -1)
        return itself, torch.log_softmax(self.difference(away), -1)


def _expert(n_classes: int, config: HeadConfig) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(config.input_dropout),
        nn.Linear(config.n_dimensions, config.n_hidden),
        nn.GELU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.n_hidden, n_classes),
    )
