"""Measuring a model on labelled recordings: corpora in, answers and a report out."""

import os
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from ..corpora import SPECS, Corpus, Labelling, Problem, Utterance, load_corpora
from ..corpora.labelling import ANY, labelling, only
from ..emotions import NEAREST, is_own
from ..errors import ConfigError, EmovoxError, SplitError, counted, one_line
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
    columns: Mapping[str, str] | None = None,
    words: Mapping[str, str] | None = None,
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
        Only these labels; empty for all.
    columns, words : mapping of str to str, optional
        As for `emovox.corpora.Labelling`. Words that the model has learned as a label count as it,
        too, and `words` goes before that.
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
    learned = Learned(recognizer.labels, recognizer.card.merged)
    learned.check(labels)
    names = labelling(columns or {}, words or {}, (*labels, *recognizer.labels))
    corpora, utterances, counted_as = load_tested(sources, labels, learned, console, names)
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
        "settings": {
            "corpora": tuple(sources),
            "labels": tuple(labels),
            "columns": columns or {},
            "map": words or {},
        },
        "merged": counted_as,
        "n_test": len(evaluation.results.files),
        "left_out": evaluation.left_out,
        "model": {"name": recognizer.card.name, "fingerprint": recognizer.fingerprint},
    }
    out.mkdir(parents=True, exist_ok=True)
    write_results(evaluation.results, out / "predictions.csv")
    return write_report(out, evaluation.results, facts=facts)


def load_utterances(
    sources: Sequence[str], labels: Sequence[str], labelling: Labelling, console: Console
) -> tuple[tuple[Corpus, ...], list[Utterance]]:
    """Load corpora, then choose labels as `choose` does; report what it leaves out.

    Raises
    ------
    EmovoxError
        If no corpus is given, a label cannot be one or is nowhere, a corpus cannot be read, or
        fewer than two labels are left.
    """
    if not sources:
        raise ConfigError("expected at least one corpus, for example --corpus tess=data/tess")
    chosen = only(labels)
    with console.bar("reading the corpora") as on_progress:
        corpora = load_corpora(sources, labelling=labelling, on_progress=on_progress)
    for corpus in corpora:
        for problem in corpus.problems:
            console.line(f"{corpus.name}: {problem.text}")
    everything = [utterance for corpus in corpora for utterance in corpus.utterances]
    _check_found(chosen, everything)
    utterances, left_out = choose(everything, chosen)
    for emotion, count in left_out.items():
        console.line(
            f"left out: {counted(count, 'recording')} of {emotion}, which is not among the labels"
        )
    return tuple(corpora), utterances


def _check_found(labels: Sequence[str], utterances: Sequence[Utterance]) -> None:
    """Refuse labels of the user's own that no recording has: they may be misspelt."""
    found = sorted({utterance.emotion for utterance in utterances})
    if missing := [label for label in labels if is_own(label) and label not in found]:
        raise ConfigError(f"labels: no recording is {missing[0]!r}; found {', '.join(found)}")


@dataclass(frozen=True)
class Learned:
    """What a model that is tested knows: its labels, and what else it learned as one of them."""

    labels: tuple[str, ...]
    merged: Mapping[str, str] = field(default_factory=dict)

    def label(self, word: str) -> str | None:
        """Return the label that an emotion the model does not know counts as, None if it is none.

        That is the one that it counted as in training, else the nearest.
        """
        label = self.merged.get(word) or NEAREST.get(word)
        return label if label in self.labels else None

    def check(self, labels: Sequence[str]) -> None:
        """Refuse labels of the user's own that the model does not know: none could be scored."""
        for label in labels:
            if is_own(label) and label not in (*self.labels, ANY) and not self.label(label):
                known = ", ".join(self.labels)
                raise ConfigError(f"labels: the model knows {known}, got {one_line(label)!r}")


def load_tested(
    sources: Sequence[str],
    labels: Sequence[str],
    learned: Learned,
    console: Console,
    names: Labelling | None = None,
) -> tuple[tuple[Corpus, ...], list[Utterance], dict[str, int]]:
    """Load what a model is tested with; see `load_utterances` and `merged`."""
    names = names or labelling({}, {}, learned.labels)
    # Words beyond the nine, which a table would refuse; emotions are merged below, and counted.
    others = {
        word: label
        for word, label in learned.merged.items()
        if is_own(word) and label in learned.labels
    }
    names = replace(names, words={**others, **names.words})
    corpora, utterances = load_utterances(sources, labels, names, console)
    utterances, counted_as = merged(utterances, learned)
    for emotion, count in counted_as.items():
        console.line(
            f"{counted(count, 'recording')} of {emotion} counted as {learned.label(emotion)}"
        )
    return corpora, utterances, counted_as


def choose(
    utterances: Sequence[Utterance], labels: Sequence[str]
) -> tuple[list[Utterance], dict[str, int]]:
    """Keep the utterances of some labels (empty: all); count the others by label.

    Raises
    ------
    SplitError
        If fewer than two emotions are left.
    """
    left_out = Counter(one.emotion for one in utterances if labels and one.emotion not in labels)
    chosen = [one for one in utterances if one.emotion not in left_out]
    emotions = sorted({utterance.emotion for utterance in chosen})
    if len(emotions) < 2:
        raise SplitError(
            f"expected recordings of at least two emotions, got {', '.join(emotions) or 'none'}"
        )
    return chosen, dict(left_out)


def merged(
    utterances: Sequence[Utterance], learned: Learned
) -> tuple[list[Utterance], dict[str, int]]:
    """Replace emotions unknown to a model by what they count as for it; count them."""
    missing = {utterance.emotion for utterance in utterances} - set(learned.labels)
    merge = {emotion: label for emotion in missing if (label := learned.label(emotion))}
    counts = Counter(one.emotion for one in utterances if one.emotion in merge)
    return renamed(utterances, merge), dict(sorted(counts.items()))


def renamed(utterances: Sequence[Utterance], labels: Mapping[str, str]) -> list[Utterance]:
    """Return utterances with some labels replaced by others."""
    return [replace(one, emotion=labels.get(one.emotion, one.emotion)) for one in utterances]


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
