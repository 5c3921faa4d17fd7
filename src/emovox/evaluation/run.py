"""Measuring a model on labelled recordings: corpora in, answers and a report out."""

import dataclasses
import os
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from ..corpora import SPECS, Corpus, Problem, Utterance, load_corpora
from ..emotions import EMOTIONS, NEAREST
from ..errors import ConfigError, EmovoxError, SplitError, counted
from ..recognizer import Recognizer
from ..version import __version__
from .answers import evaluate, write_results
from .report import check_libraries, write_report

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Console:
    """Where a run shows its progress: a bar for each stage, and lines."""

    bar: Callable[[str], AbstractContextManager[Progress]] = lambda text: nullcontext(
        lambda done, total: None
    )
    line: Callable[[str], None] = lambda text: None


def evaluate_model(
    model: str | os.PathLike[str] | None,
    sources: Sequence[str],
    out: Path,
    *,
    labels: Sequence[str] = (),
    console: Console = Console(),
    command: str = "",
) -> dict[str, Any]:
    """Measure a model on all recordings of the corpora, write a report, and return it.

    Parameters
    ----------
    model : path, str or None
        A model file, or the name of a shipped model; None: the default.
    sources : sequence of str
        Each "NAME=PATH", as for `emovox.corpora.load_corpora`.
    out : Path
        A folder for predictions.csv, report.json, report.html and figures/.
    labels : sequence of str
        Only these emotions; empty for all.
    console : Console
    command : str
        The command line, for the report.

    Raises
    ------
    EmovoxError
        If the model or the corpora cannot be used, `out` holds a training run, or a library of the
        extra `report` is not installed.
    """
    check_libraries()
    recognizer = Recognizer.load(model)
    if out.exists() and not out.is_dir():
        raise EmovoxError(f"{out}: expected a folder for the report, got a file")
    if (out / "config.toml").exists():
        raise EmovoxError(f"{out}: holds a training run; use another --out")
    corpora, utterances, counted_as = load_tested(sources, labels, recognizer.labels, console)
    with console.bar("recognising") as on_progress:
        evaluation = evaluate(recognizer, utterances, on_progress=on_progress)
    for emotion, count in evaluation.left_out.items():
        console.line(
            f"left out: {counted(count, 'recording')} of {emotion}, which the model does not know"
        )
    facts = corpus_facts(corpora, evaluation.problems) | {
        "protocol": "evaluate",
        "command": command,
        "seed": None,  # nothing is drawn
        "settings": {"corpora": tuple(sources), "labels": tuple(labels)},
        "merged": counted_as,
        "n_test": len(evaluation.results.files),
        "left_out": evaluation.left_out,
        "model": {"name": recognizer.card.name, "fingerprint": recognizer.fingerprint},
    }
    out.mkdir(parents=True, exist_ok=True)
    write_results(evaluation.results, out / "predictions.csv")
    return write_report(out, evaluation.results, facts=facts)


def load_utterances(
    sources: Sequence[str], labels: Sequence[str], merge: Mapping[str, str], console: Console
) -> tuple[tuple[Corpus, ...], list[Utterance]]:
    """Load corpora, then merge and choose emotions as `choose` does; report what it leaves out.

    Raises
    ------
    EmovoxError
        If no corpus is given, a label is unknown, a corpus cannot be read, or fewer than two
        emotions are left.
    """
    if not sources:
        raise ConfigError("expected at least one corpus, for example --corpus tess=data/tess")
    if unknown := [label for label in labels if label not in EMOTIONS]:
        raise ConfigError(f"labels: expected {', '.join(EMOTIONS)}, got {unknown[0]!r}")
    with console.bar("reading the corpora") as on_progress:
        corpora = load_corpora(sources, on_progress=on_progress)
    for corpus in corpora:
        for problem in corpus.problems:
            console.line(f"{corpus.name}: {problem.text}")
    everything = [utterance for corpus in corpora for utterance in corpus.utterances]
    utterances, left_out = choose(everything, labels, merge)
    for emotion, count in left_out.items():
        console.line(
            f"left out: {counted(count, 'recording')} of {emotion}, which is not among the labels"
        )
    return tuple(corpora), utterances


def load_tested(
    sources: Sequence[str], labels: Sequence[str], known: Sequence[str], console: Console
) -> tuple[tuple[Corpus, ...], list[Utterance], dict[str, int]]:
    """Load what a model that knows some labels is tested with; see `load_utterances`, `merged`."""
    corpora, utterances = load_utterances(sources, labels, {}, console)
    utterances, counted_as = merged(utterances, known)
    for emotion, count in counted_as.items():
        console.line(f"{counted(count, 'recording')} of {emotion} counted as {NEAREST[emotion]}")
    return corpora, utterances, counted_as


def choose(
    utterances: Sequence[Utterance], labels: Sequence[str], merge: Mapping[str, str]
) -> tuple[list[Utterance], dict[str, int]]:
    """Merge emotions, then keep those among `labels` (empty: all); count the rest by emotion.

    Raises
    ------
    SplitError
        If fewer than two emotions are left.
    """
    merged = _renamed(utterances, merge)
    left_out = Counter(one.emotion for one in merged if labels and one.emotion not in labels)
    chosen = [one for one in merged if one.emotion not in left_out]
    emotions = sorted({utterance.emotion for utterance in chosen})
    if len(emotions) < 2:
        raise SplitError(
            f"expected recordings of at least two emotions, got {', '.join(emotions) or 'none'}"
        )
    return chosen, dict(left_out)


def merged(
    utterances: Sequence[Utterance], labels: Sequence[str]
) -> tuple[list[Utterance], dict[str, int]]:
    """Replace emotions unknown to a model by the nearest known one; count them."""
    missing = {utterance.emotion for utterance in utterances} - set(labels)
    merge = {emotion: NEAREST[emotion] for emotion in missing if NEAREST.get(emotion) in labels}
    counts = Counter(one.emotion for one in utterances if one.emotion in merge)
    return _renamed(utterances, merge), dict(sorted(counts.items()))


def _renamed(utterances: Sequence[Utterance], merge: Mapping[str, str]) -> list[Utterance]:
    return [
        dataclasses.replace(one, emotion=merge.get(one.emotion, one.emotion)) for one in utterances
    ]


def corpus_facts(corpora: Sequence[Corpus], problems: Sequence[Problem]) -> dict[str, Any]:
    """Return the facts of every report: the corpora, their problems and others, and versions."""
    everything = (*(problem for corpus in corpora for problem in corpus.problems), *problems)
    return {
        "versions": versions(),
        "corpora": [{"name": corpus.name, "licence": licence_of(corpus)} for corpus in corpora],
        "problems": [problem.text for problem in everything],
    }


def licence_of(corpus: Corpus) -> str:
    """Return the licence of a published corpus; that of any other is its owner's."""
    spec = SPECS.get(corpus.name)
    return spec.licence if spec else "the owner's"


def versions() -> dict[str, str]:
    """Return the versions of Python, emovox, and the installed libraries that numbers depend on."""
    installed = {"emovox": __version__, "python": platform.python_version()}
    for name in ("numpy", "torch", "onnxruntime", "soundfile", "soxr"):
        try:
            installed[name] = installed_version(name)
        except PackageNotFoundError:  # torch, where nothing is trained
            continue
    return installed
