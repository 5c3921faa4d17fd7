"""Long recordings: cut into parts of speech ahead in a thread, recognised one by one."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from queue import Full, Queue
from threading import Event, Thread
from warnings import warn

import numpy as np
from numpy.typing import ArrayLike

from .audio import AudioSource, check_limit, resampler, too_long
from .baseline import Baseline
from .decoding import Block, BrokenRecordingWarning, read_blocks
from .explain import explained
from .prediction import Prediction
from .stream import Listener, placed
from .vad import PART_S, Activity, Stretch

OnProgress = Callable[[float, float], None]
OnBroken = Callable[[str], None]
_WAITING = 16  # at most, that are cut and not recognised yet: memory does not grow


@dataclass(frozen=True)
class _Read:
    """How far the reading is, and why it ends too early."""

    done_s: float
    all_s: float
    broken: str


_Item = Stretch | _Read | Exception | None  # None: the end


def iter_segments(
    listener: Listener,
    audio: AudioSource | ArrayLike,
    rate: float | None = None,
    *,
    baseline: Baseline | None = None,
    learn: bool = True,
    max_part_s: float = PART_S,
    channel: int | None = None,
    explain: bool = False,
    max_seconds: float = math.inf,
    on_progress: OnProgress | None = None,
    on_broken: OnBroken | None = None,
) -> Iterator[Prediction]:
    """Yield what `Recognizer.segments` returns, each part as soon as it is recognised."""
    check_limit(max_seconds)
    heard = listener.new_baseline() if baseline is None else baseline
    listener.check_baseline(heard)
    blocks = _limited(read_blocks(audio, rate, channel=channel), max_seconds)
    parts = _cut(blocks, Activity(part_s=max_part_s))
    for item in _ahead(parts):
        if isinstance(item, Stretch):
            prediction, learned = listener.hear(item.audio, heard)
            prediction = placed(prediction, item)
            if explain:
                prediction = explained(listener, item.audio, prediction, heard)
            heard = learned if learn else heard
            yield prediction
            continue
        if on_progress is not None:
            on_progress(item.done_s, item.all_s)
        if item.broken and on_broken is not None:
            on_broken(item.broken)
        elif item.broken:
            warn(f"{item.broken}; what comes before is answered", BrokenRecordingWarning, 2)


def _limited(blocks: Iterator[Block], max_seconds: float) -> Iterator[Block]:
    """Refuse what is longer than the limit: at once where the header tells, else when it is."""
    seconds = 0.0
    for block in blocks:
        seconds += len(block.samples) / block.rate
        length = max(seconds, block.seconds or 0.0)
        if not length <= max_seconds:
            raise too_long(length, max_seconds)
        yield block


def _cut(blocks: Iterator[Block], activity: Activity) -> Iterator[Stretch | _Read]:
    """Resample blocks and cut them into parts of speech."""
    first = next(blocks)  # there is one, or an error
    resample, seconds = resampler(first.rate), 0.0
    for block in chain([first], blocks):
        yield from activity.feed(resample(block.samples, False))
        seconds += len(block.samples) / block.rate
        yield _Read(seconds, max(seconds, block.seconds or 0.0), block.broken)
    yield from activity.feed(resample(np.zeros(0, np.float32), True))
    yield from activity.flush()


def _ahead(items: Iterator[Stretch | _Read]) -> Iterator[Stretch | _Read]:
    """Run an iterator in a thread, some items ahead, so that cutting and recognising overlap."""
    queue: Queue[_Item] = Queue(_WAITING)
    stopped = Event()
    thread = Thread(target=_fill, args=(queue, items, stopped), daemon=True)
    thread.start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


def _fill(queue: "Queue[_Item]", items: Iterator[Stretch | _Read], stopped: Event) -> None:
    try:
        for item in items:
            if not _put(queue, item, stopped):
                return
        _put(queue, None, stopped)
    except Exception as error:  # noqa: BLE001 (raised again where the items are taken)
        _put(queue, error, stopped)


def _put(queue: "Queue[_Item]", item: _Item, stopped: Event) -> bool:
    """Wait for room; return False if nobody takes items any more."""
    while not stopped.is_set():
        try:
            queue.put(item, timeout=0.1)
        except Full:
            continue
        return True
    return False
