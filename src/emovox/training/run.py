"""A whole training run: corpora, split, features, network, model file, report."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..corpora import Corpus, Utterance
from ..errors import ConfigError, TrainingError, counted
from ..evaluation.answers import evaluate, evaluate_running, read_results, write_results
from ..evaluation.report import write_report, write_summary
from ..evaluation.results import Results, concatenate
from ..evaluation.run import Console, Progress, corpus_facts, load_utterances
from ..files import default_cache_folder, write_text
from ..recognizer import Recognizer
from ..splits import (
    Fold,
    count_changes,
    make_folds,
    read_groups,
    read_split,
    write_split,
)
from ..tracks import csv_table
from .acoustic.fit import Checkpoint, Observer, Plan, Row
from .cache import ArrayCache, cache_key
from .export import with_card
from .extraction import Extracted, extract
from .learner import AcousticLearner, Fit, Learner, learner_of
from .provenance import card_figures, fold_facts, model_card
from .settings import Settings, read_settings, settings_data, settings_toml

HISTORY_COLUMNS = (
    "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds"
)  # fmt: skip

Training = Callable[[str, Plan], AbstractContextManager[Observer]]
"""A function of a fold's name and plan: shows the epochs while the fold is trained."""


@dataclass(frozen=True)
class Run:
    """The common ground of a run's folds."""

    settings: Settings
    corpora: tuple[Corpus, ...]
    extracted: Extracted
    learner: Learner
    console: Console
    training: Training
    command: str

    @cached_property
    def features(self) -> dict[Path, NDArray[np.float32]]:
        """The features of each usable file."""
        files = (utterance.file for utterance in self.extracted.utterances)
        return dict(zip(files, self.extracted.features, strict=True))

    @property
    def facts(self) -> dict[str, Any]:
        """The facts of the run, for every report."""
        return corpus_facts(self.corpora, self.extracted.problems) | {
            "command": self.command,
            "protocol": self.settings.protocol,
            "seed": self.settings.seed,
            "settings": settings_data(self.settings),
        }


def train(
    settings: Settings,
    out: Path,
    *,
    resume: bool = False,
    console: Console = Console(),  # noqa: B008 (frozen)
    training: Training = lambda fold, plan: nullcontext(Observer()),
    command: str = "",
) -> dict[str, Any]:
    """Train, test and report; return the report.

    Parameters
    ----------
    settings : Settings
    out : Path
        The run's folder: config.toml, split.csv, history.csv, model.onnx, predictions.csv,
        report.json, report.html and figures/; with several folds, one folder each and a summary
        on top.
    resume : bool
        Go on with the run that was interrupted in this folder.
    console : Console
    training : callable
        Given a fold's name and plan, a context manager that gives the `Observer` of its training.
    command : str
        The command line, for the report.

    Raises
    ------
    EmovoxError
        If the settings, the corpora or the folder do not allow it; OSError if the disk does not.
    """
    check_folder(settings, out, resume=resume)
    corpora, utterances = load_utterances(
        settings.corpora, settings.labels, settings.labelling, console
    )
    folds = _folds(settings, utterances)  # refuses impossible splits before any work
    _open_run(settings, out)
    learner = learner_of(settings, utterances)
    extracted = _extract(learner, utterances, console)
    if extracted.problems:
        folds = _folds(settings, extracted.utterances)
    run = Run(settings, corpora, extracted, learner, console, training, command)
    places = [out] if len(folds) == 1 else [out / fold.name for fold in folds]
    for fold, place in zip(folds, places, strict=True):
        _check_same_recordings(fold, place)
    if len(folds) == 1:
        report, _ = _run_fold(run, folds[0], out)
        return report
    reports, results = {}, []
    for number, (fold, place) in enumerate(zip(folds, places, strict=True), 1):
        console.line(f"fold {number} of {len(folds)}: {fold.name}")
        report, answers = _run_fold(run, fold, place)
        reports[fold.name] = report
        results.append(answers)
    return write_summary(out, reports, concatenate(results), facts=run.facts)


def check_folder(settings: Settings, out: Path, *, resume: bool) -> None:
    """Make sure that a folder is free for a run, or, to resume, holds the same run.

    Raises
    ------
    TrainingError
        If it holds anything else, or no run to resume.
    """
    config = out / "config.toml"
    if out.exists() and not out.is_dir():
        raise TrainingError(f"{out}: expected a folder for the run, got a file")
    if config.exists():
        _check_same_run(settings, config, resume=resume)
    elif out.exists() and any(out.iterdir()):
        raise TrainingError(f"{out}: the folder is not empty and holds no run; use another --out")
    elif resume:
        raise TrainingError(f"{out}: there is no run to resume; leave out --resume to start one")


def _open_run(settings: Settings, out: Path) -> None:
    try:
        settings.name.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"name: expected text in UTF-8, got {settings.name!r}") from None
    try:
        write_text(out / "config.toml", settings_toml(settings))
    except OSError as error:
        raise TrainingError(f"{out}: cannot write the run's folder: {error.strerror}") from None


def _check_same_run(settings: Settings, config: Path, *, resume: bool) -> None:
    if not resume:
        raise TrainingError(
            f"{config.parent}: already holds a run; use --resume to continue it, or another --out"
        )
    before, now = settings_data(read_settings(config, {})), settings_data(settings)
    if changed := sorted(key for key in {**before, **now} if before.get(key) != now.get(key)):
        raise TrainingError(
            f"{config.parent}: holds another run, with different {', '.join(changed)}; give the "
            "same settings to resume it, or another --out"
        )


def _check_same_recordings(fold: Fold, place: Path) -> None:
    """Refuse to go on with a fold that was begun with other recordings, labels or parts."""
    begun = any((place / name).exists() for name in ("split.csv", "report.json"))
    if begun and (n_changed := count_changes(fold, place / "split.csv")):
        raise TrainingError(
            f"{place}: {counted(n_changed, 'recording')} changed since the run began, in content, "
            "label or part; restore the corpus to resume, or use another --out"
        )


def _extract(learner: Learner, utterances: Sequence[Utterance], console: Console) -> Extracted:
    cache = ArrayCache(default_cache_folder() / "features")
    with console.bar("computing features") as on_progress:
        extracted = extract(utterances, learner.extractor(), cache, on_progress=on_progress)
    for problem in extracted.problems:
        console.line(f"left out: {problem.text}")
    return extracted


def _folds(settings: Settings, utterances: Sequence[Utterance]) -> list[Fold]:
    if settings.split:
        return [read_split(settings.split, utterances, settings.protocol)]
    groups = read_groups(settings.groups) if settings.groups else None
    return make_folds(
        utterances,
        settings.protocol,
        seed=settings.seed,
        groups=groups,
        n_groups=settings.n_groups or None,
    )


def _run_fold(run: Run, fold: Fold, out: Path) -> tuple[dict[str, Any], Results]:
    """Train, export, test and report one fold, or read the results of a finished one."""
    if (out / "report.json").exists():
        report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
        return report, read_results(out / "predictions.csv")
    out.mkdir(parents=True, exist_ok=True)
    write_split(fold, out / "split.csv")
    labels = tuple(sorted({utterance.emotion for utterance in fold.train}))
    fit = _fit(run, fold, labels, out)
    run.console.line(fit.ending)
    model_file = out / "model.onnx"
    card = model_card(run.settings, fold, run.corpora, labels, fit)
    # Without a test part the validation part is measured, and must not have been trained on.
    (fit.export if fold.test else fit.export_watched)(card, model_file)
    with run.console.bar("testing") as on_progress:
        recognizer = Recognizer.load(model_file)
        evaluation = evaluate(recognizer, fold.test or fold.val, on_progress=on_progress)
        running = _with_baseline(run, recognizer, fold, out, on_progress)
    if not fold.test:
        fit.export(card, model_file)
    fingerprint = with_card(model_file, figures=card_figures(fold, evaluation.results) | running)
    write_results(evaluation.results, out / "predictions.csv")
    facts = run.facts | fold_facts(fold, fit, card)
    facts |= {"left_out": evaluation.left_out, "running_baseline": running}
    facts["model"] = {"name": model_file.name, "fingerprint": fingerprint, **facts["model"]}
    report = write_report(out, evaluation.results, facts=facts, history=fit.history)
    return report, evaluation.results


def _with_baseline(
    run: Run, recognizer: Recognizer, fold: Fold, out: Path, on_progress: Progress
) -> dict[str, float]:
    """Measure a model with running baselines as well, if it was trained with baselines."""
    tested = fold.test or fold.val
    if not run.learner.knows_speakers or not all(utterance.speaker for utterance in tested):
        return {}
    results = evaluate_running(recognizer, tested, seed=run.settings.seed, on_progress=on_progress)
    write_results(results, out / "predictions_running.csv")
    return {f"running_{name}": value for name, value in card_figures(fold, results).items()}


def _fit(run: Run, fold: Fold, labels: tuple[str, ...], out: Path) -> Fit:
    learner = run.learner
    if isinstance(learner, AcousticLearner):
        learned = [f"{clip.digest} {clip.emotion}" for clip in (*fold.train, *fold.val)]
        key = cache_key(settings_toml(run.settings), *labels, str(len(fold.train)), *learned)
        learner = replace(learner, checkpoint=Checkpoint(out / "checkpoint.pt", key))
    with run.training(fold.name, learner.plan(len(fold.train))) as observer:

        def on_epoch(history: Sequence[Row]) -> None:
            rows = ([row[column] for column in HISTORY_COLUMNS] for row in history)
            write_text(out / "history.csv", csv_table(HISTORY_COLUMNS, rows))
            observer.on_epoch(history)

        return learner.fit(fold, run.features, labels, Observer(observer.on_batch, on_epoch))
