"""Recordings, whole or second by second, so that memory does not grow with their length."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike

from .audio import (
    MAX_SECONDS,
    RATE,
    AudioSource,
    Samples,
    as_array,
    check_audio,
    check_limit,
    check_rate,
    load_audio,
    resampler,
    too_long,
)
from .errors import AudioError
from .sound import open_sound, source_name
from .sound.bleed import Bleed

_N_AHEAD = 16  # blocks that are read, and cut, and not answered yet: memory does not grow
Item = TypeVar("Item")


@dataclass(frozen=True)
class Block:
    """A second of a recording, or less.

    `samples` is mono float32 at `rate` Hz, shape (n_samples,); `seconds` is the length of the
    whole recording as far as it is known; `broken` says, in the last block alone, why nothing
    follows although something should.
    """

    samples: Samples
    rate: float
    seconds: float | None
    broken: str = ""


class Reading:
    """How far a recording has been read, block by block; those that read one derive from it.

    Attributes
    ----------
    seconds : float
        Seconds read so far.
    duration : float or None
        Seconds of the whole recording, as far as its header tells.
    broken : str
        Why a recording that is cut off or damaged ends before its time; "" where it does not.
    """

    def __init__(self, max_seconds: float) -> None:
        check_limit(max_seconds)
        self._max_seconds = max_seconds
        self.seconds = 0.0
        self.duration: float | None = None
        self.broken = ""

    def _resampled(self, blocks: Iterator[Block]) -> Iterator[Samples]:
        """Yield a recording at 16 kHz, about a second at a time, and note how far it is read."""
        resample = None
        for block in blocks:
            resample = resample or resampler(block.rate)
            self._note(block)
            yield resample(block.samples, False)
        if resample:
            yield resample(np.zeros(0, np.float32), True)

    def _note(self, block: Block) -> None:
        """Note how far the reading is; refuse a recording that is too long as soon as known."""
        self.seconds += len(block.samples) / block.rate
        self.duration, self.broken = block.seconds, block.broken
        length = max(self.seconds, block.seconds or 0.0)
        if not length <= self._max_seconds:
            raise too_long(length, self._max_seconds)


def read_audio(
    audio: AudioSource | ArrayLike, rate: float | None = None, *, max_seconds: float = MAX_SECONDS
) -> Samples:
    """Decode a recording, or check samples that come with their rate, to mono float32 at 16 kHz.

    Raises
    ------
    AudioError
        If the audio cannot be used, if samples come without a rate, or a recording with one.
    """
    if rate is None:
        return load_audio(_recording(audio), max_seconds=max_seconds)
    return check_audio(_samples(audio), rate, max_seconds=max_seconds)


def read_blocks(
    audio: AudioSource | ArrayLike,
    rate: float | None = None,
    *,
    channel: int | None = None,
    without_bleed: bool = False,
) -> Iterator[Block]:
    """Decode a recording, or check samples that come with their rate, second by second.

    Parameters
    ----------
    audio : path, bytes, file object, or array, shape=(n_samples,) or (n_samples, n_channels)
        What `load_audio` and `check_audio` take, of any length.
    rate : float, optional
        Hz; needed with an array, and only then.
    channel : int >= 0, optional
        Only this channel, counted from 0; None for the mean of all.
    without_bleed : bool
        Whether the channel is silenced where it holds only the speaker of another; see `Bleed`.

    Raises
    ------
    AudioError
        If the audio cannot be used. A recording that is cut off or damaged is given up to there,
        and its last block says so; it is an error only where nothing can be decoded.
    """
    if rate is None:
        yield from _of_file(_recording(audio), channel, without_bleed)
    else:
        yield from _of_array(_samples(audio), rate, channel, without_bleed)


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield items that a thread makes, some of them ahead, so that both sides work at once."""
    pool = ThreadPoolExecutor(1)
    try:
        waiting = deque(pool.submit(lambda: next(items, None)) for _ in range(_N_AHEAD))
        while (item := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(lambda: next(items, None)))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)


def _recording(audio: AudioSource | ArrayLike) -> AudioSource:
    """Return what came without a rate, if it is a recording, which tells its own."""
    if not _is_recording(audio):
        raise AudioError("expected a sample rate in Hz with an array, e.g. predict(samples, 44100)")
    return cast("AudioSource", audio)


def _samples(audio: AudioSource | ArrayLike) -> ArrayLike:
    """Return what came with a rate, if it is no recording."""
    if _is_recording(audio):
        raise AudioError("a recording has its own rate; give `rate` only with an array")
    return cast("ArrayLike", audio)


def _is_recording(audio: object) -> bool:
    return isinstance(audio, str | os.PathLike | bytes) or hasattr(audio, "read")


def n_channels(source: AudioSource) -> int:
    """Return how many channels a recording has.

    Raises
    ------
    AudioError
        If it cannot be read.
    """
    with open_sound(source, source_name(source)) as file:
        return int(file.channels)


def read_channels(source: AudioSource, *, max_seconds: float = MAX_SECONDS) -> list[Samples]:
    """Decode each channel of a recording to mono float32 at 16 kHz.

    Raises
    ------
    AudioError
        If it cannot be read, breaks off, or is longer than `max_seconds`.
    """
    channels = []
    for channel in range(n_channels(source)):
        reading = Reading(max_seconds)
        blocks = reading._resampled(read_blocks(source, channel=channel))
        channels.append(np.concatenate(list(blocks)))
        if reading.broken:
            raise AudioError(reading.broken, "cut off")
    return channels


def _of_array(
    samples: ArrayLike, rate: float, channel: int | None, without_bleed: bool
) -> Iterator[Block]:
    check_rate(rate)
    array = as_array(samples)
    if array.ndim == 0 or len(array) == 0:
        raise AudioError(f"expected an array of samples, got one of shape {array.shape}")
    if channel is not None:
        array = array[:, None] if array.ndim == 1 else array
        _check_channel(channel, array.shape[1])
    alone = _alone(channel, array.shape[-1], rate, without_bleed)
    n_block = max(1, int(rate))
    for first in range(0, len(array), n_block):
        block = array[first : first + n_block]
        if alone:
            checked = [_checked(one, first / rate) for one in block.T]
            block = alone.after(np.stack(checked, 1), is_last=first + n_block >= len(array))
        elif channel is not None:
            block = block[:, channel]
        yield Block(_checked(block, first / rate), rate, len(array) / rate)


def _of_file(source: AudioSource, channel: int | None, without_bleed: bool) -> Iterator[Block]:
    with open_sound(source, source_name(source)) as sound:
        _check_channel(channel, sound.channels)
        check_rate(rate := sound.samplerate)
        seconds = None if sound.frames is None else sound.frames / rate
        alone = _alone(channel, sound.channels, rate, without_bleed)
        n_read, is_over = 0, False
        while not is_over:
            second = sound.read_channels(rate) if alone else sound.read(rate, channel)
            n_new, is_over = len(second), len(second) < rate
            if n_read == n_new == 0 and sound.broken:
                raise AudioError(sound.broken, "cut off")
            if n_read == n_new == 0:
                raise AudioError("expected audio, got zero samples", "empty")
            if alone:
                second = alone.after(second, is_last=is_over)
            checked = _checked(second, n_read / rate)
            n_read += n_new
            yield Block(checked, rate, seconds, sound.broken)


def _alone(
    channel: int | None, n_channels: int, rate: float, without_bleed: bool
) -> "_Alone | None":
    """Return what takes a channel's bleed away; None for the mean of all, or if it may stay."""
    if channel is None or not without_bleed:
        return None
    return _Alone(channel, n_channels, rate)


class _Alone:
    """One of several channels, without what bleeds into it from the others."""

    def __init__(self, channel: int, n_channels: int, rate: float) -> None:
        self._channel = channel
        self._bleed = Bleed(n_channels, rate)

    def after(self, samples: Samples, *, is_last: bool) -> Samples:
        """Take in more sound of all channels; return what is known of the one by now."""
        known = self._bleed.feed(samples)
        if is_last:
            known = np.concatenate((known, self._bleed.flush()))
        return known[:, self._channel]


def _check_channel(channel: int | None, n_channels: int) -> None:
    if channel is None:
        return
    if not isinstance(channel, int | np.integer) or not 0 <= channel < n_channels:
        raise AudioError(
            f"expected a channel of 0 to {n_channels - 1}, counted from 0, got {channel!r}"
        )


def _checked(samples: ArrayLike, at_s: float) -> Samples:
    """Check and mix a block; the last one may be empty."""
    if len(np.asarray(samples)) == 0:
        return np.zeros(0, np.float32)
    try:
        return check_audio(samples, RATE)
    except AudioError as error:
        raise AudioError(f"in the second from {at_s:.0f} s on: {error}", error.kind) from None
