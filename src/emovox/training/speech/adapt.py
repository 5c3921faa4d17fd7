"""Adapt an encoder to channels, without labels: its statistics of a clip shall not change in them.

The student hears a clip that went through a channel, the teacher, the encoder as it was, the clip
itself; the student's layers learn to give the teacher's statistics. The student may begin where an
earlier course ended. Run it as

    python -m emovox.training.speech.adapt ENCODER --corpus NAME=PATH --noise DIR --out FILE

It can be stopped and started again: every step draws from the seed and its own number alone.
"""

import argparse
import hashlib
import math
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...audio import RATE, Samples
from ...corpora import Utterance, load_corpora
from ...errors import AudioError, CorpusError, EmovoxError, TrainingError
from ...files import default_cache_folder, written_whole
from ..cache import cache_key
from ..extraction import load_backgrounds, load_speech
from .channels import (
    Backgrounds,
    draw_channel,
    generator,
    resampled,
    sent_through,
)
from .encoder import SpeechConfig, SpeechStatistics, find_weights, load_encoder

_BATCH, _N_BATCHES = 12, 4  # clips of a batch, and batches sorted by length together
_CLIP_S = 2.25  # at most: longer ones cost more and teach no more
_P_UNSPOILT = 0.15  # of a clip, so that the statistics of clean ones stay what they were
_RATE, _RATE_AGAIN = 2e-4, 1e-4  # of AdamW, the highest; the lower one for a taught student
_WARM_STEPS = 100  # that lead to it
_LARGEST = 8.0  # spreads; a larger difference would outweigh all others
_N_FOR_SPREAD = 240  # clips
_SAVED_EVERY, _TOLD_EVERY = 200, 20  # steps

Draw = Callable[[np.random.Generator], Samples]


@dataclass(frozen=True)
class Lesson:
    """What a student learns from: the teacher, clips by chance, and what spoils them.

    `spread` is that of each of the teacher's statistics over clips. `key` tells this lesson from
    any other.
    """

    teacher: SpeechStatistics
    draw: Draw
    backgrounds: Backgrounds
    spread: Tensor
    seed: int
    key: str


@dataclass(frozen=True)
class Batch:
    """Spoilt clips, shape=(batch, n_samples), how many samples count, and what to say of them.

    `wanted` are the teacher's statistics of the same clips before they were spoilt,
    shape=(batch, n_statistics).
    """

    spoilt: Tensor
    lengths: Tensor
    wanted: Tensor


def clips_by_chance(utterances: Sequence[Utterance]) -> Draw:
    """Return a function that draws the beginning of a recording's speech.

    A corpus is drawn by the root of its size, so that a large one does not drown the others.
    """
    sizes = Counter(one.corpus for one in utterances)
    chances = np.array([sizes[one.corpus] ** -0.5 for one in utterances])
    chances /= chances.sum()
    heard: dict[int, Samples] = {}  # some 120 kB a recording, decoded and searched once

    def draw(rng: np.random.Generator) -> Samples:
        for _ in range(100):
            with suppress(AudioError):  # another one, then
                chosen = int(rng.choice(len(utterances), p=chances))
                if chosen not in heard:
                    speech = load_speech(utterances[chosen].file)
                    heard[chosen] = speech[: int(_CLIP_S * RATE)].copy()
                return heard[chosen]
        raise CorpusError("expected recordings with speech, could use none of 100")

    return draw


def lesson_of(teacher: SpeechStatistics, draw: Draw, backgrounds: Backgrounds, seed: int) -> Lesson:
    """Measure the spread of the teacher's statistics over some clips."""
    rng = generator(seed, "spread")
    rows = []
    with torch.no_grad():
        for _ in range(_N_FOR_SPREAD):
            clip = draw(rng)
            rows.append(teacher(torch.from_numpy(clip)[None], torch.tensor([len(clip)]))[0])
    spread = torch.stack(rows).std(0) + 1e-3
    weights = hashlib.sha256(b"".join(p.numpy().tobytes() for p in teacher.parameters()))
    key = cache_key(weights.hexdigest(), backgrounds.digest, str(seed))
    return Lesson(teacher, draw, backgrounds, spread, seed, key)


def batch_of(lesson: Lesson, step: int) -> Batch:
    """Draw the batch of a step, of clips that are about equally long.

    What a channel resamples is resampled for the teacher as well: that is another voice.
    """
    together, number = divmod(step, _N_BATCHES)
    rng = generator(lesson.seed, "clips", together)
    drawn = sorted((lesson.draw(rng) for _ in range(_BATCH * _N_BATCHES)), key=len)
    rng = generator(lesson.seed, step)
    clean, spoilt = [], []
    for original in drawn[number * _BATCH : (number + 1) * _BATCH]:
        channel = draw_channel(rng)
        clip = other = resampled(original, channel.resampled)
        if rng.random() >= _P_UNSPOILT:
            other = sent_through(replace(channel, resampled=1.0), clip, lesson.backgrounds, rng)
        n_samples = min(len(clip), len(other))
        clean.append(clip[:n_samples])
        spoilt.append(other[:n_samples])
    lengths = torch.tensor([len(clip) for clip in clean])
    with torch.no_grad():
        wanted = lesson.teacher(_padded(clean), lengths)
    return Batch(_padded(spoilt), lengths, wanted)


def _padded(clips: Sequence[Samples]) -> Tensor:
    batch: NDArray[np.float32] = np.zeros((len(clips), max(map(len, clips))), np.float32)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    return torch.from_numpy(batch)


def error_of(student: SpeechStatistics, lesson: Lesson, batch: Batch) -> Tensor:
    """Return the mean squared difference of the statistics, in their spread, cut off at 8."""
    away = (student(batch.spoilt, batch.lengths) - batch.wanted) / lesson.spread
    error: Tensor = away.clamp(-_LARGEST, _LARGEST).square().mean()
    return error


@dataclass
class Course:
    """How far a student is: steps, seconds of work, and the optimiser's own state."""

    student: SpeechStatistics
    optimiser: torch.optim.Optimizer
    rate: float = _RATE
    step: int = 0
    seconds: float = 0.0

    def save(self, path: Path, key: str) -> None:
        """Write everything that the next step needs."""
        state = {
            "key": key,
            "student": self.student.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        with written_whole(path) as temporary:
            torch.save(state, temporary)


def begin(encoder: SpeechStatistics, rate: float = _RATE) -> Course:
    """Return a student who knows what an encoder knows; its layers will learn, at this rate."""
    student = SpeechStatistics(encoder.config, encoder.conv1.out_channels).eval()
    student.load_state_dict(encoder.state_dict())
    student.requires_grad_(False)
    student.layers.requires_grad_(True)
    optimiser = torch.optim.AdamW(student.layers.parameters(), lr=rate, weight_decay=0.0)
    return Course(student, optimiser, rate)


def resume(course: Course, path: Path, key: str) -> None:
    """Take a course up where it was saved.

    Raises
    ------
    TrainingError
        If the file is of another lesson, or cannot be read.
    """
    try:
        state = torch.load(path, weights_only=True)
        same = state["key"] == key
    except Exception as error:  # noqa: BLE001 (torch's errors have no common root)
        raise TrainingError(f"{path}: cannot resume from it: {error}; remove it") from None
    if not same:
        raise TrainingError(
            f"{path}: is of another encoder, noise, recordings or seed; give the same to resume, "
            "or remove it"
        )
    course.student.load_state_dict(state["student"])
    course.optimiser.load_state_dict(state["optimiser"])
    course.step, course.seconds = state["step"], state["seconds"]


def take_step(course: Course, lesson: Lesson, batch: Batch, done: float) -> float:
    """Learn from one batch and return its error; `done` is the share of the course that is over."""
    warm = min(1.0, (course.step + 1) / _WARM_STEPS)
    for group in course.optimiser.param_groups:
        group["lr"] = course.rate * warm * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
    error = error_of(course.student, lesson, batch)
    course.optimiser.zero_grad()
    error.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(course.student.layers.parameters(), 1.0)
    course.optimiser.step()
    course.step += 1
    return float(error.detach())


def adapt(
    course: Course,
    lesson: Lesson,
    state: Path,
    seconds: float,
    *,
    stopped: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] = lambda line: None,
) -> bool:
    """Teach until the time is over; return False where it was stopped before.

    Parameters
    ----------
    course : Course
        Is changed.
    lesson : Lesson
    state : Path
        The course is saved there every 200 steps, and at the end.
    seconds : float
        Of work, those before a resumption included.
    stopped : callable
        Asked before every step.
    tell : callable
        Gets a line of progress every 20 steps.
    """
    errors: list[float] = []
    batches = _batches_ahead(lesson, course.step)
    while course.seconds < seconds and not stopped():
        started = time.monotonic()
        errors.append(take_step(course, lesson, next(batches), course.seconds / seconds))
        course.seconds += time.monotonic() - started
        if course.step % _TOLD_EVERY == 0:
            recent = float(np.mean(errors[-_TOLD_EVERY:]))
            minutes = f"{course.seconds / 60:.1f} of {seconds / 60:.0f} min"
            tell(f"step {course.step:,}, {minutes}, error {recent:.4f}")
        if course.step % _SAVED_EVERY == 0:
            course.save(state, lesson.key)
    course.save(state, lesson.key)
    return course.seconds >= seconds


def _batches_ahead(lesson: Lesson, step: int) -> Iterator[Batch]:
    """Yield the batches from a step on; the next is made by another thread while one is used."""
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as maker:
        coming = maker.submit(batch_of, lesson, step)
        for number in count(step + 1):
            batch = coming.result()
            coming = maker.submit(batch_of, lesson, number)
            yield batch


def write_encoder(module: SpeechStatistics, path: Path) -> None:
    """Write an encoder's weights in 16 bits, as `load_encoder` reads them."""
    from safetensors.torch import save_file

    weights = {f"encoder.{name}": value.half() for name, value in module.state_dict().items()}
    with written_whole(path) as temporary:
        save_file(weights, temporary)


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C end the step at hand; a second one ends the process as usual."""
    asked = threading.Event()

    def ask(*_: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m emovox.training.speech.adapt",
        description="Teach an encoder, without labels, that channels do not change a voice.",
    )
    parser.add_argument("encoder", help="a name such as openai/whisper-base, or a safetensors file")
    parser.add_argument(
        "--corpus", action="append", required=True, metavar="NAME=PATH", help="can be repeated"
    )
    parser.add_argument(
        "--start", type=Path, metavar="FILE", help="of the student; without it as the encoder is"
    )
    parser.add_argument("--noise", type=Path, help="folder of recordings without speech")
    parser.add_argument(
        "--noise-prefix", action="append", default=[], help="of the files that count; repeatable"
    )
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--minutes", type=float, default=60.0, help="of work, resumptions included")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def _prepare(options: argparse.Namespace) -> Lesson:
    file = find_weights(options.encoder, default_cache_folder() / "encoders")
    teacher = load_encoder(file, SpeechConfig())
    corpora = load_corpora(options.corpus)
    utterances = [one for corpus in corpora for one in corpus.utterances]
    backgrounds = load_backgrounds(utterances, options.noise, options.noise_prefix)
    return lesson_of(teacher, clips_by_chance(utterances), backgrounds, options.seed)


def _run(options: argparse.Namespace, tell: Callable[[str], None]) -> int:
    lesson = _prepare(options)
    course = begin(lesson.teacher)
    if options.start:
        course = begin(load_encoder(options.start, lesson.teacher.config), _RATE_AGAIN)
    state = options.out.with_name(f"{options.out.name}.state")
    if state.exists():
        resume(course, state, lesson.key)
        tell(f"resumed behind step {course.step:,}")
    with _interruptible() as stopped:
        whole = adapt(course, lesson, state, 60.0 * options.minutes, stopped=stopped, tell=tell)
    if not whole:
        tell(f"stopped behind step {course.step:,}; run the same command to go on")
        return 130
    write_encoder(course.student, options.out)
    state.unlink()
    tell(f"{options.out}: written after {course.step:,} steps")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 1 (a one-line error) or 130 (stopped, can be resumed)."""

    def tell(line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    try:
        return _run(_options(arguments), tell)
    except (EmovoxError, OSError) as error:
        tell(f"adapt: {error}")
        return 1
    except KeyboardInterrupt:  # before the first step, or a second time
        return 130


if __name__ == "__main__":
    sys.exit(main())
