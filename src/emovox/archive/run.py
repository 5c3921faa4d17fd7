"""A whole run: list and plan, hand out the parts, sum up; or resume an interrupted one."""

import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from distributed import Client

from ..errors import ArchiveError
from ..files import write_text, written_whole
from ..recognizer import Recognizer
from ..version import __version__
from . import engine
from .csv_table import write_csv
from .engine import Task
from .heads import cut_head
from .job import Job, Request
from .ledger import tally_of
from .plan import plan
from .rows import Tally
from .run_summary import RunSummary, summarise
from .source import LISTED, Source, open_source
from .voices import N_GROUPS, hear_part, judge_part, learn_groups
from .worker import score_part

_PARTS_A_LEARNER = 16  # parts at least for each task that learns speakers
OnProgress = Callable[[str, int, int | None], None]  # the stage, how much is done, of how much


def score_archive(
    request: Request, on_progress: OnProgress = lambda stage, done, total: None
) -> RunSummary:
    """Score an archive of recordings into a Parquet dataset, and return a summary.

    Raises
    ------
    ArchiveError
        If the source, the output folder, a worker or the scheduler cannot be used.
    ModelError
        If the model cannot be opened, or cannot be used with --speaker-by.
    engine.Interrupted
        After SIGINT or SIGTERM, once the running parts are finished.
    """
    source = open_source(request.source, request.file_column)
    _check_column(request, source)
    model = Recognizer.load(request.model)
    job = _job(request, model)
    with job.ledger.locked():
        job.ledger.start(_settings(source, job), resume=request.resume)
        with engine.counted_signals() as stopped:
            return _Run(job, on_progress, stopped).finish(source, model)


def _check_column(request: Request, source: Source) -> None:
    column = request.speaker_column
    carried = list(source.schema.names[len(LISTED) :])
    if column is not None and column not in carried:
        got = ", ".join(carried) or "no columns"
        raise ArchiveError(f'{request.source}: expected a column "{column}", got {got}')


def _job(request: Request, model: Recognizer) -> Job:
    named = request.model
    if named is not None and Path(named).exists():
        named = str(Path(named).resolve())
    everywhere = replace(request, out=request.out.resolve(), model=named)
    return Job(everywhere, model.fingerprint, __version__, session=secrets.token_hex(8))


def _settings(source: Source, job: Job) -> dict[str, Any]:
    """Return the settings that the rows depend on; a run is only ever resumed with the same."""
    asked = ("segments", "prosody", "speaker_column", "max_seconds")
    return {
        **source.identity,
        "emovox": job.version,
        "model": job.fingerprint,
        **{name: getattr(job.request, name) for name in asked},
    }


class _Run:
    """A run in this session."""

    def __init__(self, job: Job, on_progress: OnProgress, stopped: Callable[[], int]) -> None:
        self.job, self.request, self.ledger = job, job.request, job.ledger
        self.on_progress, self.stopped = on_progress, stopped
        self.sizes: list[int] = []  # recordings of each part

    def finish(self, source: Source, model: Recognizer) -> RunSummary:
        """Do the parts that are not done, and sum up."""
        self._plan(source)
        done, left = Tally(), list[int]()
        for part in range(len(self.sizes)):
            if tally := tally_of(self.ledger.scores(part)):
                done += tally
            else:
                left.append(part)
        started, new = time.monotonic(), Tally()
        if left:
            with self._cluster() as client:
                engine.check_workers(client, self.job, self.stopped)
                new = self._score(client, left)
        seconds = time.monotonic() - started
        name = f"{model.card.name} ({model.fingerprint})"
        summary = summarise(done + new, new, seconds, self._baseline(), name)
        if self.request.csv:
            write_csv(self.ledger, len(self.sizes))
        write_text(self.ledger.out / "summary.json", summary.to_json() + "\n")
        self._forget()
        return summary

    def _cluster(self) -> AbstractContextManager[Client]:
        if self.request.scheduler is not None:
            return engine.connected(self.request.scheduler)
        return engine.started(self.request.n_workers, self.ledger.scratch)

    def _plan(self, source: Source) -> None:
        n_recordings = 0
        for size in plan(source, self.ledger, self.request.part_size):
            self.sizes.append(size)
            n_recordings += size
            self.on_progress("listing", n_recordings, None)
            if self.stopped():
                raise engine.Interrupted
        if not n_recordings:
            raise ArchiveError(f"{self.request.source}: expected recordings, got none")

    def _score(self, client: Client, left: Sequence[int]) -> Tally:
        """Judge the parts that are left."""
        self.ledger.at(0).parent.mkdir(exist_ok=True)
        if self.request.speaker_column is None:
            return self._stage(client, "scoring", score_part, left)
        self._hear(client)
        return self._stage(client, "judging", judge_part, left)

    def _hear(self, client: Client) -> None:
        """Hear the recordings that are not heard yet, and learn the speakers."""
        head = cut_head(self.request.model)
        if head is not None:
            with written_whole(self.ledger.head) as temporary:
                temporary.write_bytes(head)
        parts = range(len(self.sizes))
        left = [part for part in parts if tally_of(self.ledger.voices(part)) is None]
        self._stage(client, "hearing", hear_part, left)
        self._learn(client)

    def _learn(self, client: Client) -> None:
        n_parts, n_done = len(self.sizes), 0
        groups = [
            group for group in range(N_GROUPS) if tally_of(self.ledger.baselines(group)) is None
        ]

        def on_done(n_groups: int) -> None:
            nonlocal n_done
            n_done += n_groups
            self.on_progress("learning", n_done, len(groups))

        n_tasks = min(N_GROUPS, 1 + n_parts // _PARTS_A_LEARNER)
        shares = (groups[first::n_tasks] for first in range(n_tasks))
        tasks = (Task(learn_groups, (self.job, share, n_parts)) for share in shares)
        self.on_progress("learning", 0, len(groups))
        engine.run_tasks(client, tasks, on_done, self.stopped)

    def _stage(
        self, client: Client, stage: str, function: Callable[..., Tally], left: Sequence[int]
    ) -> Tally:
        """Have workers do parts, and show how many recordings are done."""
        n_recordings, total = sum(self.sizes), Tally()
        n_before = n_recordings - sum(self.sizes[part] for part in left)

        def on_done(tally: Tally) -> None:
            nonlocal total
            total += tally
            self.on_progress(stage, n_before + total.recordings, n_recordings)

        tasks = (Task(function, (self.job, part), self.ledger.at(part)) for part in left)
        self.on_progress(stage, n_before, n_recordings)
        engine.run_tasks(client, tasks, on_done, self.stopped)
        return total

    def _forget(self) -> None:
        """Delete the intermediate files; voices are personal data."""
        for folder in ("voices", "baselines", "at", "scratch"):
            shutil.rmtree(self.ledger.out / "ledger" / folder, ignore_errors=True)

    def _baseline(self) -> str:
        """Describe the baselines in words."""
        if self.request.speaker_column is None and self.request.segments:
            return "recording: the earlier segments of the same recording"
        if self.request.speaker_column is None:
            return "none"
        way = (
            "judged from the stored embeddings"
            if self.ledger.head.exists()
            else "heard a second time, since the model has no separate head"
        )
        return f"speaker: all recordings with the same {self.request.speaker_column}, {way}"
