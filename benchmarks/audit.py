"""What changes of a recording do to the shipped model, and to other ways, side by side.

Run with ``python benchmarks/audit.py --encoder WEIGHTS``, where WEIGHTS are those of
openai/whisper-tiny; without them that way is left out, as eGeMAPS is without openSMILE. `emovox
audit`'s tests of robustness are put to 60 recordings each of ASED and TurEV, which nobody was
trained on, with noise of places that are in no training. The other ways are trained on RAVDESS,
EmoDB and every second recording of TESS and nEMO, as published recipes have it: whole recordings,
pauses included. Answers are kept in ``--runs``. Writes benchmarks/results/audit.json.
"""

import argparse
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from emovox.audio import Samples, load_audio
from emovox.audit.findings import Finding
from emovox.audit.run import Request, audit
from emovox.audit.subjects import PREDICT, Answer, OwnModel, Subject
from emovox.corpora import Utterance
from emovox.evaluation.run import choose, renamed, versions
from emovox.recognizer import Recognizer
from emovox.training.extraction import Extractor
from emovox.training.network import frame_mask
from emovox.training.speech.encoder import LogMel
from machine import REPOSITORY, data_folder, machine, write_result
from peers import egemaps, fitted, whisper
from tasks import SEVEN, TO_NEUTRAL, load_recordings

TESTED = ("ased", "turev")
PLACES = ("metro", "misc", "nearlake")  # of noise that nothing was trained with
N_TESTED = 60  # recordings of each corpus
EVERY = {"tess": 2, "nemo": 2}  # of a large corpus' recordings, for training
STRENGTHS = {"egemaps": 1.0, "whisper": 0.03}  # those that benchmarks/peers.py chose on RAVDESS


@dataclass(frozen=True)
class Peer:
    """A classifier on features of whole recordings. It tells labels, and never that it is sure."""

    name: str
    extractor: Extractor
    classifier: Any
    labels: tuple[str, ...]
    doors: tuple[str, ...] = ()
    n_threads: int = 1

    @property
    def fingerprint(self) -> str:
        """Name it: training it again gives the same classifier."""
        return f"{self.name} of {', '.join(self.labels)}"

    def answer(self, clip: Samples, door: str = PREDICT) -> Answer:
        """Recognise mono float32 at 16 kHz."""
        label = self.classifier.predict(self.extractor.compute(clip, NOBODY)[None])[0]
        return Answer(tuple(float(one == label) for one in self.labels))


NOBODY = Utterance(Path(), "", "", "", "", "", "", "")


class EveryFrame(LogMel):
    """The log-mel spectrogram as whisper hears it: what is no speech counts as well."""

    def forward(
        self, audio: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Compute the frames, all of which count."""
        mel, n_frames, _ = super().forward(audio, lengths)
        return mel, n_frames, frame_mask(mel, n_frames)[..., 0]


def train_peer(name: str, extractor: Extractor) -> Peer:
    """Train a classifier on whole recordings of the four corpora."""
    everything = [one for corpus in load_recordings().corpora for one in _some(corpus.utterances)]
    utterances, _ = choose(renamed(everything, TO_NEUTRAL), SEVEN)
    table = {}
    for done, one in enumerate(utterances, 1):
        table[one.file] = extractor.compute(load_audio(one.file), one)
        if done % 500 == 0:
            print(f"{name}: features of {done} of {len(utterances)}", flush=True)
    return Peer(name, extractor, fitted(name, STRENGTHS[name], table, utterances), SEVEN)


def _some(utterances: Sequence[Utterance]) -> Sequence[Utterance]:
    return utterances[:: EVERY.get(utterances[0].corpus, 1)]


def figures(found: Sequence[Finding]) -> dict[str, Any]:
    """Return each test's figures by corpus, and how many thresholds were kept."""
    judged = [one.passed for one in found if one.passed is not None]
    rows: dict[str, Any] = {"kept": sum(judged), "thresholds": len(judged), "tests": {}}
    for one in found:
        of_test = rows["tests"].setdefault(one.test, {}).setdefault(one.corpus, {})
        of_test[one.limit.measure] = None if one.value is None else round(one.value, 4)
    return rows


def run(subject: Subject, out: Path) -> dict[str, Any]:
    """Audit a subject; a run that was interrupted goes on."""
    sources = tuple(f"{name}={data_folder() / name / 'table.csv'}" for name in TESTED)
    request = Request(
        sources, N_TESTED, ("correctness", "robustness", "doors"), data_folder() / "noise", PLACES
    )
    row = figures(audit(subject, request, out).findings)
    print(subject.name, row, flush=True)
    return row


def stored_rows() -> dict[str, Any]:
    """Return the rows that were written before."""
    path = REPOSITORY / "benchmarks" / "results" / "audit.json"
    return dict(json.loads(path.read_text())["rows"]) if path.exists() else {}


def ways(weights: Path | None) -> dict[str, Callable[[], Subject]]:
    """Return the subjects that can be had here; each is made when its turn comes."""
    found: dict[str, Callable[[], Subject]] = {"speech": lambda: OwnModel(Recognizer.load())}
    if weights:
        found["whisper"] = lambda: train_peer("whisper", whisper(weights, EveryFrame()))
    try:
        import opensmile  # noqa: F401 (is it here?)
    except ImportError:
        return found
    return found | {"egemaps": lambda: train_peer("egemaps", egemaps())}


def main() -> None:
    """Audit each, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/audit"))
    parser.add_argument("--encoder", type=Path, help="weights of openai/whisper-tiny")
    parser.add_argument("--only", action="append", help="one of them; keeps the others' rows")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    rows = stored_rows()
    for name, way in ways(options.encoder).items():
        if not options.only or name in options.only:
            rows[name] = run(way(), options.runs / name)
    write_result("audit", {"rows": rows, "versions": versions(), "machine": machine()})


if __name__ == "__main__":
    main()
