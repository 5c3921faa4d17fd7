"""`emovox train`: train a model and test it."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import naming
from .console import progress_bar, say, warn

if TYPE_CHECKING:
    from ..training.acoustic.fit import Observer, Plan, Row

_EVERY = 25  # epochs per line, if their number is fixed

Corpora = Annotated[
    list[str] | None,
    typer.Option("--corpus", metavar="NAME=PATH", help="A corpus; may be given several times."),
]


Protocol = Annotated[
    str | None, typer.Option(help="random, sentence, speaker, corpus, table or all.")
]
Groups = Annotated[
    str | None, typer.Option(help="CSV (group, speaker) of speaker groups to test in turn.")
]
Epochs = Annotated[int | None, typer.Option(help="Maximum number of epochs (acoustic features).")]
Patience = Annotated[
    int | None,
    typer.Option(help="Stop after this many epochs without progress (acoustic features)."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Resume the interrupted run in --out.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any setting, such as acoustic.network.n_lstm=32; may be given several times.",
    ),
]


def train(
    out: Annotated[Path, typer.Option(help="Folder for the run.")],
    corpus: Corpora = None,
    config: Annotated[Path | None, typer.Option(help="Settings in a TOML file.")] = None,
    features: Annotated[str | None, typer.Option(help="acoustic or speech.")] = None,
    protocol: Protocol = None,
    groups: Groups = None,
    n_groups: Annotated[int | None, typer.Option(help="Test this many speaker groups.")] = None,
    split: Annotated[str | None, typer.Option(help="Use an existing split table.")] = None,
    label: naming.Label = None,
    labels: naming.Labels = None,
    columns: naming.Columns = None,
    words: naming.Words = None,
    seed: Annotated[int | None, typer.Option(help="Seed of split, weights and batches.")] = None,
    epochs: Epochs = None,
    patience: Patience = None,
    name: Annotated[str | None, typer.Option(help="Name of the model, for its card.")] = None,
    assignments: Assignments = None,
    resume: Resume = False,
) -> None:
    """Train a model, test it on recordings it has not seen, and write a report."""
    from ..evaluation.run import Console
    from ..training.run import train as run_training
    from ..training.settings import changes_of, read_settings

    acoustic = {"epochs": epochs, "patience": patience}
    acoustic = {key: value for key, value in acoustic.items() if value is not None}
    assigned = changes_of(assignments or ())
    settings = read_settings(
        config,
        {
            "corpora": corpus,
            "features": features,
            "protocol": protocol,
            "groups": groups,
            "n_groups": n_groups,
            "split": split,
            "labels": naming.chosen(labels, label),
            "columns": naming.pairs("--columns", columns),
            "map": naming.pairs("--map", words),
            "seed": seed,
            "name": name,
            **({"acoustic": acoustic} if acoustic else {}),
        },
        assigned,
    )
    try:
        report = run_training(
            settings,
            out,
            resume=resume,
            console=Console(bar=progress_bar, line=warn),
            training=_training_display,
            command=command_line(),
        )
    except KeyboardInterrupt:
        warn(f"emovox: interrupted; finished work is kept in {out}, run again with --resume")
        raise typer.Exit(130) from None
    except OSError as error:
        warn(f"emovox: {out}: {error.strerror or error}; fix this and run again with --resume")
        raise typer.Exit(1) from None
    print_outcome(report, out)


def command_line() -> str:
    """Return the command, for the report."""
    return shlex.join(["emovox", *sys.argv[1:]])


def print_outcome(report: dict[str, Any], out: Path) -> None:
    """Print the figures with the protocol they were measured under, and the place of the report."""
    for name, fold in report.get("folds", {}).items():
        say(f"  {name}: accuracy {fold['accuracy']:.1%}, UAR {fold['uar']:.1%}")
    mean = "mean of the folds: " if "folds" in report else ""
    part = {"all": "on the validation part, ", "evaluate": "on all recordings, "}
    say(
        f"{mean}accuracy {report['accuracy']:.1%}, UAR {report['uar']:.1%}, "
        f"macro F1 {report['macro_f1']:.1%}, "
        f"{part.get(report['protocol'], 'on the test part, ')}protocol {report['protocol']}"
    )
    say(f"report: {out / 'report.html'}")


@contextmanager
def _training_display(fold: str, plan: "Plan") -> "Iterator[Observer]":
    """Show a bar of the batches, and print a line an epoch, or every 25th."""
    from ..training.acoustic.fit import Observer

    def on_epoch(history: "Sequence[Row]") -> None:
        epoch = len(history)
        if plan.chooses or epoch % _EVERY == 0 or epoch in (1, plan.n_epochs):
            warn(_epoch_line(history, chooses=plan.chooses))

    with progress_bar(f"training {fold}") as on_progress:

        def on_batch(epoch: int, done: int, total: int) -> None:
            on_progress((epoch - 1) * total + done, plan.n_epochs * total)

        yield Observer(on_batch, on_epoch)


def _epoch_line(history: "Sequence[Row]", *, chooses: bool) -> str:
    from ..training.acoustic.fit import idle_epochs

    row = history[-1]
    best = chooses and not idle_epochs(history)
    return (
        f"epoch {row['epoch']:2.0f}  loss {row['train_loss']:.4f}  "
        f"accuracy {row['train_accuracy']:.1%}  validation loss {row['val_loss']:.4f}  "
        f"accuracy {row['val_accuracy']:.1%}  {row['seconds']:.1f} s"
        f"{'  best' if best else ''}"
    )
