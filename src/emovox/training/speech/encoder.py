"""Speech features in torch: lower layers of a whisper encoder, pooled over a clip.

The encoder is that of Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision,
2022, of any size that hears 80 mel bands. Three things differ from its use there. Its input is
scaled by the level of the speech (after ITU-T P.56) instead of by the loudest point of the clip, so
that one click does not change every frame. Frames far below that level, where a room or a line is
heard and no voice, are neither attended to nor pooled. And everything is masked and no longer than
the clip, so that neither padding nor the neighbours in a batch have an effect.
"""

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import ModelError
from ...loudness import EDGE, MARGIN
from ..acoustic.features import PowerSpectrum, mel_filters, trim_silence
from ..network import frame_mask

N_FFT, HOP, N_MELS = 400, 160, 80  # whisper's own: 25 ms every 10 ms
HEAD_WIDTH = 64  # of every size of whisper
_ACTIVE_DB = 16.0  # a frame this far below the level of the speech is left out of the level
# Frames this far below it count nowhere: soft sounds of speech lie higher, and what fills a pause
# (noise, echo, a codec's hiss) mostly lower. It tells of the room and the line, not of the voice.
_SPEECH_DB = 20.0
_MIN_FRAMES = 10
_REFERENCE = 100.0  # the level of speech is moved to this frame power
_FLOOR = -6.5  # log10 of mel power after that, the floor of hearing
_LEVEL_STEPS = 4  # of the fixed point; it moves no more after three on real recordings


@dataclass(frozen=True)
class SpeechConfig:
    """Settings of the speech features; the defaults are those of the shipped model."""

    n_layers: int = 3  # of four; the last is about words, and worse for emotion
    max_seconds: float = 15.0  # rows of the positional table that are kept


class LogMel(nn.Module):
    """The log-mel spectrogram of the speech in a clip, at a constant level."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrum = PowerSpectrum(N_FFT, HOP)
        filters = torch.from_numpy(mel_filters(N_MELS, N_FFT).T.copy()).float()
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the frames from the first sound of a clip to its last.

        Frames are centred on every 160th sample, with zeros outside of the clip.

        Returns
        -------
        mel : Tensor, shape=(batch, time, 80)
            In whisper's scaling; the first sound is the first frame.
        n_frames : Tensor of int64, shape=(batch,)
            Frames up to the last sound.
        speech : Tensor, shape=(batch, time)
            1.0 for the frames among these that hold speech, else 0.0.
        """
        power = self.spectrum(F.pad(audio, (N_FFT // 2, 0)))[:, : audio.shape[1] // HOP + 1]
        n_frames = torch.div(lengths, HOP, rounding_mode="floor") + 1
        mask = frame_mask(power, n_frames)[..., 0]
        frame_power = power.sum(-1) * mask
        level = speech_level(frame_power, mask * (frame_power > 0))
        first, n_heard = _heard_frames(frame_power, level)
        position = torch.arange(power.shape[1], device=power.device)[None]
        source = torch.minimum(position + first[:, None], position[:, -1:])
        mel = (power @ self.get_buffer("filters")) * (_REFERENCE / level)[:, None, None]
        logarithm = torch.log10(mel.clamp(min=10.0**_FLOOR))
        moved = torch.gather(logarithm, 1, source[..., None].expand(-1, -1, N_MELS))
        loud = (frame_power > level[:, None] * 10 ** (-_SPEECH_DB / 10)).to(moved.dtype)
        speech = torch.gather(loud, 1, source) * frame_mask(moved, n_heard)[..., 0]
        return (moved + 4.0) / 4.0, n_heard, speech


def speech_level(frame_power: Tensor, mask: Tensor) -> Tensor:
    """Return the mean power of the frames that hold speech, shape=(batch,).

    Those are the frames less than 16 dB below that very mean, found as a fixed point in the manner
    of ITU-T P.56. Unlike a maximum it hardly depends on any single frame, and pauses do not lower
    it.
    """
    level = frame_power.sum(1) / mask.sum(1)
    for _ in range(_LEVEL_STEPS):
        speech = mask * (frame_power > level[:, None] * 10 ** (-_ACTIVE_DB / 10))
        level = (frame_power * speech).sum(1) / speech.sum(1).clamp(min=1.0)
    return level.clamp(min=1e-12)


def _heard_frames(frame_power: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """Find the first frame with a sound and the number of frames to the last one."""
    sounds = frame_power > level[:, None] * 10 ** (-_SPEECH_DB / 10)
    position = torch.arange(frame_power.shape[1], device=frame_power.device)[None]
    first = torch.where(sounds, position, position[:, -1:]).amin(1)
    last = torch.where(sounds, position, 0).amax(1)
    n_left = position[:, -1] + 1 - first
    return first, torch.minimum((last - first + 1).clamp(min=_MIN_FRAMES), n_left)


class EncoderLayer(nn.Module):
    """A transformer layer with the norms in front; its parts have Hugging Face's names."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.self_attn = nn.ModuleDict(
            {
                "q_proj": nn.Linear(width, width),
                "k_proj": nn.Linear(width, width, bias=False),
                "v_proj": nn.Linear(width, width),
                "out_proj": nn.Linear(width, width),
            }
        )
        self.final_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Map (batch, time, width) to the same; `bias`, (batch, 1, 1, time), hides frames."""
        hidden = hidden + self._attend(self.self_attn_layer_norm(hidden), bias)
        inner = F.gelu(self.fc1(self.final_layer_norm(hidden)))
        return hidden + self.fc2(inner)  # type: ignore[no-any-return]

    def _attend(self, normed: Tensor, bias: Tensor) -> Tensor:
        query, key, value = (
            _heads(self.self_attn[name](normed)) for name in ("q_proj", "k_proj", "v_proj")
        )
        scores = (query * HEAD_WIDTH**-0.5) @ key.transpose(2, 3) + bias
        joined = (torch.softmax(scores, -1) @ value).transpose(1, 2)
        attended: Tensor = self.self_attn["out_proj"](joined.reshape(normed.shape))
        return attended


def _heads(projected: Tensor) -> Tensor:
    batch, time, width = projected.shape
    return projected.reshape(batch, time, width // HEAD_WIDTH, HEAD_WIDTH).transpose(1, 2)


class SpeechStatistics(nn.Module):
    """Waveform to the mean and deviation over time of each layer: (audio, lengths) to statistics.

    Parameters
    ----------
    config : SpeechConfig
    width : int
        Of the encoder, a multiple of 64: 384 in whisper-tiny, 512 in whisper-base.
    """

    def __init__(self, config: SpeechConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.n_statistics = 2 * width * config.n_layers
        self.logmel = LogMel()
        self.conv1 = nn.Conv1d(N_MELS, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        table = sinusoids(int(config.max_seconds * 50) + 1, width)
        self.register_buffer("positions", table, persistent=False)
        self.layers = nn.ModuleList(EncoderLayer(width) for _ in range(config.n_layers))

    def forward(self, audio: Tensor, lengths: Tensor) -> Tensor:
        """Return (batch, n_statistics) of audio, shape=(batch, n_samples)."""
        trimmed = trim_silence(audio, lengths, EDGE, MARGIN, HOP)
        hidden, speech = self._stem(*self.logmel(*trimmed))
        bias = (1.0 - speech.transpose(1, 2)[:, None]) * -1e4
        statistics = []
        for layer in self.layers:
            hidden = layer(hidden * speech, bias)
            mean = _weighted_mean(hidden, speech)
            variance = _weighted_mean((hidden - mean[:, None]) ** 2, speech)
            statistics += [mean, torch.sqrt(variance + 1e-6)]
        return torch.cat(statistics, dim=-1)

    def _stem(self, mel: Tensor, n_mel: Tensor, speech: Tensor) -> tuple[Tensor, Tensor]:
        """Halve the frames by convolutions; a half holds speech where one of its two frames does.

        Returns (batch, time / 2 rounded up, width), and the same with one column of 1.0 or 0.0.
        """
        positions = self.get_buffer("positions")
        n_mel = n_mel.clamp(max=2 * len(positions))
        mel = mel[:, : n_mel.max()]  # nothing behind the longest clip's speech is worth computing
        speech = F.pad(speech[:, : n_mel.max()], (0, 1))
        mask = frame_mask(mel, n_mel)
        hidden = F.gelu(self.conv1((mel * mask).transpose(1, 2))) * mask.transpose(1, 2)
        hidden = F.gelu(self.conv2(hidden)).transpose(1, 2)
        halved = F.max_pool1d(speech[:, None], 2).transpose(1, 2)[:, : hidden.shape[1]]
        return hidden + positions[: hidden.shape[1]], halved


def sinusoids(n_positions: int, width: int) -> Tensor:
    """Return whisper's table of positions, shape=(n_positions, width), which it did not learn.

    Sines, then cosines, of periods from 2 pi to 20,000 pi frames.
    """
    step = math.log(10_000.0) / (width // 2 - 1)
    speeds = torch.exp(-step * torch.arange(width // 2))
    angles = torch.arange(n_positions)[:, None] * speeds[None]
    return torch.cat([angles.sin(), angles.cos()], 1)


def _weighted_mean(frames: Tensor, weights: Tensor) -> Tensor:
    return (frames * weights).sum(1) / weights.sum(1).clamp(min=1.0)


def load_encoder(path: Path, config: SpeechConfig) -> SpeechStatistics:
    """Make the speech features from a whisper encoder's weights.

    Parameters
    ----------
    path : Path
        A safetensors file of `openai/whisper-base` or another size, whole or its encoder alone.
        Matrices may be of int8, with the scale of each row beside them as "NAME.scale". A table of
        positions is not read: whisper's are computed.
    config : SpeechConfig

    Raises
    ------
    ModelError
        If the file cannot be read or holds other weights.
    """
    weights = _read_weights(path)
    first = weights.get("conv1.weight", torch.empty(0))
    if not len(first) or len(first) % HEAD_WIDTH:
        raise ModelError(f"{path}: expected a whisper encoder, found no conv1.weight of its shape")
    module = SpeechStatistics(config, len(first))
    needed = module.state_dict()
    if missing := sorted(needed.keys() - weights.keys()):
        raise ModelError(f"{path}: expected a whisper encoder, found no {missing[0]}")
    try:
        module.load_state_dict({name: weights[name] for name in needed})
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ModelError(f"{path}: expected a whisper encoder: {reason}") from None
    return module.eval().requires_grad_(False)


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of an encoder as float32, by their names behind "encoder."."""
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except Exception as error:  # noqa: BLE001 (the library's error has no public root)
        raise ModelError(f"{path}: cannot read the encoder's weights: {error}") from None
    weights = {
        name.rpartition("encoder.")[2]: value.float()
        for name, value in tensors.items()
        if "encoder." in name
    }
    for name in [name for name in weights if f"{name}.scale" in weights]:
        weights[name] = weights[name] * weights.pop(f"{name}.scale").reshape(-1, 1)
    return weights


def find_weights(encoder: str, folder: Path) -> Path:
    """Return the file of an encoder's weights, fetched from the hub where its name is given.

    Parameters
    ----------
    encoder : str
        A file, or a model's name on the hub, such as "openai/whisper-base".
    folder : Path
        Keeps the fetched files.

    Raises
    ------
    ModelError
        If there is no such file, or the hub does not give it.
    """
    if Path(encoder).exists() or not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", encoder):
        return Path(encoder)
    import pooch

    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    url = f"{hub}/{encoder}/resolve/main/model.safetensors"
    name = encoder.replace("/", "--") + ".safetensors"
    pooch.get_logger().setLevel("ERROR")  # else it prints the checksum
    try:
        return Path(pooch.retrieve(url, None, fname=name, path=folder))
    except Exception as error:  # noqa: BLE001 (any error of the transfer)
        raise ModelError(
            f"cannot fetch {url}: {error}; fetch it by hand, and give the file as encoder"
        ) from None
