"""A head's answers to voices that it has not heard, in the orders that a baseline may meet.

They are made from a fold's cached statistics: what a recogniser would answer, but for the rounding
of the exported file, in a hundredth of the time. tests/test_benchmarks.py compares the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emovox.evaluation.calibration import fit_temperature
from emovox.evaluation.results import Results
from emovox.files import written_whole
from emovox.splits import Fold
from emovox.training.network import SpeakerHead
from emovox.training.speech.fit import Clips, running_logits

N_ORDERS = 3  # random orders of each speaker's recordings
N_FOREIGN = 20  # recordings of another speaker, in a foreign baseline
N_ASKED = 12  # recordings of a speaker that are answered with a foreign baseline
COVERAGE = 0.8  # share of recordings to be answered with certainty
Logits = NDArray[np.float32]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """Logits of a fold's n test recordings; other orders name the recording of each answer."""

    labels: NDArray[np.str_]
    files: NDArray[np.str_]
    truth: Rows  # (n,)
    alone: Logits  # (n, n_labels), without a baseline
    running: Logits  # (N_ORDERS, n, n_labels), with a running one
    heard: NDArray[np.float32]  # (N_ORDERS, n), seconds heard before
    one_sided_rows: Rows  # (m,)
    one_sided: Logits  # (m, n_labels)
    foreign_rows: Rows  # (k,)
    foreign: Logits  # (k, n_labels)

    def save(self, path: Path, key: str) -> None:
        """Write the answers, whole or not at all, with the key of what made them."""
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        with written_whole(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, key=np.array(key), **arrays)

    @classmethod
    def load(cls, path: Path, key: str) -> "Answers | None":
        """Read what `save` wrote with this key, or return None."""
        if not path.exists():
            return None
        with np.load(path) as stored:
            if str(stored["key"]) != key:
                return None
            return cls(**{field.name: stored[field.name] for field in fields(cls)})


def answers_of(
    head: SpeakerHead, clips: Clips, fold: Fold, labels: Sequence[str], seed: int
) -> Answers:
    """Answer a fold's test part in every order; `clips` are those of the test part."""
    rng = np.random.default_rng(seed)
    n = len(clips.targets)
    speakers = [np.flatnonzero(clips.speakers == one) for one in np.unique(clips.speakers)]
    orders = [[rng.permutation(rows) for rows in speakers] for _ in range(N_ORDERS)]
    one_sided = one_sided_streams(clips, speakers, rng)
    foreign = foreign_streams(clips, speakers, rng)
    last = [logits[-1:] for logits in running_logits(head, clips, foreign)]
    return Answers(
        labels=np.array(labels),
        files=np.array([str(one.file) for one in fold.test]),
        truth=clips.targets,
        alone=np.concatenate(running_logits(head, clips, [np.array([row]) for row in range(n)])),
        running=np.stack(
            [_in_place(running_logits(head, clips, order), order) for order in orders]
        ),
        heard=np.stack([_in_place(_seconds_before(clips, order), order) for order in orders]),
        one_sided_rows=np.concatenate(one_sided),
        one_sided=np.concatenate(running_logits(head, clips, one_sided)),
        foreign_rows=np.array([stream[-1] for stream in foreign], np.int64),
        foreign=np.concatenate(last) if last else np.zeros((0, len(labels)), np.float32),
    )


def one_sided_streams(
    clips: Clips, speakers: Sequence[Rows], rng: np.random.Generator
) -> list[Rows]:
    """Make a stream of each speaker and emotion, which four in five recordings have.

    All of the speaker's recordings of the emotion, and a quarter as many others, in random order.
    """
    streams = []
    for rows in speakers:
        emotions = clips.targets[rows]
        for emotion in np.unique(emotions):
            same, others = rows[emotions == emotion], rows[emotions != emotion]
            n_others = min(len(others), max(1, round(len(same) / 4)))
            drawn = rng.choice(others, n_others, replace=False)
            streams.append(rng.permutation(np.concatenate([same, drawn])))
    return streams


def foreign_streams(clips: Clips, speakers: Sequence[Rows], rng: np.random.Generator) -> list[Rows]:
    """Make streams of another speaker of the corpus, with one recording of one's own at the end."""
    streams = []
    for rows in speakers:
        corpus = clips.corpora[rows[0]]
        others = [one for one in speakers if one is not rows and clips.corpora[one[0]] == corpus]
        if not others:
            continue
        other = others[rng.integers(len(others))]
        for row in rng.choice(rows, min(N_ASKED, len(rows)), replace=False):
            before = rng.choice(other, min(N_FOREIGN, len(other)), replace=False)
            streams.append(np.append(before, row))
    return streams


def _seconds_before(clips: Clips, streams: Sequence[Rows]) -> list[NDArray[np.float32]]:
    return [np.cumsum(clips.seconds[stream]) - clips.seconds[stream] for stream in streams]


def _in_place(
    values: Sequence[NDArray[np.float32]], streams: Sequence[Rows]
) -> NDArray[np.float32]:
    """Put what belongs to the recordings of streams in the order of the recordings."""
    return np.concatenate(values)[np.argsort(np.concatenate(streams))]


def recall(truth: Rows, logits: Logits) -> float:
    """Return the recall averaged over the emotions that occur."""
    right = logits.argmax(-1) == truth
    return float(np.mean([right[truth == emotion].mean() for emotion in np.unique(truth)]))


def probabilities(logits: Logits, temperature: float) -> NDArray[np.float64]:
    """Return the softmax of cooled logits."""
    cooled = logits.astype(np.float64) / temperature
    powers = np.exp(cooled - cooled.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def results(answers: Answers, logits: Logits, temperature: float) -> Results:
    """Return answers in the form that `emovox.evaluation.metrics` takes."""
    n = len(answers.truth)
    return Results(
        labels=tuple(map(str, answers.labels)),
        truth=answers.truth,
        probabilities=probabilities(logits, temperature).astype(np.float32),
        files=tuple(map(str, answers.files)),
        speakers=("",) * n,
        corpora=("",) * n,
        certain=np.ones(n, np.bool_),
    )


def calibration(logits: Logits, truth: Rows) -> tuple[float, float]:
    """Return the temperature that fits logits, and the threshold that leaves 80 % certain."""
    temperature = fit_temperature(logits, truth)
    scores = probabilities(logits, temperature).max(1)
    return round(temperature, 2), round(float(np.quantile(scores, 1.0 - COVERAGE)), 3)
