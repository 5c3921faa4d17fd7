"""Bleed: what a channel of a call picks up of the speaker on another, silenced."""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Powers = NDArray[np.float64]
Flags = NDArray[np.bool_]
_CHUNK_S = 0.032  # as long as the chunks of voice activity
_TAIL = 4  # chunks (0.13 s) for which a room goes on with what was said
_LOWEST_DB, _HIGHEST_DB = -60, 0  # of the histograms, in steps of 1 dB
_MOST_DB = -4.0  # a channel that is less below another than this has a speaker of its own
_LOUD_DB = 20.0  # a channel is loud from so far below its loudest chunk of late on
_SHARE = 0.4  # of the chunks in which another channel is loud; in more, one speaker is silent
_MARGIN_DB = 7.0  # by which the bleed of a chunk may exceed the usual: rooms colour sounds
_EXPECTED_DB, _EXPECTED_CHUNKS = -15, 30.0  # counts as a second's worth of chunks
_KEPT = 0.5 ** (_CHUNK_S / 30.0)  # a chunk: the say of what was heard halves in 30 s
_FADING = 10 ** (-0.6 * _CHUNK_S / 10)  # a chunk: the loudest power falls by 6 dB in 10 s
_NOISE_DB = 8.0  # above its quietest chunk of late, a channel may hold more than noise
_RISING = 10 ** (0.6 * _CHUNK_S / 10)  # a chunk: the quietest power rises by 6 dB in 10 s
_AGREE, _OF = 3, 4  # chunks that must be a channel's own, of so many on both sides of one
_AROUND = 6  # chunks (0.19 s) that are kept on both sides of a channel's own
_LAG = _OF + _AROUND
_FAINT = 1e-12  # power that is added to each chunk: silence has a level

assert _LOWEST_DB < _EXPECTED_DB < _HIGHEST_DB


class Bleed:
    """Silences each channel where it holds nothing but the speaker of another, fainter.

    By how much a speaker is fainter in the other channels is learned from the chunks of 32 ms in
    which their own is loud: in most of these nobody else speaks. What exceeds that by 7 dB is the
    channel's own, so that both are kept where two speak at a time. Memory and lag (0.35 s) do not
    grow, and how the sound is cut into blocks makes no difference.

    Parameters
    ----------
    n_channels : int
    rate : float
        Hz.
    """

    def __init__(self, n_channels: int, rate: float) -> None:
        self._n_chunk = round(_CHUNK_S * rate)
        self._waiting = np.zeros((0, n_channels), np.float32)  # sound that is not judged yet
        self._n_known = 0  # chunks of it whose own sound is known
        self._powers = np.zeros((_TAIL, n_channels))  # of the last chunks
        self._loudest, self._quietest = np.zeros(n_channels), np.full(n_channels, np.inf)
        n_levels = _HIGHEST_DB - _LOWEST_DB + 1
        self._seen = np.zeros((n_channels, n_channels, n_levels))  # of c beside loud d, in chunks
        self._seen[:, :, _EXPECTED_DB - _LOWEST_DB] = _EXPECTED_CHUNKS
        self._own = np.zeros((_LAG, n_channels), np.bool_)  # before the first chunk
        self._noise = self._own

    def feed(self, samples: Samples) -> Samples:
        """Take in sound, shape (n_samples, n_channels); return what is judged by now, in order."""
        self._waiting = np.concatenate((self._waiting, samples))
        n_chunks = len(self._waiting) // self._n_chunk
        new = self._waiting[self._n_known * self._n_chunk : n_chunks * self._n_chunk]
        shape = (n_chunks - self._n_known, self._n_chunk, new.shape[1])
        self._learn(_powers(new.reshape(shape)))
        self._n_known = n_chunks
        return self._judged(n_chunks - _LAG)

    def flush(self) -> Samples:
        """Return what is left at the end of the sound; nothing can be fed after that."""
        n_left = len(self._waiting)
        n_filled = -n_left % self._n_chunk + _LAG * self._n_chunk
        return self.feed(np.zeros((n_filled, self._waiting.shape[1]), np.float32))[:n_left]

    def _learn(self, powers: Powers) -> None:
        """Tell of each chunk, shape (n_chunks, n_channels), which channels have their own sound."""
        own, noise = np.zeros((2, *powers.shape), np.bool_)
        for index, power in enumerate(powers):
            self._powers = np.concatenate((self._powers[1:], power[None]))
            self._loudest = np.maximum(power, self._loudest * _FADING)
            self._quietest = np.minimum(power, self._quietest * _RISING)
            loud = power > self._loudest * 10 ** (-_LOUD_DB / 10)
            self._count(10 * np.log10(power[:, None] / power[None, :]), loud)
            bleed = self._usual() @ self._powers.max(0)
            noise[index] = power <= self._quietest * 10 ** (_NOISE_DB / 10)
            own[index] = (power > bleed) & ~noise[index]
        self._own = np.concatenate((self._own, own))
        self._noise = np.concatenate((self._noise, noise))

    def _count(self, below_db: Powers, loud: Flags) -> None:
        """Learn how far each channel is below those that are loud."""
        levels = np.clip(np.rint(below_db), _LOWEST_DB, _HIGHEST_DB).astype(int) - _LOWEST_DB
        self._seen[:, loud] *= _KEPT
        channels = np.arange(len(loud))
        for other in np.flatnonzero(loud):
            self._seen[channels, other, levels[:, other]] += 1

    def _usual(self) -> Powers:
        """Return the share of each channel's power, at most, that bleeds into each other one."""
        shares = self._seen.cumsum(2) / self._seen.sum(2, keepdims=True)
        usual_db = (shares >= _SHARE).argmax(2) + _LOWEST_DB + _MARGIN_DB
        usual: Powers = 10 ** (np.minimum(usual_db, _MOST_DB) / 10)
        np.fill_diagonal(usual, 0.0)
        return usual

    def _judged(self, n_chunks: int) -> Samples:
        """Return the first chunks that wait, silenced where they are not a channel's own."""
        if n_chunks <= 0:
            return self._waiting[:0]
        agreed = _sums(self._own, _OF) >= _AGREE
        kept = (_sums(agreed, _AROUND) > 0)[:n_chunks] | self._noise[_LAG:][:n_chunks]
        n_samples = n_chunks * self._n_chunk
        kept_samples = np.repeat(kept, self._n_chunk, axis=0)
        judged = np.where(kept_samples, self._waiting[:n_samples], np.float32(0))
        self._waiting, self._own = self._waiting[n_samples:], self._own[n_chunks:]
        self._noise = self._noise[n_chunks:]
        self._n_known -= n_chunks
        return judged


def _powers(chunks: Samples) -> Powers:
    """Return the power of chunks, shape (n_chunks, n_samples, n_channels), without their offset."""
    with np.errstate(invalid="ignore"):  # what is no number counts as silence; reading refuses it
        variances = chunks.var(1, dtype=np.float64)
    powers: Powers = np.nan_to_num(variances, nan=0.0, posinf=0.0) + _FAINT
    return powers


def _sums(flags: Flags, n_around: int) -> NDArray[np.int64]:
    """Return of each chunk but the first and last few how many on both sides of it are set."""
    sums = np.concatenate((np.zeros((1, flags.shape[1]), np.int64), flags.cumsum(0)))
    width = 2 * n_around + 1
    counts: NDArray[np.int64] = sums[width:] - sums[:-width]
    return counts
