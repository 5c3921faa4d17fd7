"""`emovox score`: a whole archive of recordings, on one machine or a cluster."""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import say, say_json, warn
from .measure import ProsodyOption
from .naming import pairs
from .outputs import check_outputs
from .predict import MaxSeconds, ModelOption

if TYPE_CHECKING:
    from rich.progress import Task

    from ..archive import RunSummary

_LOG_EVERY_S = 30.0  # if stderr is not a terminal
_RATE_OVER_S = 600.0  # the time that the rate is averaged over: a part may take minutes


SpeakerColumn = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Use a baseline of each speaker named in this column."),
]


Columns = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=COLUMN,…",
        help="The table's own names of columns: file=path, and speaker=who as for --speaker-by.",
    ),
]
TimeLimit = Annotated[
    float, typer.Option(min=0.1, help="Give up on a recording after this many seconds of work.")
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Worker processes on this machine; default: one per core."),
]


def score(
    source: Annotated[
        Path, typer.Argument(help="A folder, or a table (.csv, .parquet) with a column 'file'.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the result.")],
    model: ModelOption = None,
    segments: Annotated[
        bool, typer.Option("--segments", help="Write a row for each segment of speech.")
    ] = False,
    prosody: ProsodyOption = False,
    speaker_by: SpeakerColumn = None,
    columns: Columns = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address of a running Dask scheduler.")
    ] = None,
    workers: Workers = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted run.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with exit code 1 if a recording fails.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--with-csv", help="Also write one CSV table.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    max_seconds: MaxSeconds = None,
    time_limit: TimeLimit = 600.0,
    part_size: Annotated[
        int, typer.Option(min=1, help="Maximum number of recordings in a part.")
    ] = 128,
) -> None:
    """Recognise a whole archive, on all cores or a cluster; you can kill and resume it."""
    from ..archive import Interrupted, Request, score_archive
    from ..model import find_model

    names = _columns(columns, speaker_by)
    outputs = {"--out": out / "summary.json", "--with-csv": out / "scores.csv" if as_csv else None}
    check_outputs(outputs, [source, find_model(model)])
    request = Request(
        source,
        out,
        model=model,
        segments=segments,
        prosody=prosody,
        speaker_column=names.get("speaker"),
        file_column=names.get("file", "file"),
        scheduler=scheduler,
        n_workers=workers or os.cpu_count() or 1,
        resume=resume,
        max_seconds=max_seconds or (math.inf if segments else 3600.0),
        limit_s=time_limit,
        csv=as_csv,
        part_size=part_size,
    )
    try:
        with _progress() as on_progress:
            summary = score_archive(request, on_progress)
    except Interrupted:
        warn("emovox: interrupted; finished parts are kept: continue with --resume")
        raise typer.Exit(130) from None
    warn(f"wrote {out / 'scores'}")
    _report(summary, as_json=as_json)
    if strict and summary.failures:
        raise typer.Exit(1)


def _columns(columns: list[str] | None, speaker_by: str | None) -> dict[str, str]:
    """Return the names of a table's columns for `file` and `speaker`, as far as they are given."""
    names = pairs("--columns", columns) or {}
    if unknown := sorted(names.keys() - {"file", "speaker"}):
        raise typer.BadParameter(f"--columns names file and speaker here, got {unknown[0]!r}")
    if speaker_by is not None and names.setdefault("speaker", speaker_by) != speaker_by:
        raise typer.BadParameter("--speaker-by and --columns name two columns of speakers")
    return names


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """Show how far a run is: a bar on a terminal, a line now and then in a log."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    in_log, logged = not sys.stderr.isatty(), time.monotonic()
    amount, rate = MofNCompleteColumn(), "{task.fields[rate]}"
    with Progress(
        *("{task.description}", BarColumn(), amount, rate, TimeRemainingColumn()),
        console=Console(stderr=True),
        speed_estimate_period=_RATE_OVER_S,
        transient=True,
        disable=in_log,
    ) as bars:
        bar = bars.add_task("", total=None, rate="")
        task = bars.tasks[0]

        def show(stage: str, done: int, total: int | None) -> None:
            nonlocal logged
            if stage != task.description:
                bars.reset(bar, description=stage, total=total, completed=done, rate="")
            bars.update(bar, completed=done, total=total)
            bars.update(bar, rate=f"{task.speed:.1f}/s" if task.speed else "")
            if in_log and time.monotonic() - logged >= _LOG_EVERY_S:
                logged = time.monotonic()
                warn(_line(task))

        yield show


def _line(task: "Task") -> str:
    """Return a line for a log: how far a stage is, how fast, and how long it will still take."""
    total = "" if task.total is None else f" of {task.total:,.0f}"
    rate = f", {task.fields['rate']}" if task.fields["rate"] else ""
    left = f", {timedelta(seconds=task.time_remaining)} left" if task.time_remaining else ""
    return f"{task.description} {task.completed:,.0f}{total}{rate}{left}"


def _report(summary: "RunSummary", *, as_json: bool) -> None:
    """Print the summary, as a table or as JSON."""
    if as_json:
        say_json(asdict(summary))
        return
    failures = ", ".join(f"{kind} {count:,}" for kind, count in summary.failures.items())
    shares = ", ".join(f"{label} {share:.1%}" for label, share in summary.labels.items())
    rows = [
        ("recordings", f"{summary.recordings:,}"),
        ("rows", f"{summary.rows:,}"),
        ("hours of audio", f"{summary.hours:,.2f}"),
        ("failures", failures or "none"),
        ("labels", shares or "none"),
        ("not certain", f"{summary.uncertain:.1%}"),
        ("baseline", summary.baseline),
        ("model", summary.model),
        ("judged now", f"{summary.new_recordings:,} in {summary.seconds:,.1f} s"),
        ("recordings/s", f"{summary.recordings_per_second:,.1f}"),
        ("real time", f"{summary.times_real_time:,.0f} times as fast"),
    ]
    for name, text in rows:
        say(f"{name:15} {text}")
