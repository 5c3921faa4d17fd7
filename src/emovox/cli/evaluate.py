"""`emovox evaluate`: measure a model on labelled recordings."""

from pathlib import Path
from typing import Annotated

import typer

from . import naming
from .console import progress_bar, warn
from .outputs import check_outputs
from .train import Corpora, command_line, print_outcome

_RESULTS = ("report.json", "report.html", "predictions.csv")


def evaluate(
    model: Annotated[
        str | None, typer.Argument(help="A model file, or the name of a shipped model.")
    ] = None,
    corpus: Corpora = None,
    out: Annotated[
        Path, typer.Option(help="Folder for report.json, report.html and figures.")
    ] = Path("evaluation"),
    label: naming.Label = None,
    labels: naming.Labels = None,
    columns: naming.Columns = None,
    words: naming.Words = None,
) -> None:
    """Measure any model on any corpus, and write a report."""
    from ..evaluation.run import Console, evaluate_model
    from ..model import find_model

    tables = [Path(source.partition("=")[2]) for source in corpus or ()]
    for name in _RESULTS:
        check_outputs({"--out": out / name}, [find_model(model), *tables])
    report = evaluate_model(
        model,
        corpus or (),
        out,
        labels=naming.chosen(labels, label) or (),
        columns=naming.pairs("--columns", columns),
        words=naming.pairs("--map", words),
        console=Console(bar=progress_bar, line=warn),
        command=command_line(),
    )
    print_outcome(report, out)
