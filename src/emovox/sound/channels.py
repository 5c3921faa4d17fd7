"""The channels of a recording: how many there may be, and their mean."""

import numpy as np
from numpy.typing import NDArray

from ..errors import AudioError

Samples = NDArray[np.float32]

MAX_CHANNELS = 64
MAX_VALUES = 1 << 18  # decoded at a time, of all channels together


def check_channels(n_channels: int) -> None:
    """Refuse more channels than anybody records.

    Raises
    ------
    AudioError
        If there are more than 64.
    """
    if n_channels > MAX_CHANNELS:
        raise AudioError(f"expected at most {MAX_CHANNELS} channels, got {n_channels}")


def mean_of(samples: Samples) -> Samples:
    """Average channels, shape (n_samples, n_channels); overflows become infinite, or NaN."""
    if samples.shape[1] == 1:
        return samples[:, 0]
    with np.errstate(over="ignore", invalid="ignore"):
        mono: Samples = samples.mean(axis=1, dtype=np.float32)
    return mono


def chosen(samples: Samples, channel: int | None) -> Samples:
    """Return one channel, counted from 0, or the mean of all."""
    return mean_of(samples) if channel is None else samples[:, channel]
