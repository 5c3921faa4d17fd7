"""The channels of a recording: how many there may be, their mean, and reading one or all."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

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


class Decoder(ABC):
    """A recording that is decoded from its beginning to its end.

    Attributes
    ----------
    channels : int
    broken : str
        Why fewer samples came than there should be, once they are all read; "" until then.
    """

    channels: int
    broken = ""
    _is_over = False

    def read(self, n_samples: int, channel: int | None = None) -> Samples:
        """Decode some more: one channel, counted from 0, or the mean of all.

        Returns
        -------
        samples : ndarray of float32, shape=(n,)
            As many as asked for; fewer at the end alone, and `broken` tells why it is there.
        """
        pieces = self._pieces(n_samples)
        chosen = [mean_of(piece) if channel is None else piece[:, channel] for piece in pieces]
        return np.concatenate([np.zeros(0, np.float32), *chosen])

    def read_channels(self, n_samples: int) -> Samples:
        """Decode some more of all channels, as `read` does, shape (n, n_channels)."""
        return np.concatenate([np.zeros((0, self.channels), np.float32), *self._pieces(n_samples)])

    def _pieces(self, n_samples: int) -> Iterator[Samples]:
        while n_samples and not self._is_over:
            piece = self._decode(min(n_samples, max(1, MAX_VALUES // self.channels)))
            n_samples -= len(piece)
            yield piece

    @abstractmethod
    def _decode(self, n_samples: int) -> Samples:
        """Return samples of all channels, shape (n, n_channels); at the end note that it is."""
