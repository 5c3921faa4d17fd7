"""`emovox audit`: behaviour tests of any model."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import Progress, print_table, progress_bar, say, warn
from .outputs import check_outputs
from .train import Corpora, command_line

if TYPE_CHECKING:
    from ..audit.findings import Finding

_LOG_EVERY_S = 20.0  # if stderr is not a terminal
_MARKS = {"passed": " ok", "failed": " FAILS"}


Function = Annotated[
    str | None,
    typer.Option(
        "--callable",
        metavar="MODULE:FUNCTION",
        help="Test a function instead: of samples and rate, it returns a score by label.",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GROUP",
        help="Only this group: correctness, certainty, fairness, wording, doors, robustness or one "
        "of its parts (small, background, tilt, lines, rooms, pauses, levels). May be given "
        "several times.",
    ),
]
Prefix = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PREFIX",
        help="Only noises whose file name begins with this; may be given several times.",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Recordings of each corpus, of all emotions and speakers alike."),
]
Threshold = Annotated[
    float, typer.Option(min=0, max=1, help="Score from which an answer of --callable is certain.")
]


def audit(
    model: Annotated[
        str | None, typer.Argument(help="A model file, or the name of a shipped model.")
    ] = None,
    corpus: Corpora = None,
    out: Annotated[
        Path, typer.Option(help="Folder for audit.json, audit.html, figures and kept answers.")
    ] = Path("audit"),
    function: Function = None,
    threshold: Threshold = 0.5,
    limit: Limit = None,
    only: Only = None,
    noise: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Recordings of real background noise.")
    ] = None,
    noise_prefix: Prefix = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice and the changes.")] = 0,
    examples: Annotated[
        bool, typer.Option("--examples", help="Write the worst recordings as sounds, changed too.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with exit code 1 if a test fails.")
    ] = False,
) -> None:
    """Test what a model's answers depend on, against published thresholds; write a page.

    An interrupted run goes on when it is started again with the same --out.
    """
    from ..audit.run import PAGE, REPORT, Request
    from ..audit.run import audit as run_audit
    from ..audit.subjects import open_subject
    from ..audit.words import lead
    from ..evaluation.run import Console

    sources = tuple(corpus or ())
    inputs = [Path(source.partition("=")[2]) for source in sources]
    for name in (REPORT, PAGE):
        check_outputs({"--out": out / name}, inputs)
    request = Request(
        sources,
        limit=limit,
        groups=tuple(only or ()),
        noise=noise,
        prefixes=tuple(noise_prefix or ()),
        seed=seed,
        examples=examples,
    )
    subject = open_subject(model, function, threshold)
    try:
        outcome = run_audit(
            subject, request, out, console=Console(bar=_bar, line=warn), command=command_line()
        )
    except KeyboardInterrupt:
        warn(f"emovox: interrupted; answers are kept in {out}: start it again to go on")
        raise typer.Exit(130) from None
    _print_findings(outcome.findings)
    for sentence in lead(subject.name, outcome.findings):
        say(sentence)
    say(f"report: {out / PAGE}")
    if strict and any(finding.passed is False for finding in outcome.findings):
        raise typer.Exit(1)


@contextmanager
def _bar(text: str) -> Iterator[Progress]:
    """Show how far a run is: a bar on a terminal, a line now and then in a log."""
    started = logged = time.monotonic()
    with progress_bar(text) as show:

        def on_progress(done: int, total: int) -> None:
            nonlocal logged
            show(done, total)
            now = time.monotonic()
            if not sys.stderr.isatty() and now - logged >= _LOG_EVERY_S:
                logged = now
                warn(f"{text}: {done:,} of {total:,}, {done / (now - started):,.1f}/s")

        yield on_progress


def _print_findings(found: Sequence["Finding"]) -> None:
    """Print a row for each figure, and a column for each corpus; the groups in turn."""
    from ..audit.words import table_of

    groups: dict[str, list[list[Finding]]] = {}
    for row in table_of(found):
        groups.setdefault(row[0].group, []).append(row)
    for group, rows in groups.items():
        corpora = list(dict.fromkeys(one.corpus for row in rows for one in row))
        header = ("test", "figure", "threshold", *corpora)
        print_table(group, header, [_cells(row, corpora) for row in rows])


def _cells(row: Sequence["Finding"], corpora: Sequence[str]) -> list[str]:
    from ..audit.words import MEASURES, threshold_text, value_text

    limit, here = row[0].limit, {one.corpus: one for one in row}
    values = [
        f"{value_text(limit.measure, here[name].value)}{_MARKS.get(here[name].outcome, '')}"
        if name in here
        else ""
        for name in corpora
    ]
    threshold = f"{threshold_text(limit)} {limit.source}".strip()
    return [row[0].test, MEASURES[limit.measure], threshold, *values]
