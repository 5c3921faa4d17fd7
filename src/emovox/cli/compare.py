"""`emovox compare`: runs beside one another."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import print_table, say, say_json, warn
from .plot import Pictures

if TYPE_CHECKING:
    from ..evaluation.comparison import TestedRun

_MAX_CELL = 40  # characters of a setting


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN…", help="Folders of runs, or of evaluations.")
    ],
    picture: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Draw to OUT.png, OUT.svg, or OUT for both.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the figures and settings of runs beside one another, and whether they are comparable."""
    from ..evaluation.comparison import differences, read_run

    if len(runs) < 2:
        raise typer.BadParameter(f"expected at least two runs, got {len(runs)}")
    pictures = Pictures.of("compare", "comparison", picture) if picture else None
    if pictures:
        pictures.check([])
    found = [read_run(path) for path in runs]
    apart = differences(found)
    if as_json:
        say_json({"runs": [_row(run) for run in found], "not_comparable": apart})
    else:
        _print(found)
    for line in apart:
        warn(line)
    if pictures:
        _draw(found, pictures)


def _row(run: "TestedRun") -> dict[str, Any]:
    from ..evaluation.report import FIGURES

    return {
        "run": str(run.path),
        "protocol": run.protocol,
        "folds": len(run.report.get("folds", ())) or 1,
        "n": run.numbers["n"],
        **{name: run.report[name] for name in FIGURES},
        "intervals": run.numbers["intervals"],
        "recalls": run.recalls,
        "n_parameters": run.n_parameters,
        "settings": run.settings,
    }


def _print(runs: "Sequence[TestedRun]") -> None:
    """Print a column for each run: figures, recalls, and the settings that differ."""
    from ..evaluation.comparison import changed_settings

    labels = sorted({label for run in runs for label in run.labels})
    rows = [
        ("protocol", *(run.protocol for run in runs)),
        ("folds", *(str(len(run.report.get("folds", ())) or 1) for run in runs)),
        ("recordings", *(f"{run.numbers['n']:,}" for run in runs)),
        ("accuracy", *(f"{run.report['accuracy']:.1%}" for run in runs)),
        ("UAR", *(f"{run.report['uar']:.1%}" for run in runs)),
        ("UAR, 95 % interval", *map(_interval, runs)),
        ("macro F1", *(f"{run.report['macro_f1']:.1%}" for run in runs)),
        *(
            (f"recall: {label}", *(_share(run.recalls.get(label)) for run in runs))
            for label in labels
        ),
        ("parameters", *(_count(run.n_parameters) for run in runs)),
    ]
    print_table("", ("", *(run.name for run in runs)), rows)
    if changed := changed_settings(runs):
        cells = [(name, *(value[:_MAX_CELL] for value in row)) for name, row in changed.items()]
        print_table("Settings that differ", ("", *(run.name for run in runs)), cells)
    else:
        say("The settings are the same.")


def _interval(run: "TestedRun") -> str:
    interval = run.numbers["intervals"]["uar"]
    return f"{interval['low']:.1%} to {interval['high']:.1%}"


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _draw(runs: "Sequence[TestedRun]", pictures: Pictures) -> None:
    from ..evaluation.report import FIGURES
    from ..figures import comparison

    figures = {
        FIGURES[name][0]: [
            (run.report[name], *(run.numbers["intervals"][name][end] for end in ("low", "high")))
            for run in runs
        ]
        for name in ("accuracy", "uar")
    }
    names = [run.name for run in runs]
    pictures.write(comparison(names, figures, [run.recalls for run in runs]))
