"""Encodings of live audio: the bytes of a message to samples."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import optional
from .protocol import MessageError, SessionOptions

if TYPE_CHECKING:
    from av import AudioCodecContext

OPUS_RATE = 48_000  # Hz, of the decoder, whatever the encoder's (RFC 7587, section 4.1)

Decode = Callable[[bytes], NDArray[Any]]
"""From a message to its samples: shape=(n_samples, n_channels), int16, or float32 in [-1, 1]."""


def decoder(options: SessionOptions) -> tuple[Decode, int]:
    """Return what decodes the messages of one session, in order, and the rate of its samples in Hz.

    The decoder raises MessageError where it cannot decode a message, and can decode the next one.

    Raises
    ------
    MissingExtraError
        For Opus, if PyAV is not installed.
    """
    if options.encoding == "opus":
        return _Opus(options.channels), OPUS_RATE
    if options.encoding == "linear16":
        return lambda data: _interleaved(data, np.dtype("<i2"), options.channels), options.rate_hz
    table = mulaw_table() if options.encoding == "mulaw" else alaw_table()
    return (
        lambda data: table[_interleaved(data, np.dtype(np.uint8), options.channels)],
        options.rate_hz,
    )


@cache
def mulaw_table() -> NDArray[np.int16]:
    """Return the sample of each mu-law byte: shape=(256,), ITU-T G.711, table 2, times 4."""
    code = ~np.arange(256, dtype=np.uint8)  # all bits are inverted for the line
    exponent, mantissa = code >> 4 & 7, code & 15
    size = ((mantissa.astype(np.int32) << 3) + 132 << exponent) - 132
    return _read_only(np.where(code & 128, -size, size))


@cache
def alaw_table() -> NDArray[np.int16]:
    """Return the sample of each A-law byte: shape=(256,), ITU-T G.711, table 1, times 8."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55  # even bits are inverted for the line
    exponent, mantissa = code >> 4 & 7, code & 15
    size = (mantissa.astype(np.int32) << 4) + np.where(exponent, 264, 8)
    size <<= np.maximum(exponent, 1) - 1
    return _read_only(np.where(code & 128, size, -size))


def _read_only(table: NDArray[np.int32]) -> NDArray[np.int16]:
    samples = table.astype(np.int16)
    samples.flags.writeable = False  # it is shared
    return samples


def _interleaved(data: bytes, kind: np.dtype[Any], n_channels: int) -> NDArray[Any]:
    n_bytes = kind.itemsize * n_channels
    if len(data) % n_bytes:
        raise MessageError(
            "odd_bytes",
            f"expected whole samples: {n_bytes} bytes for each, {kind.itemsize} a channel, "
            f"got {len(data)} bytes",
        )
    return np.frombuffer(data, kind).reshape(-1, n_channels)


class _Opus:
    """A decoder of Opus packets, one a message; an empty message is a packet that was lost."""

    def __init__(self, n_channels: int) -> None:
        with optional():
            import av
        self._av, self._n_channels = av, n_channels
        self._codec: AudioCodecContext = av.CodecContext.create("opus", "r")
        self._codec.sample_rate = OPUS_RATE
        self._codec.layout = "mono" if n_channels == 1 else "stereo"

    def __call__(self, data: bytes) -> NDArray[np.float32]:
        if not data:
            return np.zeros((0, self._n_channels), np.float32)
        try:
            frames = self._codec.decode(self._av.Packet(data))
        except self._av.FFmpegError:
            raise MessageError("packet", "expected one Opus packet a message") from None
        planes = [frame.to_ndarray() for frame in frames]  # each shape=(n_channels, n_samples)
        samples = np.concatenate([np.zeros((self._n_channels, 0), np.float32), *planes], axis=1)
        return np.asarray(np.nan_to_num(np.clip(samples, -1, 1)).T, np.float32)
