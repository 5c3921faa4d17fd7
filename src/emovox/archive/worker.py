"""The work on a part of an archive, from its plan to its committed answers."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..baseline import Baseline, Window
from ..errors import ArchiveError, AudioError, NoSpeechError
from ..prediction import Prediction
from ..recognizer import Recognizer
from ..version import __version__
from .attempt import Attempt
from .job import Job
from .ledger import commit, read
from .recordings import Failure, Judged, tried
from .rows import Answer, Tally, table
from .source import PATH


def dask_setup(worker: Any) -> None:
    """Ignore SIGINT and SIGTERM, since a whole group of processes may get them.

    The driver finishes the running parts and ends the workers. Dask's preload calls this.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def introduce(job: Job) -> dict[str, str]:
    """Return the versions that this worker has, for the driver to compare."""
    try:
        fingerprint = _model(job.request.model).fingerprint
    except Exception as error:  # noqa: BLE001 (the driver reports it)
        fingerprint = f"none ({error})"
    seen = "yes" if job.ledger.settings.exists() else "no"
    return {"emovox": __version__, "model": fingerprint, "sees the output folder": seen}


def open_model(job: Job) -> Recognizer:
    """Open the model, once in a process.

    Raises
    ------
    ArchiveError
        If it, or emovox, is another version than the driver's.
    """
    model = _model(job.request.model)
    if (model.fingerprint, __version__) != (job.fingerprint, job.version):
        raise ArchiveError(
            f"expected emovox {job.version} with the model {job.fingerprint} on every worker, got "
            f"emovox {__version__} with {model.fingerprint} on one"
        )
    return model


@lru_cache(maxsize=1)
def _model(model: str | None) -> Recognizer:
    return Recognizer.load(model)


def score_part(job: Job, part: int) -> Tally:
    """Judge a part's recordings, each by itself, and commit the answers."""
    started = time.perf_counter()
    plan = read(job.ledger.plan(part))
    answers = judge_recordings(job, part, plan, {})
    return commit_answers(job, part, plan, answers, time.perf_counter() - started)


def judge_recordings(
    job: Job, part: int, plan: pa.Table, baselines: Mapping[int, Baseline]
) -> list[Answer]:
    """Judge a part's recordings, of which some rows have baselines; a failure is a row, too."""
    model = open_model(job)
    answers: list[Answer] = []
    for row, result in each_recording(
        job, part, plan, lambda row, file: _judge_file(job, model, row, file, baselines.get(row))
    ):
        answers += [Answer(row, None, failure=result)] if isinstance(result, Failure) else result
    return answers


def _judge_file(
    job: Job, model: Recognizer, row: int, file: Path, baseline: Baseline | None
) -> list[Answer]:
    """Judge one recording, with its speaker's baseline if there is one; return its rows."""
    if not job.request.segments:
        prediction = model.predict(
            file,
            baseline=baseline,
            prosody=job.request.prosody,
            max_seconds=job.request.max_seconds,
        )
        kind = "none" if baseline is None else "speaker"
        return [Answer(row, prediction.end, prediction, kind)]
    kind = "recording" if baseline is None else "speaker"
    recognised = recognise_segments(job, model, file, baseline, learn=baseline is None)
    seconds = recognised.seconds
    answers = [Answer(row, seconds, segment, kind) for segment, _ in recognised.segments]
    if recognised.failure:
        answers.append(Answer(row, seconds, failure=recognised.failure))
    return answers


@dataclass(frozen=True)
class RecognisedRecording:
    """The segments of a recording with their windows, and why it breaks off, if it does."""

    segments: list[tuple[Prediction, list[Window]]]
    seconds: float  # of the recording, as far as it could be read
    failure: Failure | None = None


def recognise_segments(
    job: Job, model: Recognizer, file: Path, baseline: Baseline | None, *, learn: bool
) -> RecognisedRecording:
    """Judge each segment of speech in a recording.

    Raises
    ------
    AudioError
        If no part of it can be used, if it is too long, or if nobody speaks in it.
    """
    segments = model.segments(
        file,
        baseline=baseline,
        learn=learn,
        prosody=job.request.prosody,
        max_seconds=job.request.max_seconds,
    )
    recognised: list[tuple[Prediction, list[Window]]] = []
    failure = None
    try:
        for prediction in segments:
            recognised.append((prediction, segments.windows))  # noqa: PERF401 (kept if an error ends it)
    except AudioError as error:
        if not recognised:
            raise
        failure = Failure(error.kind, error.reason)
    if segments.broken:
        failure = Failure("cut off", segments.broken)
    seconds = round(segments.seconds, 4)
    if not (recognised or failure):
        raise NoSpeechError(f"no speech in {seconds:.1f} s of audio")
    return RecognisedRecording(recognised, seconds, failure)


def each_recording(
    job: Job, part: int, plan: pa.Table, judge: Callable[[int, Path], Judged]
) -> Iterator[tuple[int, Judged | Failure]]:
    """Yield the row of each recording of a part with its judgement, or why there is none.

    Whatever a recording does to the worker, the next attempt at the part gets past it.
    """
    with Attempt(job.ledger.at(part), job.session, job.request.limit_s) as attempt:
        for row, path in enumerate(plan[PATH].to_pylist()):
            result: Judged | Failure | None = attempt.verdict(row)
            if result is None:
                with attempt.at(row):
                    result = tried(path, partial(judge, row))
            yield row, result


def commit_answers(
    job: Job, part: int, plan: pa.Table, answers: Sequence[Answer], compute_s: float
) -> Tally:
    """Write a part's answers, and forget the recording that the worker was at."""
    labels, prosody = open_model(job).labels, job.request.prosody
    rows = table(answers, plan, labels, job.fingerprint, prosody=prosody)
    tally = Tally.of(answers, compute_s)
    commit(job.ledger.scores(part), rows, tally)
    with suppress(OSError):
        job.ledger.at(part).unlink(missing_ok=True)
    return tally
