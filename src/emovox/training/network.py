"""The classifiers in torch: of acoustic frames, and of the statistics of a speech encoder.

The first has convolutions, then an LSTM both ways, then pooling, then logits. Masks make sure that
padding and the neighbours in a batch have no effect, in training as in use.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..audio import RATE
from .acoustic.features import trim_silence
from .settings import HeadConfig, NetworkConfig

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
    n_statistics, n_classes = head.itself.shape
    return (
        f"two experts, one on the clip, one on how it differs from the speaker's mean: linear, "
        f"{n_statistics} statistics of the encoder to {n_classes} emotions",
        "mixed by how much of the speaker was heard, which with the clip's length sets how sure",
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

    Two experts, each linear: one judges the clip itself, the other how it differs from the mean of
    the speaker. The scores of a linear expert can be averaged as well as the statistics, so a
    baseline holds no more than the second one's. Their answers are blended: the more of the
    speaker was heard, the more the second counts. Then they are divided by a temperature that
    depends on what is known, the clip's length and the seconds heard.

    The embedding is what was heard, the *voice*, and a 1. In the mean of the training data the
    second expert's scores and the last element are 0, so that a shrunk mean is what has to be taken
    away, and its last element says how much was heard.

    Parameters
    ----------
    n_statistics, n_classes : int
    config : HeadConfig
    """

    def __init__(self, n_statistics: int, n_classes: int, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.n_classes = n_classes
        self.register_buffer("mean", torch.zeros(n_statistics))
        self.difference = _fitted(n_statistics, n_classes)
        self.difference_bias = _fitted(n_classes)
        self.itself = _fitted(n_statistics, n_classes)
        self.itself_bias = _fitted(n_classes)
        self.certainty = _fitted(3)  # log T for each unit of what is `known`

    @property
    def n_voice(self) -> int:
        """Numbers of a voice: those of both experts, and the brevity."""
        return 2 * self.n_classes + 1

    @property
    def n_embedding(self) -> int:
        """Numbers in an embedding and in a baseline."""
        return self.n_voice + 1

    def listen(self, statistics: Tensor, seconds: Tensor) -> Tensor:
        """Return the voice of clips, which does not depend on the speaker's baseline.

        Parameters
        ----------
        statistics : Tensor, shape=(batch, n_statistics)
        seconds : Tensor, shape=(batch,)

        Returns
        -------
        voice : Tensor, shape=(batch, n_voice)
            The second expert's scores before its bias, the first one's logits, and the brevity,
            log(1 + 1 / seconds).
        """
        centred = statistics - self.get_buffer("mean")
        brevity = torch.log1p(1.0 / seconds)[:, None]
        itself = centred @ self.itself + self.itself_bias
        return torch.cat([centred @ self.difference, itself, brevity], dim=-1)

    def trust(self, baseline: Tensor) -> Tensor:
        """Return how much the second expert counts, 0 to below 1, shape=(batch, 1)."""
        prior, half = self.config.prior_seconds, self.config.trust_seconds
        share = baseline[:, -1:].clamp(0.0, 1.0)  # s / (prior + s) of s seconds
        return prior * share / (prior * share + half * (1.0 - share))

    def judge(self, voice: Tensor, baseline: Tensor) -> Tensor:
        """Return logits, shape=(batch, n_classes), from the voice of clips and the baseline."""
        n = self.n_classes
        trust = self.trust(baseline)
        itself = torch.log_softmax(voice[:, n : 2 * n], -1)
        away = voice[:, :n] - baseline[:, :n] + self.difference_bias
        blended = (1.0 - trust) * itself + trust * torch.log_softmax(away, -1)
        log_temperature = self.known(voice, baseline) @ self.certainty[:, None]
        return blended * torch.exp(-log_temperature)

    def known(self, voice: Tensor, baseline: Tensor) -> Tensor:
        """Return what certainty depends on: 1, brevity and trust, shape=(batch, 3)."""
        trust = self.trust(baseline)
        return torch.cat([torch.ones_like(trust), voice[:, 2 * self.n_classes :], trust], -1)

    def forward(
        self, statistics: Tensor, n_samples: Tensor, baseline: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Classify a batch.

        Parameters
        ----------
        statistics : Tensor of float32, shape=(batch, n_statistics)
        n_samples : Tensor of int64, shape=(batch,)
            Of the clip, at 16 kHz.
        baseline : Tensor of float32, shape=(batch, n_embedding)

        Returns
        -------
        logits : Tensor of float32, shape=(batch, n_classes)
        embedding : Tensor of float32, shape=(batch, n_embedding)
        """
        voice = self.listen(statistics, n_samples.clamp(min=1).to(statistics.dtype) / RATE)
        one = torch.ones_like(baseline[:, -1:])
        return self.judge(voice, baseline), torch.cat([voice, one], dim=-1)


def _fitted(*shape: int) -> nn.Parameter:
    """Return zeros in place of what a fit will find."""
    return nn.Parameter(torch.zeros(*shape), requires_grad=False)
