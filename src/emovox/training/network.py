"""The classifier in torch: convolutions, then an LSTM both ways, then pooling, then logits.

Masks make sure that padding and the neighbours in a batch have no effect, in training as in use.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .acoustic.features import trim_silence
from .settings import HeadConfig, NetworkConfig

_MAX_SCORE = 8.0  # in spreads within a speaker; the cube of a click's score would outweigh the rest
_MAX_DEVIATION = 5.0  # standard deviations; more is digital silence, no measurement


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

        Frames from `n_frames` on must be zero, and are zero in the result.
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

    The embedding is the mean of the standardised frames, the usual sound of a voice in a room. The
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

    def standardised(self, frames: Tensor) -> Tensor:
        """Return features in the standard deviations of the training data, around its mean."""
        standard = (frames - self.get_buffer("mean")) / self.get_buffer("deviation")
        return standard.clamp(-_MAX_DEVIATION, _MAX_DEVIATION)

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
        standard = self.standardised(frames)
        embedding = masked_mean(standard, n_frames)
        hidden = (standard - baseline[:, None]) * frame_mask(standard, n_frames)
        for block in self.blocks:
            hidden, n_frames = block(hidden, n_frames)
        logits: Tensor = self.output(self.dropout(self.lstm(hidden, n_frames)))
        return logits, embedding


def describe_network(network: EmotionNetwork) -> tuple[str, ...]:
    """Describe the layers of an acoustic network in words, from input to output."""
    convolutions = [block.get_submodule("convolution") for block in network.blocks]
    forth, output = network.lstm.forth, network.output
    return (
        *(
            f"convolution over {layer.kernel_size[0]} frames, {layer.in_channels} to "
            f"{layer.out_channels} channels, layer norm, ReLU, maximum of frame pairs"
            for layer in convolutions
            if isinstance(layer, nn.Conv1d)
        ),
        f"LSTM each way, {forth.input_size} to 2 x {forth.hidden_size}, mean over time",
        f"linear, {output.in_features} to {output.out_features} emotions",
    )


def describe_head(head: "SpeakerHead") -> tuple[str, ...]:
    """Describe the parts of a speech model's head in words."""
    n_statistics, n_dimensions = head.get_buffer("projection").shape
    n_hidden = head.config.n_hidden
    return (
        f"{n_statistics} statistics of the encoder to a space of {n_dimensions} dimensions",
        f"two experts, one on the clip, one on how it differs from the speaker's mean: linear "
        f"{n_dimensions} to {n_hidden}, GELU, linear {n_hidden} to {head.n_classes} emotions",
        "mixed by how much of the speaker was heard",
    )


def count_parameters(module: nn.Module) -> int:
    """Return the number of trained parameters of a network."""
    return sum(parameter.numel() for parameter in module.parameters())


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
        """Classify audio, shape=(batch, n_samples), with `lengths` samples that count in each."""
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


class SpeakerHead(nn.Module):
    """Statistics of a clip and the speaker's baseline in, logits and embedding out.

    The statistics are moved into a space of fewer dimensions, z. One expert judges z itself, the
    other how z differs from the speaker's mean. Their answers are blended: the more of the speaker
    has been heard, the more the second counts; but not where the speaker has shown mainly one
    emotion, since the mean then holds that emotion, and taking it away would hide it.

    The embedding, averaged into a baseline, is z, the clip's scores on an axis for each
    emotion, their squares and cubes, and a 1. The mean of the training data has zeros: of a shrunk
    mean the last element says how much was heard, and the powers how the scores were distributed.

    Parameters
    ----------
    n_statistics, n_classes : int
    config : HeadConfig
    """

    def __init__(self, n_statistics: int, n_classes: int, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.n_classes = n_classes
        n = config.n_dimensions
        self.register_buffer("projection", torch.zeros(n_statistics, n))
        self.register_buffer("offset", torch.zeros(n))
        self.register_buffer("emotions", torch.zeros(n_classes, n))  # away from a speaker's mean
        self.register_buffer("axes", torch.zeros(n, n_classes))  # unit spread in a speaker
        self.experts = Experts(n_classes, config)

    @property
    def n_embedding(self) -> int:
        """Numbers in an embedding and in a baseline."""
        return self.config.n_dimensions + 3 * self.n_classes + 1

    def embed(self, statistics: Tensor) -> Tensor:
        """Return z, shape=(batch, n_dimensions)."""
        return statistics @ self.get_buffer("projection") + self.get_buffer("offset")

    def skewness(self, powers: Tensor, seconds: Tensor) -> Tensor:
        """Return how skewed each emotion's scores were, shape=(batch, n_classes).

        An emotion that a speaker shows now and then makes a distribution with a tail above, one
        that they show nearly always makes one with a tail below: two values, the higher with the
        share p, have the skewness (1 - 2 p) / sqrt(p (1 - p)). Where on the axis the speaker's
        voice lies has no effect. Short histories count as symmetric.

        Parameters
        ----------
        powers : Tensor, shape=(batch, 3 * n_classes)
            Means of the scores, their squares and their cubes.
        seconds : Tensor, shape=(batch, 1)
        """
        n = self.n_classes
        first, second, third = powers[:, :n], powers[:, n : 2 * n], powers[:, 2 * n :]
        variance = (second - first**2).clamp(min=1e-3)
        moment = third - 3.0 * first * second + 2.0 * first**3
        known = seconds / (seconds + self.config.skew_seconds)
        return moment / variance**1.5 * known

    def usual(self, means: Tensor, seconds: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of a speaker's voice, and how far it is to be trusted.

        From a speaker who seems to show mainly one emotion, most of this emotion is taken out; a
        surely one-sided speaker is not trusted.

        Parameters
        ----------
        means : Tensor, shape=(batch, n_embedding - 1)
            Of the clips heard.
        seconds : Tensor, shape=(batch, 1)

        Returns
        -------
        mean : Tensor, shape=(batch, n_dimensions)
        trust : Tensor, shape=(batch, 1)
            0 to 1.
        """
        config = self.config
        mean = means[:, : config.n_dimensions]
        skewness = self.skewness(means[:, config.n_dimensions :], seconds)
        least = skewness.amin(-1, keepdim=True)
        width = config.balanced_above - config.one_sided_below
        balanced = ((least - config.one_sided_below) / width).clamp(0.0, 1.0)
        prevailing = (skewness <= least).to(mean.dtype) @ self.get_buffer("emotions")
        trust = seconds / (seconds + config.trust_seconds) * balanced
        return mean - config.correction * (1.0 - balanced) * prevailing, trust

    def forward(self, statistics: Tensor, baseline: Tensor) -> tuple[Tensor, Tensor]:
        """Classify; `baseline` has shape=(batch, n_embedding)."""
        z = self.embed(statistics)
        share = baseline[:, -1:].clamp(0.0, 0.9999)
        means = baseline[:, :-1] / share.clamp(min=1e-4)
        seconds = self.config.prior_seconds * share / (1.0 - share)
        mean, trust = self.usual(means, seconds)
        itself, difference = self.experts(z, mean, seconds)
        logits = (1.0 - trust) * itself + trust * difference
        scores = (z @ self.get_buffer("axes")).clamp(-_MAX_SCORE, _MAX_SCORE)
        embedding = [z, scores, scores**2, scores**3, torch.ones_like(share)]
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
