"""Acoustic features in torch: MFCC, chroma and spectral contrast of each frame of a batch.

The same module computes the training data and stands in the exported graph, so that training and
use cannot differ. librosa (with ``center=False``, ``tuning=0.0``, these floors, and no clipping to
the clip's loudest frame) is the reference; docs/architecture.md gives the largest difference.

Nothing here looks beyond the frame: a frame's features do not depend on the rest of the clip, on
padding or on the neighbours in a batch. There is no padding of the edges (``center=False``).
"""

import math
from itertools import pairwise

import librosa
import numpy as np
import scipy
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ...audio import RATE
from ..settings import AcousticConfig

# Floors below which no logarithm is taken. Anything under the noise of a 16-bit recording (a
# magnitude of about 2e-4 here) is residue of resampling or of a codec, and must not be heard.
SILENCE = 1e-3  # amplitude: what is below at either end of a clip is cut off
_MEL_FLOOR = 1e-10  # of mel power; librosa's own default
_CONTRAST_FLOOR = 1e-3  # of magnitude, about -108 dB of full scale for a sine


def trim_silence(
    audio: Tensor, lengths: Tensor, floor: float = SILENCE, margin: int = 0, hop: int = 1
) -> tuple[Tensor, Tensor]:
    """Cut a clip before its first and after its last sample above a floor.

    Parameters
    ----------
    audio : Tensor of float32, shape=(batch, n_samples)
        Samples from `lengths` on are ignored.
    lengths : Tensor of int64, shape=(batch,)
        Samples that count.
    floor : float
        An amplitude.
    margin : int
        Samples kept on both sides, as far as there are any, and zeros for the frames at the
        edges; before the first sound they are whole hops.
    hop : int
        Samples.

    Returns
    -------
    trimmed : Tensor of float32, shape=(batch, n_samples)
        Each clip moved to the front, zeros behind it. The cut is exact to the sample, so that
        silence around a clip cannot move its frames.
    lengths : Tensor of int64, shape=(batch,)
        Samples left; 0 where nothing is above the floor.
    """
    if margin:
        counts = torch.arange(audio.shape[1], device=audio.device)[None] < lengths[:, None]
        audio, lengths = F.pad(torch.where(counts, audio, 0.0), (hop, 2 * hop)), lengths + 3 * hop
    position = torch.arange(audio.shape[1], device=audio.device)[None]
    sounds = (audio.abs() >= floor) & (position < lengths[:, None])
    end = torch.minimum(torch.where(sounds, position + 1 + margin, 0).amax(1), lengths)
    start = torch.where(sounds, position, audio.shape[1]).amin(1)
    start = start - torch.div(start.clamp(max=margin), hop, rounding_mode="floor") * hop
    n_left = (end - start).clamp(min=0)
    source = torch.minimum(position + start[:, None], position[:, -1:])
    trimmed = torch.gather(audio, 1, source)
    return torch.where(position < n_left[:, None], trimmed, 0.0), n_left


class PowerSpectrum(nn.Module):
    """The power spectrum of Hann-windowed frames, by small matrix products.

    With n_fft = R * C, sample n = n1 + R * n2 and bin k = C * k1 + k2, the Fourier sum parts into
    one over n2 (C x C), a twist, and one over n1 (R x R): Cooley and Tukey's factorisation, 1965,
    taken once. It costs a tenth of the full Fourier matrix and, unlike an FFT operator, runs at
    full speed in every ONNX runtime.

    Parameters
    ----------
    n_fft : int
        Samples in a frame.
    hop : int
        Samples from frame to frame.
    """

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.block = math.gcd(n_fft, hop)
        self.rows = max(r for r in range(1, math.isqrt(n_fft) + 1) if n_fft % r == 0)
        self.columns = n_fft // self.rows
        # The input is real: k2 above C / 2 mirror those below, and power cannot tell a mirror.
        self.n_k2 = self.columns // 2 + 1
        k2, n2 = np.arange(self.n_k2), np.arange(self.columns)
        n1 = k1 = np.arange(self.rows)
        first = np.exp(-2j * np.pi * np.outer(k2, n2) / self.columns)
        twist = np.exp(-2j * np.pi * np.outer(k2, n1) / n_fft)
        second = np.exp(-2j * np.pi * np.outer(n1, k1) / self.rows)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)  # periodic Hann
        _constant(self, "window", window)
        _constant(self, "first", np.concatenate([first.real, first.imag]))
        _constant(self, "twist_real", twist.real)
        _constant(self, "twist_imag", twist.imag)
        # The shares of the real and the imaginary part in the real and the imaginary result.
        _constant(self, "of_real", np.concatenate([second.real, second.imag], axis=1))
        _constant(self, "of_imag", np.concatenate([-second.imag, second.real], axis=1))
        self.register_buffer("order", torch.from_numpy(self._order()), persistent=False)

    def _order(self) -> NDArray[np.int64]:
        """Find where each bin 0 to n_fft / 2 lies in the flat (k2, k1) result."""
        k = np.arange(self.n_fft // 2 + 1)
        k = np.where(k % self.columns < self.n_k2, k, self.n_fft - k)
        return (k % self.columns * self.rows + k // self.columns).astype(np.int64)

    def forward(self, audio: Tensor) -> Tensor:
        """Return the power of frames, shape=(batch, n_samples // hop + 1, n_fft // 2 + 1)."""
        frames = self._frames(F.pad(audio, (0, self.n_fft))) * self.get_buffer("window")
        n_frames = frames.shape[1]
        grid = frames.reshape(-1, self.columns, self.rows)
        inner = self.get_buffer("first") @ grid  # (frames, real and imaginary k2, n1)
        real, imag = inner[:, : self.n_k2], inner[:, self.n_k2 :]
        cos, sin = self.get_buffer("twist_real"), self.get_buffer("twist_imag")
        twisted_real = torch.addcmul(real * cos, imag, sin, value=-1).reshape(-1, self.rows)
        twisted_imag = torch.addcmul(real * sin, imag, cos).reshape(-1, self.rows)
        spectrum = twisted_real @ self.get_buffer("of_real")
        spectrum = torch.addmm(spectrum, twisted_imag, self.get_buffer("of_imag"))
        real, imag = spectrum[:, : self.rows], spectrum[:, self.rows :]
        power = torch.addcmul(real * real, imag, imag)
        return power.reshape(audio.shape[0], n_frames, -1).index_select(
            -1, self.get_buffer("order")
        )

    def _frames(self, padded: Tensor) -> Tensor:
        """Cut overlapping frames as shifted views of blocks, to export without a loop."""
        n_blocks = padded.shape[1] // self.block
        blocks = padded[:, : n_blocks * self.block].reshape(padded.shape[0], -1, self.block)
        n_joined, step = self.n_fft // self.block, self.hop // self.block
        span = (n_blocks - n_joined) // step * step + 1
        shifted = [blocks[:, first : first + span : step] for first in range(n_joined)]
        return torch.cat(shifted, dim=-1)


class AcousticFeatures(nn.Module):
    """Frames of 40 MFCC, 12 chroma and 7 bands of spectral contrast (the defaults).

    Parameters
    ----------
    config : AcousticConfig
    """

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        self.config = config
        self.spectrum = PowerSpectrum(config.n_fft, config.hop)
        self.bands = contrast_bands(config)
        mel, chroma = mel_filters(config.n_mels, config.n_fft), chroma_filters(config)
        _constant(self, "filters", np.concatenate([mel, chroma]).T)
        _constant(self, "dct", dct_matrix(config.n_mfcc, config.n_mels).T)

    def forward(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the features of each frame.

        Parameters
        ----------
        audio : Tensor of float32, shape=(batch, n_samples)
            Mono, 16 kHz, in [-1, 1].
        lengths : Tensor of int64, shape=(batch,)
            Samples that count; a clip shorter than one frame is filled up with zeros.

        Returns
        -------
        frames : Tensor of float32, shape=(batch, n_samples // hop + 1, n_features)
            Frame t covers the samples t * hop to t * hop + n_fft - 1.
        n_frames : Tensor of int64, shape=(batch,)
            Frames that lie wholly within the clip, at least 1; the rest is to be masked.
        """
        config = self.config
        power = self.spectrum(audio)
        energy = power @ self.get_buffer("filters")
        mel, chroma = energy[..., : config.n_mels], energy[..., config.n_mels :]
        mfcc = _decibel(mel, _MEL_FLOOR) @ self.get_buffer("dct")
        frames = torch.cat([mfcc, _normalise(chroma), self._contrast(power)], dim=-1)
        whole = torch.div(lengths - config.n_fft, config.hop, rounding_mode="floor") + 1
        return frames, whole.clamp(min=1)

    def _contrast(self, power: Tensor) -> Tensor:
        extremes: list[Tensor] = []
        for first, last, n_extreme in self.bands:
            extremes += _mean_extremes(power[..., first:last], n_extreme)
        # librosa takes decibels of the magnitude as if it were power: 10 log10 |S| it is.
        level = _decibel(torch.stack(extremes, dim=-1), _CONTRAST_FLOOR)
        return level[..., 0::2] - level[..., 1::2]


def _mean_extremes(power: Tensor, n_extreme: int) -> tuple[Tensor, Tensor]:
    """Average the magnitudes of the strongest and of the weakest bins of each frame."""
    if n_extreme == 1:
        return torch.sqrt(power.amax(-1)), torch.sqrt(power.amin(-1))
    magnitude = torch.sqrt(power)
    return _mean_of_largest(magnitude, n_extreme), -_mean_of_largest(-magnitude, n_extreme)


def _mean_of_largest(values: Tensor, n_largest: int) -> Tensor:
    """Average the largest values of each row, found one after the other.

    For a handful of them this is several times faster than `topk`. Equal values, found in
    digital silence alone, count once.
    """
    lowest = torch.finfo(values.dtype).min
    largest = total = values.amax(-1, keepdim=True)
    for _ in range(n_largest - 1):
        below = values.masked_fill(values >= largest, lowest).amax(-1, keepdim=True)
        largest = torch.where(below > lowest, below, largest)
        total = total + largest
    return total[..., 0] / n_largest


def _normalise(chroma: Tensor) -> Tensor:
    """Scale each frame's strongest class to 1; a frame of zeros has none and stays zero."""
    strongest = chroma.amax(-1, keepdim=True)
    return chroma / torch.where(strongest > torch.finfo(torch.float32).tiny, strongest, 1.0)


def _constant(module: nn.Module, name: str, values: NDArray[np.float64]) -> None:
    tensor = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    module.register_buffer(name, tensor, persistent=False)


def _decibel(power: Tensor, floor: float) -> Tensor:
    return 10.0 * torch.log10(power.clamp(min=floor))


def mel_filters(n_mels: int, n_fft: int) -> NDArray[np.float64]:
    """Make triangular filters of equal area on Slaney's mel scale, shape=(n_mels, n_bins)."""
    filters: NDArray[np.float64] = librosa.filters.mel(
        sr=RATE, n_fft=n_fft, n_mels=n_mels, dtype=np.float64
    )
    return filters


def dct_matrix(n_out: int, n_in: int) -> NDArray[np.float64]:
    """Make the orthonormal DCT-II, shape=(n_out, n_in)."""
    matrix: NDArray[np.float64] = scipy.fft.dct(np.eye(n_in), axis=0, norm="ortho")
    return matrix[:n_out]


def chroma_filters(config: AcousticConfig) -> NDArray[np.float64]:
    """Make filters that fold the spectrum onto pitch classes, C first, shape=(n_chroma, n_bins)."""
    filters: NDArray[np.float64] = librosa.filters.chroma(
        sr=RATE, n_fft=config.n_fft, n_chroma=config.n_chroma, tuning=0.0, dtype=np.float64
    )
    return filters


def contrast_bands(config: AcousticConfig) -> tuple[tuple[int, int, int], ...]:
    """List the bands of spectral contrast as (first bin, bin after the last, bins that count).

    Octaves from `contrast_fmin_hz`, the first from 0 Hz; peak and valley are the means of that
    many highest and lowest bins (Jiang et al., Music type classification by spectral contrast
    feature, ICME 2002). Borders and counts follow librosa: a band takes in the bin below its
    border, and the count is a share of the band before its top bin is given to the next one.
    """
    octaves = config.contrast_fmin_hz * 2.0 ** np.arange(config.n_bands)
    edges = np.concatenate([[0.0], octaves])
    hz = np.linspace(0.0, RATE / 2, config.n_fft // 2 + 1)
    bands = []
    for index, (low, high) in enumerate(pairwise(edges)):
        inside = np.flatnonzero((hz >= low) & (hz <= high))
        first, last = int(inside[0]), int(inside[-1]) + 1
        first -= index > 0
        top = index == config.n_bands - 1
        last = len(hz) if top else last
        n_extreme = max(1, round(config.contrast_quantile * (last - first)))
        bands.append((first, last if top else last - 1, n_extreme))
    return tuple(bands)
