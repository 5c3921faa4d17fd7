"""Findings: each figure with its threshold, whether it is kept, and the worst recordings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..corpora import Utterance
from ..evaluation.calibration import expected_calibration_error
from ..evaluation.metrics import uar
from ..evaluation.results import Results
from .measures import (
    MEASURES,
    Answers,
    Mask,
    certain_wrong,
    precision,
    rank_correlation,
    recall,
    shares,
    true_shares,
)
from .suite import Limit, Test, at_least, at_most

OUTCOMES = ("passed", "failed", "told", "not measured")
"""Of a finding; one without a threshold is told, but not judged."""
N_WORST = 5  # recordings named for each finding
FEW = 8  # recordings of a kind below which nothing is said of it

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A recording that went wrong: what it was meant as, and its answers before and after."""

    file: str
    truth: str
    before: str
    before_score: float
    after: str
    after_score: float


@dataclass(frozen=True)
class Finding:
    """One figure of one test on one corpus.

    `value` is None where it could not be measured, and `note` says why; `passed` is None then, and
    where there is no threshold. `n` is the number of recordings it was measured on.
    """

    corpus: str
    group: str
    test: str
    limit: Limit
    value: float | None
    n: int
    note: str = ""
    worst: tuple[Case, ...] = ()

    @property
    def passed(self) -> bool | None:
        """Whether the threshold is kept."""
        return None if self.value is None else self.limit.kept(self.value)

    @property
    def outcome(self) -> str:
        """What became of it, one of `OUTCOMES`."""
        if self.value is None:
            return "not measured"
        return {True: "passed", False: "failed", None: "told"}[self.passed]


@dataclass(frozen=True)
class Heard:
    """The recordings of one corpus, and a model's answers to them as they are.

    `pitches` holds the median pitch of each recording in Hz, 0 where there is none.
    """

    corpus: str
    labels: tuple[str, ...]
    utterances: tuple[Utterance, ...]
    answers: Answers
    pitches: tuple[float, ...] = field(default=(), repr=False)

    def results(self) -> Results | None:
        """Return the answers as `evaluation` has them, refusals left out; None where all are."""
        given = np.flatnonzero(self.answers.answered)
        if not given.size:
            return None
        scores = self.answers.scores[given]
        chosen = [self.utterances[index] for index in given]
        return Results(
            self.labels,
            self.answers.truth[given],
            (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32),
            tuple(str(one.file) for one in chosen),
            tuple(one.speaker for one in chosen),
            tuple(one.corpus for one in chosen),
            self.answers.certain[given],
        )

    def name(self, index: int) -> str:
        """Return the label of an index of `Answers.index`."""
        return self.labels[index] if index < len(self.labels) else "refused"


def of_change(heard: Heard, test: Test, changed: Answers) -> Iterator[Finding]:
    """Yield a finding for each limit of a test that changes recordings."""
    clean = heard.answers
    n = int(clean.answered.sum())
    worst = _most_changed(heard, changed)
    for limit in test.limits:
        value = MEASURES[limit.measure](clean, changed) if n else None
        note = "" if n else "the model refuses every recording"
        yield Finding(heard.corpus, test.group, test.name, limit, value, n, note, worst)


def not_measured(corpus: str, test: Test, why: str) -> Iterator[Finding]:
    """Yield the findings of a test that cannot be made here."""
    for limit in test.limits:
        yield Finding(corpus, test.group, test.name, limit, None, 0, why)


def correctness(heard: Heard) -> Iterator[Finding]:
    """Yield how often a model is right on a corpus."""
    answers = heard.answers
    right, sure = recall(answers), precision(answers)
    wrong = mistakes(heard, ~answers.right)
    figures = {"uar": float(uar(answers.confusion)), "mean_precision": _mean(sure[right >= 0])}
    for measure, value in figures.items():
        yield measured(heard, "all emotions", at_least(measure, 0.5), value, wrong)
    among = float(uar(answers.among(right >= 0).confusion))
    yield measured(heard, "the corpus's emotions alone", at_least("uar", 0.5), among)
    for index in np.flatnonzero(right >= 0):
        meant, answered = answers.truth == index, answers.index == index
        missed, taken = (mistakes(heard, one & ~answers.right) for one in (meant, answered))
        off = abs(shares(answers)[index] - true_shares(answers)[index])
        n, n_answered, label = int(meant.sum()), int(answered.sum()), heard.labels[index]
        yield measured(heard, label, at_least("recall", 0.5), right[index], missed, n=n)
        yield measured(
            heard, label, at_least("precision", 0.5), sure[index], taken, "never answered",
            n=n_answered,
        )  # fmt: skip
        yield measured(heard, label, at_most("share_error", 0.15), off, taken)
    yield from _by_speaker(heard)


def certainty(heard: Heard) -> Iterator[Finding]:
    """Yield whether the scores of a model can be believed; no threshold is published for these."""
    results = heard.results()
    error = expected_calibration_error(results) if results else np.nan
    wrong = heard.answers.certain & ~heard.answers.right
    worst = mistakes(heard, wrong)
    figures = (
        ("calibration_error", float(error)),
        ("certain_wrong", certain_wrong(heard.answers)),
        ("certain", float(heard.answers.certain.mean())),
        ("refused", float(1 - heard.answers.answered.mean())),
    )
    for name, value in figures:
        cases = worst if name in ("calibration_error", "certain_wrong") else ()
        yield measured(heard, "scores", Limit(name), value, cases, group="certainty")


def _by_speaker(heard: Heard) -> Iterator[Finding]:
    """Yield how well the shares of each speaker's answers fit, and the speakers' ranks by them."""
    parts = [
        heard.answers.take(chosen)
        for chosen in masks([one.speaker for one in heard.utterances]).values()
    ]
    kept = [part for part in parts if part.confusion.sum(axis=1).max() and _has_enough(part)]
    limits = (at_most("share_error", 0.1), at_least("rank_correlation", 0.7))
    if len(kept) < 2:
        few = f"no two speakers with {FEW} recordings of each emotion"
        for limit in limits:
            yield measured(heard, "each emotion, by speaker", limit, np.nan, note=few)
        return
    alike = "all speakers show it equally often"
    for index in np.flatnonzero(recall(heard.answers) >= 0):
        told = np.array([shares(part)[index] for part in kept])
        true = np.array([true_shares(part)[index] for part in kept])
        figures = (float(np.abs(told - true).mean()), rank_correlation(told, true))
        for limit, value in zip(limits, figures, strict=True):
            yield measured(heard, f"{heard.labels[index]}, by speaker", limit, value, note=alike)


def _has_enough(part: Answers) -> bool:
    counts = part.confusion.sum(axis=1)
    return bool(counts[counts > 0].min() >= FEW)


def masks(names: Sequence[str]) -> dict[str, Mask]:
    """Return where each known name occurs."""
    return {name: np.array([one == name for one in names]) for name in sorted(set(names)) if name}


def measured(
    heard: Heard,
    test: str,
    limit: Limit,
    value: float,
    worst: tuple[Case, ...] = (),
    note: str = "",
    group: str = "correctness",
    n: int | None = None,
) -> Finding:
    """Return a finding about recordings as they are; NaN is what could not be measured."""
    n = len(heard.utterances) if n is None else n
    if np.isnan(value):
        return Finding(heard.corpus, group, test, limit, None, n, note)
    return Finding(heard.corpus, group, test, limit, float(value), n, worst=worst)


def mistakes(heard: Heard, wrong: Mask) -> tuple[Case, ...]:
    """Return the wrong answers with the highest scores."""
    best = heard.answers.scores.max(axis=1)
    order = sorted(np.flatnonzero(wrong).tolist(), key=lambda index: -best[index])
    return tuple(_case(heard, index, heard.answers) for index in order[:N_WORST])


def _most_changed(heard: Heard, changed: Answers) -> tuple[Case, ...]:
    """Return the recordings whose label changed, those first whose old label lost most."""
    clean = heard.answers
    rows = np.arange(len(clean.truth))
    before = clean.scores.argmax(axis=1)
    fall = clean.scores[rows, before] - changed.scores[rows, before]
    moved = np.flatnonzero(clean.answered & (clean.index != changed.index))
    order = sorted(moved.tolist(), key=lambda index: -fall[index])
    return tuple(_case(heard, index, changed) for index in order[:N_WORST])


def _case(heard: Heard, index: int, changed: Answers) -> Case:
    clean = heard.answers
    return Case(
        str(heard.utterances[index].file),
        heard.labels[clean.truth[index]],
        heard.name(int(clean.index[index])),
        float(clean.scores[index].max()),
        heard.name(int(changed.index[index])),
        float(changed.scores[index].max()),
    )


def _mean(values: Floats) -> float:
    """Return the mean, where a label never answered counts as 0."""
    return float(np.nan_to_num(values).mean())
