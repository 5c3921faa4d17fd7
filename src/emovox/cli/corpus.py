"""`emovox corpus`: list, summarise and download corpora."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from .console import Progress, counted, print_table, progress_bar, say, say_json, warn

corpus_app = typer.Typer(
    help="List, check and download corpora of emotional speech.", no_args_is_help=True
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@corpus_app.command("list")
def list_corpora(as_json: JsonOption = False) -> None:
    """List the published corpora."""
    from ..corpora import SPECS

    if as_json:
        fields = ("name", "title", "language", "n_expected", "licence", "citation", "homepage")
        say_json([{field: getattr(spec, field) for field in fields} for spec in SPECS.values()])
        return
    rows = [
        (
            f"{spec.name}: {spec.title}",
            spec.language,
            f"{spec.n_expected:,}",
            "download" if spec.download else "by hand",
            spec.licence,
        )
        for spec in SPECS.values()
    ]
    print_table("", ("corpus", "language", "clips", "access", "terms"), rows)
    say("Your own: NAME=FOLDER with a folder for each emotion, or NAME=TABLE.csv.")


@corpus_app.command()
def summary(
    source: Annotated[str, typer.Argument(metavar="NAME=PATH", help="A corpus and its path.")],
    as_json: JsonOption = False,
) -> None:
    """Show clips by speaker and emotion, durations, sample rates and problems."""
    from ..corpora import describe, load_corpus, parse_source

    name, path = parse_source(source)
    with progress_bar(f"reading {name}") as on_progress:
        corpus = load_corpus(name, path, on_progress=on_progress)
    with progress_bar(f"measuring {name}") as on_progress:
        result = describe(corpus, on_progress)
    if as_json:
        say_json(result)
    else:
        _print_summary(result)


@corpus_app.command()
def download(
    name: Annotated[str, typer.Argument(help="A name from `emovox corpus list`.")],
    to: Annotated[
        Path,
        typer.Option("--to", metavar="DIR", help="Parent folder; the corpus becomes DIR/NAME."),
    ] = Path("corpora"),
    url: Annotated[str | None, typer.Option(help="A mirror of the publisher's archive.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Accept the corpus's terms.")] = False,
) -> None:
    """Download a corpus from its publisher, after showing its terms."""
    from ..corpora.download import download as fetch

    def accept(terms: str) -> bool:
        for line in terms.splitlines():
            warn(line)
        return yes or _confirm("Do you accept these terms?")

    with ExitStack() as stack:
        bar: Progress | None = None

        def on_progress(done: int, total: int) -> None:
            nonlocal bar  # shown from the first byte on: a bar would overwrite the question
            bar = bar or stack.enter_context(progress_bar(f"downloading {name} (bytes)"))
            bar(done, total)

        folder = fetch(name, to, url=url, accept=accept, on_progress=on_progress)
    say(f"{name}={folder}")


def _confirm(question: str) -> bool:
    """Ask on stderr, since stdout is for results; no answer means no."""
    sys.stderr.write(f"{question} [y/N]: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _print_summary(result: dict[str, Any]) -> None:
    emotions = list(result["emotions"])
    rows = [
        (
            speaker or "(unknown)",
            known["sex"],
            *(f"{known['emotions'].get(emotion, 0):,}" for emotion in emotions),
            f"{known['clips']:,}",
        )
        for speaker, known in result["speakers"].items()
    ]
    totals = (f"{number:,}" for number in result["emotions"].values())
    rows.append(("all", "", *totals, f"{result['n_utterances']:,}"))
    say(_headline(result))
    print_table("", ("speaker", "sex", *emotions, "clips"), rows)
    if seconds := result["seconds"]:
        say(
            f"Duration: {seconds['total'] / 60:.1f} min in total; a clip {seconds['min']:.2f} to "
            f"{seconds['max']:.2f} s, {seconds['mean']:.2f} s on average."
        )
    rates = (f"{int(rate):,} Hz ({number:,})" for rate, number in result["rates"].items())
    say(f"Sample rates (clips): {', '.join(rates) or 'none could be read'}.")
    for problem in result["problems"]:
        say(f"{problem['kind']}: {problem['text']}")
    if not result["problems"]:
        say("No problems found.")


def _headline(result: dict[str, Any]) -> str:
    n, expected = result["n_utterances"], result["n_expected"]
    clips = f"{n:,} of {counted(expected, 'utterance')}" if expected else counted(n, "utterance")
    counts = [counted(result[f"n_{noun}s"], noun) for noun in ("speaker", "emotion", "sentence")]
    return f"{result['name']}: {', '.join((clips, *counts))}"
