"""Who spoke when: the turns of a recording with several people on one channel."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..audio import RATE, AudioSource, Samples
from ..checks import is_number
from ..decoding import Reading, ahead, read_blocks
from ..errors import ConfigError
from ..vad import CHUNK, SEGMENT_S, Activity, Segment
from .clustering import MAX_SPEAKERS, cluster, means_of
from .turn import Turn
from .voiceprints import HOP_S, WINDOW_S, Vectors, voiceprints, window_starts

_APART = math.ceil(WINDOW_S / HOP_S - 1e-9) - 1  # windows between which hardly any sound is shared
_ALIKE = 0.6  # cosine of two such windows, below which another speaker may have begun
_CHANGE = 0.15  # squared distance by which another speaker must be nearer, to begin in a segment
_NEAR = round(0.35 * RATE / CHUNK)  # chunks from where a change was found to where it may be


@dataclass(frozen=True)
class _Stretch:
    """A segment of speech: its samples in the recording, voiceprints, and powers of its chunks."""

    start: int
    end: int
    vectors: Vectors
    powers: NDArray[np.float64]


def find_turns(
    audio: AudioSource | ArrayLike,
    rate: float | None = None,
    *,
    speakers: int | None = None,
    channel: int | None = None,
    max_segment_s: float = SEGMENT_S,
    max_seconds: float = math.inf,
    on_progress: Callable[[float, float | None], object] | None = None,
) -> list[Turn]:
    """Find who spoke when in a recording; `Recognizer.turns` recognises the turns.

    The segments are those of `Recognizer.segments`, cut where the speaker changes. Where two
    people talk at a time, one of them is found.

    Parameters
    ----------
    audio : path, bytes, file object, or array, shape=(n_samples,) or (n_samples, n_channels)
        Of any length. Rewind a file object before its turns are recognised.
    rate : float, optional
        Hz; needed with an array, and only then.
    speakers : int, 1 to 10, optional
        How many there are; None: as many as sound different.
    channel : int >= 0, optional
        Only this channel, counted from 0; None for the mean of all.
    max_segment_s : float
        The longest turn, 1 to 60 s.
    max_seconds : float
        A longer recording is refused.
    on_progress : callable, optional
        Called for each second with those heard, and the length of the recording where it is known;
        what it raises ends the search.

    Returns
    -------
    turns : list of Turn
        In the order spoken; their speakers are "speaker 1", who spoke first, "speaker 2" and so on.
        Empty if nobody speaks.

    Raises
    ------
    AudioError
        If the audio cannot be used.
    ConfigError
        If a number is out of range.
    """
    check_speakers(speakers)
    search = _Search(max_segment_s, max_seconds)
    blocks = read_blocks(audio, rate, channel=channel)
    for samples in search._resampled(ahead(blocks)):
        if on_progress:
            on_progress(search.seconds, search.duration)
        search.hear(samples)
    search.end()
    return _turns(search.stretches, speakers)


def check_speakers(speakers: object) -> None:
    """Refuse a number of speakers that cannot be looked for.

    Raises
    ------
    ConfigError
        If it is neither None nor a whole number of 1 to 10.
    """
    is_whole = isinstance(speakers, int) and is_number(speakers)
    if speakers is not None and not (is_whole and 1 <= speakers <= MAX_SPEAKERS):  # type: ignore[operator]
        raise ConfigError(f"expected 1 to {MAX_SPEAKERS} speakers, got {speakers!r}")


class _Search(Reading):
    """The speech of a recording, as it is read."""

    def __init__(self, max_segment_s: float, max_seconds: float) -> None:
        super().__init__(max_seconds)
        self._activity = Activity(max_segment_s=max_segment_s)
        self.stretches: list[_Stretch] = []

    def hear(self, samples: Samples) -> None:
        """Take in what follows."""
        self.stretches += map(_stretch, self._activity.feed(samples))

    def end(self) -> None:
        """Take in that nothing follows."""
        self.stretches += map(_stretch, self._activity.flush())


def _stretch(segment: Segment) -> _Stretch:
    chunks = segment.audio[: len(segment.audio) // CHUNK * CHUNK].reshape(-1, CHUNK)
    powers = chunks.var(1, dtype=np.float64)
    return _Stretch(segment.start, segment.end, voiceprints(segment.audio), powers)


def _turns(stretches: list[_Stretch], n_speakers: int | None) -> list[Turn]:
    """Cut stretches where the speaker changes, and name the speakers."""
    if not stretches:
        return []
    pieces = [piece for stretch in stretches for piece in _pieces(stretch.vectors)]
    vectors = np.stack([piece.mean(0) for piece in pieces])
    seconds = np.array([WINDOW_S + (len(piece) - 1) * HOP_S for piece in pieces])
    means = means_of(vectors, seconds, cluster(vectors, seconds, n_speakers))
    found = [span for stretch in stretches for span in _spans(stretch, _best_path(stretch, means))]
    order = {speaker: n for n, speaker in enumerate(dict.fromkeys(s for *_, s in found), start=1)}
    return [
        Turn(round(start / RATE, 4), round(end / RATE, 4), f"speaker {order[speaker]}")
        for start, end, speaker in found
    ]


def _pieces(vectors: Vectors) -> list[Vectors]:
    """Cut the windows of a segment where those before are unlike those behind."""
    alike = (vectors[:-_APART] * vectors[_APART:]).sum(1)
    if not alike.size:
        return [vectors]
    padded = np.concatenate(([1.0], alike, [1.0]))
    lowest = (alike < _ALIKE) & (alike <= padded[:-2]) & (alike < padded[2:])
    cuts = np.flatnonzero(lowest) + (_APART + 1) // 2
    return [piece for piece in np.split(vectors, cuts) if len(piece)]


def _best_path(stretch: _Stretch, means: Vectors) -> NDArray[np.int64]:
    """Return the speaker of each window; a change costs, so that a single window makes none."""
    distances = ((stretch.vectors[:, None] - means) ** 2).sum(2)
    total, origins = distances[0], []
    for distance in distances[1:]:
        best = int(total.argmin())
        is_change = total > total[best] + _CHANGE
        origins.append(np.where(is_change, best, np.arange(len(means))))
        total = np.where(is_change, total[best] + _CHANGE, total) + distance
    path = [int(total.argmin())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return np.array(path[::-1], np.int64)


def _spans(stretch: _Stretch, path: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Return the spans of a segment: first sample, end, and speaker."""
    starts = window_starts(stretch.end - stretch.start) * (RATE // 100)
    changes = np.flatnonzero(np.diff(path)) + 1
    middles = (starts[changes - 1] + starts[changes]) / 2 + WINDOW_S / 2 * RATE
    cuts = [stretch.start + _quietest(stretch.powers, middle / CHUNK) * CHUNK for middle in middles]
    bounds = [stretch.start, *cuts, stretch.end]
    speakers = path[np.concatenate(([0], changes))]
    return [
        (start, end, int(speaker))
        for start, end, speaker in zip(bounds[:-1], bounds[1:], speakers, strict=True)
        if end > start
    ]


def _quietest(powers: NDArray[np.float64], near: float) -> int:
    """Return the chunk at which two neighbours are quietest, near one."""
    first = max(1, round(near) - _NEAR)
    pairs = (powers[:-1] + powers[1:])[first - 1 : round(near) + _NEAR]
    return first + int(pairs.argmin()) if pairs.size else round(near)
