"""A whole run: list and plan, hand the parts out, sum up; or go on where an earlier one stopped."""

import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributed import Client

from ..errors import ArchiveError, ModelError
from ..files import write_text, written_whole
from ..recognizer import Recognizer
from ..version import __version__
from . import engine
from .engine import Tallies, Task
from .heads import cut_head, embedding_is_fixed
from .ledger import Ledger, tallies_of
from .plan import PartSize, plan
from .rows import NOTHING, add
from .source import LISTED, Source, open_source
from .summary import Summary, summarise, write_csv
from .voices import N_GROUPS, hear_part, judge_part, learn_groups
from .worker import Job, score_part

_PARTS_A_LEARNER = 16  # parts at least for each task that learns speakers
OnProgress = Callable[[str, int, int | None], None]  # what is done, recordings, of how many


@dataclass(frozen=True)
class Request:
    """What is asked of a run.

    Parameters
    ----------
    source : Path
        A folder, or a table (.csv, .parquet) with a column `file`.
    out : Path
        A new or empty folder, or that of the run to go on with.
    model : str or None
        A model file, or the name of a shipped one.
    segments : bool
        Answer for each part of speech.
    speaker_column : str or None
        The table's column that tells who speaks: recordings are judged with a speaker's baseline.
    scheduler : str or None
        Address of a running cluster; None: worker processes on this machine.
    n_workers : int
        Of this machine, where there is no scheduler.
    resume : bool
    max_seconds : float
        Longer recordings are refused.
    limit_s : float
        A recording may keep a worker busy for so many seconds.
    csv : bool
        Write one CSV table as well.
    size : PartSize
    """

    source: Path
    out: Path
    model: str | None = None
    segments: bool = False
    speaker_column: str | None = None
    scheduler: str | None = None
    n_workers: int = 1
    resume: bool = False
    max_seconds: float = 3600.0
    limit_s: float = 600.0
    csv: bool = False
    size: PartSize = field(default_factory=PartSize)


def score_archive(
    request: Request, on_progress: OnProgress = lambda what, done, total: None
) -> Summary:
    """Score an archive of recordings into a Parquet dataset, and return what came of it.

    Raises
    ------
    ArchiveError
        If the source, the output folder, a worker or the scheduler is not as it must be.
    ModelError
        If the model cannot be opened, or cannot be used with --speaker-column.
    engine.Interrupted
        After Ctrl-C, when the parts in hand are done; so it is with the signal to end.
    """
    source = open_source(request.source)
    _check_column(request, source)
    model = Recognizer.load(request.model)
    ledger = Ledger(request.out.resolve())
    job = _job(request, ledger, model)
    with ledger.locked():
        ledger.start(_settings(request, source, job), resume=request.resume)
        with engine.heeded_signals() as stopped:
            return _Run(request, job, on_progress, stopped).finish(source, model)


def _check_column(request: Request, source: Source) -> None:
    column = request.speaker_column
    carried = list(source.schema.names[len(LISTED) :])
    if column is not None and column not in carried:
        found = ", ".join(carried) or "none, for a folder tells no speakers"
        raise ArchiveError(f'{request.source}: expected a column "{column}", found {found}')


def _job(request: Request, ledger: Ledger, model: Recognizer) -> Job:
    named = request.model
    if named is not None and Path(named).exists():
        named = str(Path(named).resolve())
    return Job(
        out=str(ledger.out),
        model=named,
        fingerprint=model.fingerprint,
        version=__version__,
        session=secrets.token_hex(8),
        segments=request.segments,
        speaker_column=request.speaker_column,
        max_seconds=request.max_seconds,
        limit_s=request.limit_s,
    )


def _settings(request: Request, source: Source, job: Job) -> dict[str, Any]:
    """Return what the rows depend on; a run is only ever resumed with the same."""
    return {
        **source.identity,
        "emovox": job.version,
        "model": job.fingerprint,
        "segments": request.segments,
        "speaker_column": request.speaker_column,
        "max_seconds": request.max_seconds,
    }


class _Run:
    """A run in this session."""

    def __init__(
        self, request: Request, job: Job, on_progress: OnProgress, stopped: Callable[[], int]
    ) -> None:
        self.request, self.job, self.ledger = request, job, job.ledger
        self.on_progress, self.stopped = on_progress, stopped
        self.n_parts = self.n_recordings = 0

    def finish(self, source: Source, model: Recognizer) -> Summary:
        """Do all that is left to do."""
        self._plan(source)
        total, left = NOTHING, list[int]()
        for part in range(self.n_parts):
            if done := tallies_of(self.ledger.scores(part)):
                total = add(total, done)
            else:
                left.append(part)
        started, new = time.monotonic(), NOTHING
        if left:
            with self._cluster() as client:
                engine.check_workers(client, self.job, self.stopped)
                new = self._score(client, left)
        seconds = time.monotonic() - started
        name = f"{model.card.name} ({model.fingerprint})"
        summary = summarise(add(total, new), new, seconds, self._baseline(), name)
        if self.request.csv:
            write_csv(self.ledger, self.n_parts)
        write_text(self.ledger.out / "summary.json", summary.to_json() + "\n")
        self._forget()
        return summary

    def _cluster(self) -> AbstractContextManager[Client]:
        if self.request.scheduler is not None:
            return engine.connected(self.request.scheduler)
        return engine.started(self.request.n_workers, self.ledger.scratch)

    def _plan(self, source: Source) -> None:
        for planned in plan(source, self.ledger, self.request.size):
            self.n_parts += 1
            self.n_recordings += planned.n_recordings
            self.on_progress("listing", self.n_recordings, None)
            if self.stopped():
                raise engine.Interrupted
        if not self.n_recordings:
            raise ArchiveError(f"{self.request.source}: no recordings in it")

    def _score(self, client: Client, left: list[int]) -> Mapping[str, Any]:
        """Judge the parts that are left; return their tallies."""
        self.ledger.at(0).parent.mkdir(exist_ok=True)
        if self.job.speaker_column is None:
            return self._stage(client, "scoring", self._parts(score_part, left), left)
        self._hear(client)
        return self._stage(client, "judging", self._parts(judge_part, left), left)

    def _hear(self, client: Client) -> None:
        """Hear the recordings that are not heard yet, and learn the speakers."""
        head = cut_head(self.job.model)
        if head is not None:
            with written_whole(self.ledger.head) as temporary:
                temporary.write_bytes(head)
        elif not embedding_is_fixed(self.job.model):
            raise ModelError(
                "expected a model with a tensor named voice, or with embeddings that do not depend "
                "on the baseline; export it with this version of emovox, or score without "
                "--speaker-column"
            )
        left = [one for one in range(self.n_parts) if tallies_of(self.ledger.voices(one)) is None]
        self._stage(client, "hearing", self._parts(hear_part, left), left)
        groups = [one for one in range(N_GROUPS) if tallies_of(self.ledger.baselines(one)) is None]
        n_tasks = min(N_GROUPS, 1 + self.n_parts // _PARTS_A_LEARNER)
        shares = [groups[first::n_tasks] for first in range(n_tasks)]
        learners = (Task(learn_groups, (self.job, share, self.n_parts)) for share in shares)
        self._run(client, learners, lambda n_groups: self.on_progress("learning", n_groups, None))

    def _stage(
        self, client: Client, what: str, tasks: Iterable[Task], left: Sequence[int]
    ) -> Mapping[str, Any]:
        """Have parts worked on, and show how many recordings are done; return their tallies."""
        n_done = self.n_recordings - sum(self.ledger.n_recordings(part) or 0 for part in left)
        return self._run(
            client, tasks, lambda n_new: self.on_progress(what, n_done + n_new, self.n_recordings)
        )

    def _parts(self, function: Callable[..., Tallies], left: Sequence[int]) -> Iterator[Task]:
        for part in left:
            yield Task(function, (self.job, part), self.ledger.at(part))

    def _run(
        self, client: Client, tasks: Iterable[Task], on_count: Callable[[int], None]
    ) -> Mapping[str, Any]:
        total = NOTHING

        def on_done(tallies: Mapping[str, Any]) -> None:
            nonlocal total
            total = add(total, tallies)
            on_count(total["recordings"])

        engine.run_tasks(client, tasks, on_done, self.stopped)
        return total

    def _forget(self) -> None:
        """Delete what was needed on the way; voices are personal data."""
        for folder in ("voices", "baselines", "at", "scratch"):
            shutil.rmtree(self.ledger.out / "ledger" / folder, ignore_errors=True)

    def _baseline(self) -> str:
        """Say what was known of the speakers, in words."""
        if self.job.speaker_column is None and self.job.segments:
            return "recording: what was said before in the same recording"
        if self.job.speaker_column is None:
            return "none"
        way = (
            "judged from the stored embeddings"
            if self.ledger.head.exists()
            else "heard a second time, since the model names no tensor voice"
        )
        return f"speaker: all recordings with the same {self.job.speaker_column}, {way}"
