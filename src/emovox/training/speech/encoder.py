"""Speech features in torch: lower layers of whisper-tiny's encoder, pooled over a clip.

The encoder is that of Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision,
2022, frozen. Two things differ from its use there. Its input is scaled by the level of the speech
(after ITU-T P.56) instead of by the loudest point of the clip, so that one click does not change
every frame. And everything is masked and no longer than the clip, so that neither padding nor the
neighbours in a batch have an effect.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import ModelError
from ..acoustic.features import PowerSpectrum, mel_filters, trim_silence
from ..network import frame_mask, masked_mean

N_FFT, HOP, N_MELS = 400, 160, 80  # whisper's own: 25 ms every 10 ms
WIDTH, N_HEADS, N_HIDDEN = 384, 6, 1536  # whisper-tiny's
_ACTIVE_DB = 16.0  # a frame this far below the level of the speech is no speech
_EDGE_DB = 32.0  # and this far below, at either end, is cut off
_MIN_FRAMES = 10
_REFERENCE = 100.0  # the level of speech is moved to this frame power
_FLOOR = -6.5  # log10 of mel power after that, the floor of hearing
_LEVEL_STEPS = 4  # of the fixed point; it moves no more after three on real recordings


@dataclass(frozen=True)
class SpeechConfig:
    """Settings of the speech features; the defaults are those of the shipped model."""

    n_layers: int = 3  # of four; the last is about words, and worse for emotion
    max_seconds: float = 15.0  # rows of the positional table that are kept

    @property
    def n_statistics(self) -> int:
        """Numbers a clip: mean and standard deviation over time of each layer."""
        return 2 * WIDTH * self.n_layers


class LogMel(nn.Module):
    """The log-mel spectrogram of the speech in a clip, at a constant level."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrum = PowerSpectrum(N_FFT, HOP)
        filters = torch.from_numpy(mel_filters(N_MELS, N_FFT).T.copy()).float()
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return (batch, time, 80) from the first frame of speech on, and the frames that count.

        Frames are centred on every 160th sample, with zeros outside of the clip.
        """
        power = self.spectrum(F.pad(audio, (N_FFT // 2, 0)))[:, : audio.shape[1] // HOP + 1]
        n_frames = torch.div(lengths, HOP, rounding_mode="floor") + 1
        mask = frame_mask(power, n_frames)[..., 0]
        frame_power = power.sum(-1) * mask
        level = speech_level(frame_power, mask)
        first, n_speech = _speech_frames(frame_power, level)
        position = torch.arange(power.shape[1], device=power.device)[None]
        source = torch.minimum(position + first[:, None], position[:, -1:])
        mel = (power @ self.get_buffer("filters")) * (_REFERENCE / level)[:, None, None]
        logarithm = torch.log10(mel.clamp(min=10.0**_FLOOR))
        moved = torch.gather(logarithm, 1, source[..., None].expand(-1, -1, N_MELS))
        return (moved + 4.0) / 4.0, n_speech  # whisper's scaling


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


def _speech_frames(frame_power: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """Find the first frame of speech and the number of frames to the last one."""
    sounds = frame_power > level[:, None] * 10 ** (-_EDGE_DB / 10)
    position = torch.arange(frame_power.shape[1], device=frame_power.device)[None]
    first = torch.where(sounds, position, position[:, -1:]).amin(1)
    last = torch.where(sounds, position, 0).amax(1)
    n_left = position[:, -1] + 1 - first
    return first, torch.minimum((last - first + 1).clamp(min=_MIN_FRAMES), n_left)


class EncoderLayer(nn.Module):
    """A transformer layer with the norms in front; its parts have Hugging Face's names."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn_layer_norm = nn.LayerNorm(WIDTH)
        self.self_attn = nn.ModuleDict(
            {
                "q_proj": nn.Linear(WIDTH, WIDTH),
                "k_proj": nn.Linear(WIDTH, WIDTH, bias=False),
                "v_proj": nn.Linear(WIDTH, WIDTH),
                "out_proj": nn.Linear(WIDTH, WIDTH),
            }
        )
        self.final_layer_norm = nn.LayerNorm(WIDTH)
        self.fc1 = nn.Linear(WIDTH, N_HIDDEN)
        self.fc2 = nn.Linear(N_HIDDEN, WIDTH)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Map (batch, time, 384) to the same; `bias`, (batch, 1, 1, time), hides padding."""
        hidden = hidden + self._attend(self.self_attn_layer_norm(hidden), bias)
        inner = F.gelu(self.fc1(self.final_layer_norm(hidden)))
        return hidden + self.fc2(inner)  # type: ignore[no-any-return]

    def _attend(self, normed: Tensor, bias: Tensor) -> Tensor:
        query, key, value = (
            _heads(self.self_attn[name](normed)) for name in ("q_proj", "k_proj", "v_proj")
        )
        scores = (query * (WIDTH // N_HEADS) ** -0.5) @ key.transpose(2, 3) + bias
        joined = (torch.softmax(scores, -1) @ value).transpose(1, 2)
        attended: Tensor = self.self_attn["out_proj"](joined.reshape(normed.shape))
        return attended


def _heads(projected: Tensor) -> Tensor:
    batch, time = projected.shape[:2]
    return projected.reshape(batch, time, N_HEADS, WIDTH // N_HEADS).transpose(1, 2)


class SpeechStatistics(nn.Module):
    """Waveform to the mean and deviation over time of each layer: (audio, lengths) to statistics.

    Parameters
    ----------
    config : SpeechConfig
    """

    def __init__(self, config: SpeechConfig) -> None:
        super().__init__()
        self.config = config
        self.logmel = LogMel()
        self.conv1 = nn.Conv1d(N_MELS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        n_positions = int(config.max_seconds * 50) + 1
        self.embed_positions = nn.Embedding(n_positions, WIDTH)
        self.layers = nn.ModuleList(EncoderLayer() for _ in range(config.n_layers))

    def forward(self, audio: Tensor, lengths: Tensor) -> Tensor:
        """Return (batch, n_statistics) of audio, shape=(batch, n_samples)."""
        mel, n_mel = self.logmel(*trim_silence(audio, lengths))
        n_mel = n_mel.clamp(max=2 * self.embed_positions.num_embeddings)
        mel = mel[:, : n_mel.max()]  # nothing behind the longest clip's speech is worth computing
        hidden = (mel * frame_mask(mel, n_mel)).transpose(1, 2)
        hidden = F.gelu(self.conv1(hidden)) * frame_mask(mel, n_mel).transpose(1, 2)
        hidden = F.gelu(self.conv2(hidden)).transpose(1, 2)
        n_frames = torch.div(n_mel + 1, 2, rounding_mode="floor")
        hidden = hidden + self.embed_positions.weight[: hidden.shape[1]]
        mask = frame_mask(hidden, n_frames)
        bias = (1.0 - mask.transpose(1, 2)[:, None]) * -1e4
        statistics = []
        for layer in self.layers:
            hidden = layer(hidden * mask, bias)
            mean = masked_mean(hidden, n_frames)
            variance = masked_mean((hidden - mean[:, None]) ** 2, n_frames)
            statistics += [mean, torch.sqrt(variance + 1e-6)]
        return torch.cat(statistics, dim=-1)


def load_encoder(path: Path, config: SpeechConfig) -> SpeechStatistics:
    """Make the speech features from whisper-tiny's weights.

    Parameters
    ----------
    path : Path
        A safetensors file of `openai/whisper-tiny`, whole or its encoder alone.
    config : SpeechConfig

    Raises
    ------
    ModelError
        If the file cannot be read or holds other weights.
    """
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
    module = SpeechStatistics(config)
    needed = module.state_dict()
    if missing := sorted(needed.keys() - weights.keys()):
        raise ModelError(f"{path}: expected the encoder of whisper-tiny, found no {missing[0]}")
    chosen = {name: weights[name] for name in needed}
    table = chosen["embed_positions.weight"]
    chosen["embed_positions.weight"] = table[: len(needed["embed_positions.weight"])]
    try:
        module.load_state_dict(chosen)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ModelError(f"{path}: expected the encoder of whisper-tiny: {reason}") from None
    return module.eval().requires_grad_(False)


def find_weights(encoder: str, folder: Path) -> Path:
    """Return the file of an encoder's weights, fetched from the hub where its name is given.

    Parameters
    ----------
    encoder : str
        A file, or a model's name on the hub, such as "openai/whisper-tiny".
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
