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
    """Sizes of the head of a speech model."""

    n_dimensions: int = 384  # of the space in which voices are compared
    n_hidden: int = 128
    n_members: int = 3  # heads whose logits are averaged
    dropout: float = 0.5
    input_dropout: float = 0.3
    prior_seconds: float = 6.0  # of the model's mean in a speaker's baseline


class SpeakerHead(nn.Module):
    """Statistics of a clip and the speaker's baseline in, logits and embedding out.

    The statistics are moved into a space of fewer dimensions, z. There the classifier sees how the
    clip differs from the speaker's own voice, the clip itself, and how much of the speaker has been
    heard, and so learns how far to trust which.

    The embedding is what a baseline is averaged from: z without the emotion that the model itself
    hears in it, so that a speaker who is always angry does not become one whose neutral voice is
    angry. Its last element is 1. The mean of the training data has a 0 there, and the last element
    of a shrunk mean is therefore the share of what has been heard in it.

    Parameters
    ----------
    n_statistics, n_classes : int
    config : HeadConfig
    """

    def __init__(self, n_statistics: int, n_classes: int, config: HeadConfig) -> None:
        super().__init__()
        self.prior_seconds = config.prior_seconds
        n = config.n_dimensions
        self.register_buffer("projection", torch.zeros(n_statistics, n))
        self.register_buffer("offset", torch.zeros(n))
        self.register_buffer("emotions", torch.zeros(n_classes, n))
        self.members = nn.ModuleList(HeadMember(n_classes, config) for _ in range(config.n_members))

    def embed(self, statistics: Tensor) -> Tensor:
        """Return z, shape=(batch, n_dimensions)."""
        return statistics @ self.get_buffer("projection") + self.get_buffer("offset")

    def classify(self, z: Tensor, mean: Tensor, seconds: Tensor) -> Tensor:
        """Return the logits, given the mean residual and the seconds heard."""
        logits = [member(z, mean, seconds) for member in self.members]
        return torch.stack(logits).mean(0)

    def residual(self, z: Tensor, logits: Tensor) -> Tensor:
        """Take the expected emotion out of z.

        Each emotion's mean counts by the squared probability: an emotion that is surely there is
        taken out whole, one of many possible ones hardly.
        """
        return z - torch.softmax(logits, -1) ** 2 @ self.get_buffer("emotions")

    def forward(self, statistics: Tensor, baseline: Tensor) -> tuple[Tensor, Tensor]:
        """Classify; `baseline` has shape=(batch, n_dimensions + 1)."""
        z = self.embed(statistics)
        share = baseline[:, -1:].clamp(0.0, 0.999)
        mean = baseline[:, :-1] / share.clamp(min=1e-4)
        seconds = self.prior_seconds * share / (1.0 - share)
        logits = self.classify(z, mean, seconds)
        residual = self.residual(z, logits)
        return logits, torch.cat([residual, torch.ones_like(residual[:, :1])], dim=-1)


class HeadMember(nn.Module):
    """One of the heads whose logits are averaged: a hidden layer over what is known of a clip."""

    def __init__(self, n_classes: int, config: HeadConfig) -> None:
        super().__init__()
        self.prior_seconds = config.prior_seconds
        start = torch.full((config.n_dimensions,), config.prior_seconds).log()
        self.log_prior = nn.Parameter(start)  # how soon each dimension trusts the speaker's mean
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.layers = nn.Sequential(
            nn.Linear(2 * config.n_dimensions + 1, config.n_hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.n_hidden, n_classes),
        )

    def forward(self, z: Tensor, mean: Tensor, seconds: Tensor) -> Tensor:
        """Return the logits; `mean` has shape=(batch, n_dimensions), `seconds` (batch, 1)."""
        difference = z - mean * (seconds / (seconds + self.log_prior.exp()))
        share = seconds / (seconds + self.prior_seconds)
        inputs = [self.input_dropout(difference), self.input_dropout(z), share]
        logits: Tensor = self.layers(torch.cat(inputs, dim=-1))
        return logits
