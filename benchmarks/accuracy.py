"""Every figure of accuracy: our models on voices they have never heard, and with a baseline.

Run with ``python benchmarks/accuracy.py --encoder WEIGHTS --noise FOLDER``, where WEIGHTS are what
`python -m emovox.training.speech.adapt` made of whisper-base's, and FOLDER holds recordings of
places; without WEIGHTS the shipped model's own encoder is used. Every task of tasks.py trains the
recipe of configs/speech.toml anew on all four corpora but the tested voices. The head trains for a
fixed number of epochs and chooses nothing, so that the fold's validation part is trained on, too;
nothing in its fit is drawn, and a seed draws the orders in which baselines meet a speaker's
recordings, three each, and the six groups of speakers. It is tested on cached statistics
(unheard.py). The task `acoustic` trains whole acoustic models and tests their files.

Finished folds are kept in ``--runs`` and not done again while recipe and code are the same. The
first run computes the features. Writes benchmarks/results/accuracy.json. The corpora are looked for
in EMOVOX_DATA; ``--task`` and ``--seeds`` make it shorter, and keep the other rows of the file.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emovox.corpora import load_corpora
from emovox.evaluation.answers import evaluate_running, read_results, write_results
from emovox.evaluation.metrics import confusion_matrix, uar
from emovox.evaluation.results import Results
from emovox.evaluation.run import choose, versions
from emovox.recognizer import Recognizer
from emovox.splits import Fold
from emovox.training import network
from emovox.training.cache import ArrayCache, cache_key, default_cache_folder
from emovox.training.extraction import extract
from emovox.training.learner import FeaturesOf, learner_of, make_clips
from emovox.training.run import train
from emovox.training.settings import Settings, read_settings, settings_toml
from emovox.training.speech import fit as streams
from emovox.training.speech.fit import fit_experts, train_head
from emovox.training.speech.sessions import Sessions
from machine import REPOSITORY, machine, write_result
from rows import (
    by_group,
    by_seconds_heard,
    certainty,
    foreign_row,
    one_sided_row,
    shipped_calibration,
    six_row,
    spread,
    task_row,
)
from tasks import TASKS, Recordings, all_utterances, load_recordings
from unheard import Answers, answers_of

SPEECH = REPOSITORY / "configs" / "speech.toml"
HEARD = ("speakers", "corpora")  # tasks with the shipped model's labels: they calibrate it


@dataclass(frozen=True)
class Bench:
    """What the folds share: the recipe, the recordings, their statistics, and where answers are."""

    speech: Mapping[str, str]  # of the settings: the encoder and the folder of noise
    recordings: Recordings
    features: FeaturesOf
    sessions: Sessions  # of the copies
    digest: str  # of the features and the code
    runs: Path

    def settings(self, task: str, seed: int) -> Settings:
        """Return the shipped recipe for a task."""
        changes = {**TASKS[task].settings(), "seed": seed, "speech": self.speech}
        return read_settings(SPEECH, changes)

    def answers(self, task: str, seed: int) -> dict[str, Answers]:
        """Train and test a task's folds, or read what was answered before."""
        settings = self.settings(task, seed)
        found = {}
        for fold in self.recordings.folds(TASKS[task], seed):
            path = self.runs / f"{task}-{seed}" / f"{fold.name}.npz"
            key = cache_key(settings_toml(settings), self.digest)
            answers = Answers.load(path, key)
            if answers is None:
                started = time.perf_counter()
                answers = self.fold_answers(settings, fold, calibrated=task in HEARD)
                answers.save(path, key)
                print(
                    f"{task} {seed} {fold.name}: {time.perf_counter() - started:.1f} s", flush=True
                )
            found[fold.name] = answers
        return found

    def fold_answers(self, settings: Settings, fold: Fold, *, calibrated: bool) -> Answers:
        """Train a head on all but the test part, and answer that.

        Unless it is to be `calibrated`, which takes longer, the labels alone are those of use.
        """
        labels = tuple(sorted({one.emotion for one in fold.train}))
        n_labels, seed = len(labels), settings.seed
        learned = make_clips((*fold.train, *fold.val), self.features, labels, self.sessions)
        if calibrated:
            watched = make_clips(fold.val, self.features, labels)
            head, _ = train_head(learned, watched, n_labels, settings.speech, seed=seed)
        else:
            head = fit_experts(learned, n_labels, settings.speech)
        asked = make_clips(fold.test, self.features, labels)
        return answers_of(head, asked, fold, labels, seed)


def prepare(speech: Mapping[str, str], runs: Path) -> Bench:
    """Load the corpora and the encoder, and compute the statistics that are not in the cache."""
    recordings = load_recordings()
    settings = read_settings(SPEECH, {**TASKS["speakers"].settings(), "speech": speech})
    everything = all_utterances(recordings)
    learner = learner_of(settings, everything)
    extractor = learner.extractor()
    found = extract(
        everything,
        extractor,
        ArrayCache(default_cache_folder() / "features"),
        on_progress=lambda done, total: (
            print(f"features of {done:,} of {total:,}", flush=True) if done % 1000 == 0 else None
        ),
    )
    print("\n".join(problem.text for problem in found.problems))  # such as no speech
    files = (one.file for one in found.utterances)
    features = dict(zip(files, found.features, strict=True))
    code = b"".join(Path(str(module.__file__)).read_bytes() for module in (network, streams))
    digest = cache_key(extractor.depends_on, hashlib.sha256(code).hexdigest())
    recordings = recordings.of(features)
    return Bench(speech, recordings, features, Sessions.of(everything), digest, runs)


def speech_rows(bench: Bench, task: str, n_seeds: int) -> dict[str, Any]:
    """Return the rows that a task gives, by name."""
    seeds = [bench.answers(task, seed) for seed in range(n_seeds)]
    if task == "corpora":
        rows = {
            f"unheard-{name}": task_row([{name: one[name]} for one in seeds]) for name in seeds[0]
        }
        published = bench.recordings.published_emotion()
        return rows | {"unheard-emodb-six": six_row([one["emodb"] for one in seeds], published)}
    rows = {task: task_row(seeds, pooled=task in ("emodb", "speakers"))}
    if task == "ravdess":
        rows["one-sided"] = one_sided_row(seeds)
    if task == "speakers":
        rows["foreign"] = foreign_row(seeds)
    return rows


def unheard_figures(bench: Bench, n_seeds: int) -> dict[str, Any]:
    """Return what is known of the shipped labels on unheard voices, beside the rows."""
    speakers, corpora = ([bench.answers(task, seed) for seed in range(n_seeds)] for task in HEARD)
    settings = bench.settings("speakers", 0)
    return {
        "calibration": shipped_calibration(speakers, corpora),
        "certainty": certainty(speakers, settings.temperature),
        "certainty-corpora": certainty(corpora, settings.temperature),
        "groups": by_group(speakers, all_utterances(bench.recordings), bench.recordings.ages),
        "seconds": by_seconds_heard(speakers),
    }


def acoustic_row(config: Path, runs: Path, n_seeds: int) -> dict[str, Any]:
    """Train acoustic models for the other actress of TESS, and test their files."""
    uars: dict[str, list[dict[str, float]]] = {"uar": [], "running_uar": []}
    for seed in range(n_seeds):
        out = runs / f"acoustic-{seed}"
        settings = read_settings(config, {**TASKS["tess"].settings(), "seed": seed})
        report = out / "report.json"
        if not report.exists():
            train(settings, out, resume=(out / "config.toml").exists())
        folds = json.loads(report.read_text())["folds"]
        alone = {name: read_results(out / name / "predictions.csv") for name in folds}
        running = {name: _running(settings, out / name, name) for name in folds}
        for kind, answers in (("uar", alone), ("running_uar", running)):
            uars[kind].append({name: _uar(one) for name, one in answers.items()})
    row: dict[str, Any] = {"seeds": n_seeds}
    for kind, seeds in uars.items():
        row[kind] = spread([sum(seed.values()) / len(seed) for seed in seeds])
        row.setdefault("folds", {})
        for name in seeds[0]:
            mean = sum(seed[name] for seed in seeds) / len(seeds)
            row["folds"].setdefault(name, {})[kind] = round(mean, 4)
    return row


def _running(settings: Settings, folder: Path, speaker: str) -> Results:
    """Test an acoustic model of TESS with a running baseline, or read what was answered before."""
    table = folder / "predictions_running.csv"
    if not table.exists():
        (corpus,) = load_corpora(settings.corpora[-1:], labelling=settings.labelling)
        utterances, _ = choose(corpus.utterances, settings.labels)
        tested = [one for one in utterances if one.speaker == speaker]
        recognizer = Recognizer.load(folder / "model.onnx")
        write_results(evaluate_running(recognizer, tested, seed=settings.seed), table)
    return read_results(table)


def _uar(answers: Results) -> float:
    return float(uar(confusion_matrix(answers)))


def stored(name: str) -> dict[str, Any]:
    """Return the result that was written before, or an empty one."""
    path = REPOSITORY / "benchmarks" / "results" / f"{name}.json"
    result: Mapping[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return dict(result) if "unheard" in result else {"rows": {}, "unheard": {}}


def main() -> None:
    """Run the tasks and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/accuracy"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--encoder", default="", help="weights of openai/whisper-base, adapted")
    parser.add_argument("--noise", default="", help="folder of recordings of places")
    parser.add_argument("--acoustic", type=Path, default=REPOSITORY / "configs/acoustic.toml")
    parser.add_argument("--task", choices=[*TASKS, "acoustic"], action="append")
    options = parser.parse_args()
    tasks: Sequence[str] = options.task or [*TASKS, "acoustic"]
    speech = {"encoder": options.encoder, "noise": options.noise}
    bench = prepare(speech, options.runs) if set(tasks) - {"acoustic"} else None
    result = stored("accuracy")
    for task in tasks:
        if bench and task != "acoustic":
            rows = speech_rows(bench, task, options.seeds)
        else:
            rows = {"acoustic": acoustic_row(options.acoustic, options.runs, options.seeds)}
        for name, row in rows.items():
            print(name, row["uar"], row.get("running_uar"), flush=True)
        result["rows"] |= rows
        result |= {"versions": versions(), "machine": machine()}
        write_result("accuracy", result)
    if bench and set(HEARD) <= set(tasks):
        result["unheard"] = unheard_figures(bench, options.seeds)
        write_result("accuracy", result)


if __name__ == "__main__":
    main()
