"""The rows of benchmarks/accuracy.py: figures made of answers, a mean over seeds with its range.

In what follows a seed is a mapping of the names of its folds to their answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from emovox.corpora import Utterance
from emovox.evaluation.calibration import coverage_curve, expected_calibration_error
from emovox.evaluation.results import concatenate
from tasks import SIX
from unheard import Answers, calibration, recall, results

Seed = Mapping[str, Answers]
SECONDS = (0.0, 1e-3, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, np.inf)  # heard before


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return mean, lowest and highest of the seeds' figures."""
    figures = {"mean": np.mean(values), "low": np.min(values), "high": np.max(values)}
    return {name: round(float(value), 4) for name, value in figures.items()}


def uars(answers: Answers, chosen: np.ndarray | None = None) -> dict[str, float]:
    """Return the UAR without and with a running baseline, the mean over its orders."""
    rows = np.arange(len(answers.truth)) if chosen is None else chosen
    truth = answers.truth[rows]
    running = [recall(truth, order[rows]) for order in answers.running]
    return {"uar": recall(truth, answers.alone[rows]), "running_uar": float(np.mean(running))}


def pool(seed: Seed) -> Answers:
    """Put the answers of all folds together."""
    parts = list(seed.values())
    starts = np.cumsum([0, *(len(part.truth) for part in parts)])
    joined: dict[str, Any] = {"labels": parts[0].labels}
    for name in ("files", "truth", "alone", "one_sided", "foreign"):
        joined[name] = np.concatenate([getattr(part, name) for part in parts])
    for name in ("running", "heard"):
        joined[name] = np.concatenate([getattr(part, name) for part in parts], axis=1)
    for name in ("one_sided_rows", "foreign_rows"):
        moved = [getattr(part, name) + start for part, start in zip(parts, starts, strict=False)]
        joined[name] = np.concatenate(moved)
    return Answers(**joined)


def task_row(seeds: Sequence[Seed], *, pooled: bool = False) -> dict[str, Any]:
    """Return the UAR of a task: the mean over its folds, or of all tested recordings together."""
    folds = {
        name: {
            kind: round(float(np.mean([uars(seed[name])[kind] for seed in seeds])), 4)
            for kind in ("uar", "running_uar")
        }
        for name in seeds[0]
    }
    wholes = []
    for seed in seeds:
        each = [uars(pool(seed))] if pooled else [uars(answers) for answers in seed.values()]
        wholes.append({kind: float(np.mean([one[kind] for one in each])) for kind in each[0]})
    return {**_spreads(wholes), "n_test": len(pool(seeds[0]).truth), "folds": folds}


def six_row(seeds: Sequence[Answers], published: Mapping[Path, str]) -> dict[str, Any]:
    """Score EmoDB's recordings of the six emotions that other corpora have, too.

    Boredom is left out, though it was heard in a running baseline; surprise, which the corpus does
    not have, is no answer.
    """
    files = seeds[0].files
    six = np.flatnonzero([published[Path(str(file))] in SIX for file in files])
    barred = np.where(np.isin(seeds[0].labels, SIX), 0.0, -np.inf).astype(np.float32)
    asked = [
        replace(answers, alone=answers.alone + barred, running=answers.running + barred)
        for answers in seeds
    ]
    return {**_spreads([uars(answers, six) for answers in asked]), "n_test": len(six)}


def one_sided_row(seeds: Sequence[Seed]) -> dict[str, Any]:
    """Score streams of which four in five recordings have one emotion, all emotions together."""
    return _other_order(seeds, "one_sided")


def foreign_row(seeds: Sequence[Seed]) -> dict[str, Any]:
    """Score recordings that are answered with the baseline of another speaker of the corpus."""
    return _other_order(seeds, "foreign")


def _other_order(seeds: Sequence[Seed], name: str) -> dict[str, Any]:
    figures = []
    for seed in seeds:
        answers = pool(seed)
        rows = getattr(answers, f"{name}_rows")
        truth = answers.truth[rows]
        alone, running = answers.alone[rows], getattr(answers, name)
        figures.append({"uar": recall(truth, alone), "running_uar": recall(truth, running)})
    return {**_spreads(figures), "n_test": len(truth)}


def _spreads(seeds: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    row: dict[str, Any] = {"seeds": len(seeds)}
    return row | {kind: spread([seed[kind] for seed in seeds]) for kind in seeds[0]}


def by_seconds_heard(seeds: Sequence[Seed]) -> list[dict[str, float]]:
    """Return the UAR by how much a running baseline has heard, beside that without one."""
    rows = []
    pools = [pool(seed) for seed in seeds]
    truth = np.concatenate([np.tile(one.truth, len(one.running)) for one in pools])
    heard = np.concatenate([one.heard.ravel() for one in pools])
    shape = (-1, len(pools[0].labels))
    running = np.concatenate([one.running.reshape(shape) for one in pools])
    alone = np.concatenate([np.tile(one.alone, (len(one.running), 1)) for one in pools])
    for low, high in pairwise(SECONDS):
        chosen = (heard >= low) & (heard < high)
        if chosen.sum() >= 100:
            rows.append(
                {
                    "from": round(low),
                    "to": None if np.isinf(high) else round(high),
                    "answers": int(chosen.sum()),
                    "uar": round(recall(truth[chosen], alone[chosen]), 4),
                    "running_uar": round(recall(truth[chosen], running[chosen]), 4),
                }
            )
    return rows


def certainty(seeds: Sequence[Seed], temperature: float) -> dict[str, dict[str, float]]:
    """Return calibration error and what abstaining gains, without and with a running baseline.

    `error` is with the shipped temperature, which was fitted on such voices; `error_apart` with
    one fitted on the voices of the other folds alone.
    """
    return {kind: _certainty(seeds, kind, temperature) for kind in ("uar", "running_uar")}


def _certainty(seeds: Sequence[Seed], kind: str, temperature: float) -> dict[str, float]:
    figures = []
    for seed in seeds:
        chosen = {
            name: one.alone if kind == "uar" else one.running[0] for name, one in seed.items()
        }
        apart = []
        for name, answers in seed.items():
            others = {other: seed[other] for other in seed if other != name}
            fitted, _ = shipped_calibration([others]).values()
            apart.append(results(answers, chosen[name], fitted))
        shipped = concatenate(
            [results(one, chosen[name], temperature) for name, one in seed.items()]
        )
        curve = {point["coverage"]: point["accuracy"] for point in coverage_curve(shipped)}
        figures.append(
            {
                "error": expected_calibration_error(shipped),
                "error_apart": expected_calibration_error(concatenate(apart)),
                "accuracy": curve[1.0],
                "accuracy_at_80": curve[0.8],
                "gained": curve[0.8] - curve[1.0],
            }
        )
    return {name: round(float(np.mean([one[name] for one in figures])), 4) for name in figures[0]}


def shipped_calibration(speakers: Sequence[Seed], corpora: Sequence[Seed] = ()) -> dict[str, float]:
    """Return temperature and threshold that fit unheard voices.

    They are those of unheard speakers, without and with a running baseline, and of unheard corpora
    with one. Without one, no temperature fits an unheard corpus as well: it would make all others
    far too cautious, and the model card says so.
    """
    parts = [answers for seed in (*speakers, *corpora) for answers in seed.values()]
    alone = [answers for seed in speakers for answers in seed.values()]
    logits = [one.running[0] for one in parts] + [one.alone for one in alone]
    truth = [one.truth for one in (*parts, *alone)]
    temperature, threshold = calibration(np.concatenate(logits), np.concatenate(truth))
    return {"temperature": temperature, "threshold": threshold}


def by_group(
    seeds: Sequence[Seed],
    utterances: Sequence[Utterance],
    ages: Mapping[tuple[str, str], int],
) -> dict[str, dict[str, dict[str, float]]]:
    """Return the UAR by corpus, language, sex and age, the mean over seeds.

    A group's recall is averaged over the emotions that it has; nEMO has no disgust, EmoDB no
    surprise.
    """
    by_file = {str(one.file): one for one in utterances}
    first = pool(seeds[0])
    who = [by_file[str(file)] for file in first.files]
    names = {
        "corpus": [one.corpus for one in who],
        "language": [one.language for one in who],
        "sex": [one.sex for one in who],
        "age": [_age(ages.get((one.corpus, one.speaker))) for one in who],
    }
    table: dict[str, dict[str, dict[str, float]]] = {}
    for kind, values in names.items():
        table[kind] = {}
        for value in sorted(set(values) - {""}):
            files = {str(one.file) for one, name in zip(who, values, strict=True) if name == value}
            table[kind][value] = _group(seeds, files) | {
                "speakers": len({(by_file[f].corpus, by_file[f].speaker) for f in files})
            }
    return table


def _group(seeds: Sequence[Seed], files: set[str]) -> dict[str, float]:
    figures = []
    for seed in seeds:
        answers = pool(seed)
        figures.append(uars(answers, np.flatnonzero([str(f) in files for f in answers.files])))
    means = {kind: round(float(np.mean([one[kind] for one in figures])), 4) for kind in figures[0]}
    return {"n_test": len(files), **means}


def _age(years: int | None) -> str:
    if years is None:
        return ""
    return "20 to 29" if years < 30 else "30 to 39" if years < 40 else "60 and more"
