"""Clicks and a constant offset taken out of a clip, which say nothing of the voice."""

from collections.abc import Iterator

import numpy as np

from .audio import NOISE_FLOOR, RATE, Samples

CLICK = RATE // 1_000  # samples (1 ms) that a click lasts at most
_AROUND = RATE // 100  # samples (10 ms) on both sides that a click is compared with
_STEEPER = 6.0  # times as steep as all around; glottal pulses and plosives are less
_MIN_STEP = 0.05  # a step from one sample to the next below this is no click
_MIN_OFFSET = 5e-3  # of the loudest point: a smaller offset may be the mean of a voice
_MIN_OFFSET_SAMPLES = RATE // 10  # samples; of less nobody can tell an offset from a voice
_BLOCK = 1 << 18  # samples searched at a time
_MIN_WEIGHT = 1 / 64  # of the say of a new chunk in the running offset: 2 s of memory
_HALVINGS = 4  # from samples to cells of a click's length, for a first, coarse look
_NEAREST, _FURTHEST = 2, 10  # cells that lie within what any of a cell's steps is compared with


def cleaned(clip: Samples) -> Samples:
    """Return a clip without clicks and without a constant offset; a clean one as it is.

    A click is a millisecond or less that rises and falls at least six times as steeply as
    anything within 10 ms on both sides of it; a straight line takes its place. An offset is the
    mean of what lies between the first and the last sound, where that is at least 0.5 % of the
    loudest point.

    Parameters
    ----------
    clip : ndarray of float32, shape=(n_samples,)
        Mono at 16 kHz.

    Returns
    -------
    clip : ndarray of float32, shape=(n_samples,)
    """
    sounds = np.flatnonzero(np.abs(clip) >= NOISE_FLOOR)
    if not sounds.size:
        return clip
    first, last = int(sounds[0]), int(sounds[-1]) + 1
    middle = clip[first:last]
    sound = _without_clicks(middle)
    offset = float(sound.mean(dtype=np.float64)) if len(sound) >= _MIN_OFFSET_SAMPLES else 0.0
    if abs(offset) >= max(NOISE_FLOOR, _MIN_OFFSET * float(np.abs(sound).max())):
        sound = sound - np.float32(offset)
    elif sound is middle:
        return clip
    return np.concatenate((clip[:first], sound, clip[last:]))


class RunningOffset:
    """The offset of a recording that is still coming in, from its chunks so far."""

    def __init__(self) -> None:
        self._n_chunks = 0
        self._offset = 0.0

    def without(self, chunk: Samples) -> Samples:
        """Learn from the next chunk, and return it without the offset.

        Parameters
        ----------
        chunk : ndarray of float32, shape=(n_samples,)
            A multiple of a millisecond (16 samples), at least six of them; the two highest and
            the two lowest are not counted, since a click may lie in these.
        """
        sums = sorted(np.add.reduce(chunk.reshape(-1, CLICK), axis=1).tolist())[2:-2]
        mean = sum(sums) / (CLICK * len(sums))
        self._n_chunks += 1
        self._offset += max(1 / self._n_chunks, _MIN_WEIGHT) * (mean - self._offset)
        return chunk - np.float32(self._offset) if abs(self._offset) >= NOISE_FLOOR else chunk


def _without_clicks(sound: Samples) -> Samples:
    """Put a straight line in the place of each click; return the same array if there is none."""
    clicks = [click for at in range(0, len(sound), _BLOCK) for click in _clicks(sound, at)]
    if clicks:
        sound = sound.copy()
    for first, last in clicks:
        after = float(sound[min(last, len(sound) - 1)])
        before = float(sound[first - 1]) if first else after
        after = after if last < len(sound) else before
        sound[first:last] = np.linspace(before, after, last - first + 2)[1:-1]
    return sound


def _clicks(sound: Samples, at: int) -> Iterator[tuple[int, int]]:
    """Yield the first sample of each click in the block from `at` on, and the one behind it."""
    margin = CLICK + _AROUND
    start, stop = max(0, at - margin), min(len(sound), at + _BLOCK + margin)
    steps = np.abs(np.diff(sound[start:stop], prepend=sound[max(0, start - 1)]))
    if not _may_hold_click(steps):
        return
    around = _largest_around(steps, CLICK + 1, _AROUND)
    done = at - 1
    for index in map(int, np.flatnonzero(steps > np.maximum(_STEEPER * around, _MIN_STEP))):
        if done < start + index < at + _BLOCK:
            done = start + index + CLICK
            near = max(0, index - CLICK)
            steep = steps[near : index + CLICK + 1] > 2 * around[index]
            edges = start + near + np.flatnonzero(steep)
            yield from _spans(int(edges[0]), int(edges[-1]), len(sound))


def _may_hold_click(steps: Samples) -> bool:
    """Look at a millisecond at a time: quick, and what is steep enough is never overlooked.

    A cell's steepest step is compared with some of the samples that it has to stand out from.
    """
    cells = np.pad(steps, (0, -len(steps) % CLICK))
    for _ in range(_HALVINGS):
        cells = np.maximum(cells[::2], cells[1::2])
    around = _largest_around(cells, _NEAREST, _FURTHEST + 1 - _NEAREST)
    return bool((cells > np.maximum(_STEEPER * around, _MIN_STEP)).any())


def _spans(first: int, last: int, n_samples: int) -> Iterator[tuple[int, int]]:
    """Yield what lies between two edges; one alone is a click at either end, else a step."""
    if first < last:
        yield first, last
    elif first <= CLICK:
        yield 0, first
    elif n_samples - first <= CLICK:
        yield first, n_samples


def _largest_around(values: Samples, distance: int, n_values: int) -> Samples:
    """Return the largest of so many values on either side of each, from a distance on."""
    before = _delayed(_largest_of_last(values, n_values), distance)
    after = _delayed(_largest_of_last(values[::-1], n_values), distance)[::-1]
    return np.maximum(before, after)


def _delayed(values: Samples, by: int) -> Samples:
    later = np.zeros_like(values)
    later[by:] = values[:-by]
    return later


def _largest_of_last(values: Samples, n_values: int) -> Samples:
    """Return the maximum of each value and those before it, so many in all."""
    largest, n_seen = values.copy(), 1
    while n_seen < n_values:
        further = min(n_seen, n_values - n_seen)
        largest[further:] = np.maximum(largest[further:], largest[:-further])
        n_seen += further
    return largest
