"""What the benchmarks of accuracy share: the tasks, their recordings and their folds.

Each task trains on everything of the four corpora but the tested voices.
"""

import csv
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from emovox.corpora import Corpus, Utterance, load_corpora
from emovox.evaluation.run import choose, renamed
from emovox.splits import Fold, make_folds, read_groups
from machine import REPOSITORY, data_folder

CORPORA = ("nemo", "ravdess", "emodb", "tess")
SEVEN = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
SIX = ("angry", "disgust", "fear", "happy", "neutral", "sad")  # EmoDB's, and of these
TO_NEUTRAL = {"calm": "neutral", "boredom": "neutral"}  # as the shipped model learns them


@dataclass(frozen=True)
class Task:
    """Which voices are tested in turn, and which emotions are told apart."""

    protocol: str
    groups: str = ""  # a table in configs/groups
    n_groups: int = 0
    labels: tuple[str, ...] = SEVEN
    merge: Mapping[str, str] = field(default_factory=lambda: TO_NEUTRAL)

    def settings(self) -> dict[str, object]:
        """Return the settings that make a training run this task."""
        groups = str(REPOSITORY / "configs" / "groups" / f"{self.groups}.csv")
        return {
            "corpora": [f"{name}={data_folder() / name}" for name in CORPORA],
            "protocol": self.protocol,
            "groups": groups if self.groups else "",
            "n_groups": self.n_groups,
            "labels": list(self.labels),
            "map": dict(self.merge),
        }


TASKS = {
    "tess": Task("speaker", "tess"),
    "ravdess": Task(
        "speaker", "ravdess-emobox", labels=(*SEVEN, "calm"), merge={"boredom": "neutral"}
    ),
    "emodb": Task(
        "speaker",
        "emodb",
        labels=("angry", "boredom", "disgust", "fear", "happy", "neutral", "sad"),
        merge={"calm": "neutral"},
    ),
    "corpora": Task("corpus"),
    "speakers": Task("speaker", n_groups=6),
}


@dataclass(frozen=True)
class Recordings:
    """The corpora, and what is known of a recording that a task may have changed or left out."""

    corpora: tuple[Corpus, ...]
    ages: Mapping[tuple[str, str], int]  # of speakers whose age is published

    def published_emotion(self) -> dict[Path, str]:
        """Return the emotion of each file as its corpus has it."""
        return {one.file: one.emotion for corpus in self.corpora for one in corpus.utterances}

    def of(self, files: Container[Path]) -> "Recordings":
        """Return the recordings that are among some files."""
        corpora = (
            replace(one, utterances=tuple(u for u in one.utterances if u.file in files))
            for one in self.corpora
        )
        return replace(self, corpora=tuple(corpora))

    def folds(self, task: Task, seed: int) -> list[Fold]:
        """Divide the recordings as a task asks for."""
        everything = [one for corpus in self.corpora for one in corpus.utterances]
        utterances, _ = choose(renamed(everything, task.merge), task.labels)
        groups = read_groups(task.settings()["groups"]) if task.groups else None
        return make_folds(
            utterances, task.protocol, seed=seed, groups=groups, n_groups=task.n_groups or None
        )


def load_recordings() -> Recordings:
    """Load the corpora and the speakers' ages.

    EmoDB's ages are those of its documentation, TESS's of its publication; nEMO's are in its
    table. RAVDESS tells only that its actors are between 21 and 33.
    """
    folder = data_folder()
    corpora = load_corpora([f"{name}={folder / name}" for name in CORPORA])
    emodb = {"03": 31, "08": 34, "09": 21, "10": 32, "11": 26, "12": 30, "13": 32, "14": 35}
    emodb |= {"15": 25, "16": 31}
    ages = {("emodb", speaker): age for speaker, age in emodb.items()}
    ages |= {("tess", "OAF"): 64, ("tess", "YAF"): 26}
    for table in sorted((folder / "nemo").glob("*.tsv")):
        with table.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t")
            ages |= {("nemo", row["speaker_id"].strip()): int(row["age"]) for row in rows}
    return Recordings(tuple(corpora), ages)


def all_utterances(recordings: Recordings) -> list[Utterance]:
    """Return every utterance of the corpora."""
    return [one for corpus in recordings.corpora for one in corpus.utterances]
