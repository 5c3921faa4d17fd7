"""What a worker does: a part of an archive at a time, from its plan to its committed answers."""

import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from ..baseline import Baseline
from ..decoding import BrokenRecordingWarning
from ..errors import ArchiveError, AudioError, NoSpeechError
from ..prediction import Prediction
from ..recognizer import Recognizer
from ..sound import open_sound
from ..version import __version__
from .attempt import Attempt
from .ledger import Ledger, commit
from .recordings import Judged, tried
from .rows import Answer, table, tally
from .source import PATH


@dataclass(frozen=True)
class Job:
    """What the workers of a run are told.

    Parameters
    ----------
    out : str
        The run's folder, as every worker must see it.
    model : str or None
        As `Recognizer.load` takes it.
    fingerprint : str
        Of the model's file: a worker that has another one under the name is refused.
    version : str
        Of emovox; the same holds.
    session : str
        Tells this driver from those before it.
    segments : bool
        Whether to answer for each part of speech, not for the recording as a whole.
    speaker_column : str or None
    max_seconds, limit_s : float
        How long a recording may be, and how long a worker may be busy with it.
    """

    out: str
    model: str | None
    fingerprint: str
    version: str
    session: str
    segments: bool
    speaker_column: str | None
    max_seconds: float
    limit_s: float

    @property
    def ledger(self) -> Ledger:
        """The run's folder."""
        return Ledger(Path(self.out))


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C and the signal to end, which whole groups of processes get, to the driver.

    It finishes the parts in hand, and ends the workers. Called by Dask's preload.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def introduce(job: Job) -> dict[str, str]:
    """Say what this worker would work with; the driver compares."""
    try:
        fingerprint = _opened(job.model).fingerprint
    except Exception as error:  # noqa: BLE001 (the driver tells it)
        fingerprint = f"none ({error})"
    seen = "yes" if job.ledger.settings.exists() else "no"
    return {"emovox": __version__, "model": fingerprint, "sees the output folder": seen}


def recogniser(job: Job) -> Recognizer:
    """Open the model, once in a process.

    Raises
    ------
    ArchiveError
        If it, or emovox, is not what the driver has.
    """
    found = _opened(job.model)
    if (found.fingerprint, __version__) != (job.fingerprint, job.version):
        raise ArchiveError(
            f"expected emovox {job.version} with the model {job.fingerprint} on every worker, one "
            f"has emovox {__version__} with {found.fingerprint}"
        )
    return found


@lru_cache(maxsize=1)
def _opened(model: str | None) -> Recognizer:
    return Recognizer.load(model)


def score_part(job: Job, part: int) -> dict[str, Any]:
    """Judge a part's recordings, each by itself, and commit the answers; return their tallies."""
    started = time.perf_counter()
    model = recogniser(job)
    recordings = each_recording(job, part, lambda row, file: judge_file(job, model, row, file))
    return commit_answers(job, part, answers_of(recordings), started)


def answers_of(tried: Iterable[tuple[int, list[Answer] | None, str]]) -> list[Answer]:
    """Return the rows of recordings, of which one that could not be judged has one with why."""
    answers: list[Answer] = []
    for row, found, error in tried:
        answers += found or [Answer(row, None, error=error)]
    return answers


def judge_file(
    job: Job, model: Recognizer, row: int, file: Path, baseline: Baseline | None = None
) -> list[Answer]:
    """Judge one recording, with its speaker's baseline if there is one; return its rows."""
    known = "none" if baseline is None else "speaker"
    if not job.segments:
        prediction = model.predict(file, baseline=baseline, max_seconds=job.max_seconds)
        return [Answer(row, prediction.end, prediction, known)]
    known = "recording" if baseline is None else known
    heard = segments_of(job, model, file, baseline, learn=baseline is None)
    answers = [Answer(row, heard.duration, segment, known) for segment in heard.segments]
    return answers + ([Answer(row, heard.duration, error=heard.broken)] if heard.broken else [])


@dataclass(frozen=True)
class Heard:
    """The segments of a recording, its seconds, and what broke it off, "" if nothing did."""

    segments: list[Prediction]
    duration: float
    broken: str


def segments_of(
    job: Job, model: Recognizer, file: Path, baseline: Baseline | None, *, learn: bool
) -> Heard:
    """Judge each part of speech in a recording.

    Raises
    ------
    AudioError
        If it cannot be used at all, is too long, or holds no speech.
    """
    segments, broken, read_s = [], "", 0

    def on_progress(done_s: int, all_s: int | None) -> None:
        nonlocal read_s
        read_s = done_s
        if max(done_s, all_s or 0) > job.max_seconds:
            raise AudioError(f"expected at most {job.max_seconds:g} s of audio, got more")

    parts = model.iter_segments(file, baseline=baseline, learn=learn, on_progress=on_progress)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", BrokenRecordingWarning)
        try:
            for segment in parts:
                segments.append(segment)  # noqa: PERF402 (kept if an error ends it)
        except AudioError as error:
            if not segments:
                raise
            broken = str(error)
    warned = [str(one.message) for one in told if one.category is BrokenRecordingWarning]
    broken = (broken or "".join(warned[:1])).removeprefix(f"{file}: ")
    if not segments and not broken:
        raise NoSpeechError(f"no speech in {read_s} s of audio")
    if broken:
        return Heard(segments, max([float(read_s), *(one.end for one in segments)]), broken)
    return Heard(segments, _seconds(file, read_s), "")


def _seconds(file: Path, read_s: int) -> float:
    """Return how long a recording is, in whole seconds where its header only estimates."""
    with open_sound(file, str(file)) as sound:
        told = sound.frames
        return float(read_s) if told is None else round(told / sound.samplerate, 4)


def each_recording(
    job: Job, part: int, judge: Callable[[int, Path], Judged]
) -> Iterator[tuple[int, Judged | None, str]]:
    """Yield the row of each recording of a part with what came of it, or with what went wrong.

    Whatever a recording does to the worker, the next attempt at the part gets past it.
    """
    paths = job.ledger.recordings(part, [PATH])[PATH]
    with Attempt(job.ledger.at(part), job.session, job.limit_s) as attempt:
        for row, path in enumerate(paths.to_pylist()):
            found, error = None, attempt.verdict(row)
            if not error:
                with attempt.at(row):
                    found, error = tried(path, partial(judge, row))
            yield row, found, error


def commit_answers(
    job: Job, part: int, answers: Sequence[Answer], started: float
) -> dict[str, Any]:
    """Write a part's answers, and forget what it took to get there; return their tallies."""
    ledger = job.ledger
    rows = table(answers, ledger.recordings(part), recogniser(job).labels, job.fingerprint)
    tallies = tally(answers, time.perf_counter() - started)
    commit(ledger.scores(part), rows, tallies)
    with suppress(OSError):
        ledger.at(part).unlink(missing_ok=True)
    return tallies
