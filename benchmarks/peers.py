"""Other ways to recognise emotion, on the same splits as benchmarks/accuracy.py.

Run with ``python benchmarks/peers.py --encoder WEIGHTS``: eGeMAPS and a support vector machine
(openSMILE), statistics of MFCC and logistic regression, and the last layer of whisper-tiny's frozen
encoder and logistic regression. Features are cached; finished folds are not done again. Each is
trained on the recordings that our models of the task are trained on; its regularisation is chosen
on the validation part of the task's first fold. Beside the figure as it is stands one with every
speaker's mean taken away, the tested speakers' as well: it is the mean of all that a speaker says,
while our running baseline starts from nothing. Writes benchmarks/results/peers.json.
"""

import argparse
import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from emovox.audio import RATE
from emovox.corpora import Utterance
from emovox.evaluation.run import versions
from emovox.files import write_text
from emovox.loudness import without_edges
from emovox.splits import Fold
from emovox.training.cache import ArrayCache, default_cache_folder
from emovox.training.extraction import Extractor, acoustic_frames, extract
from emovox.training.settings import AcousticConfig
from emovox.training.speech.encoder import LogMel, SpeechConfig, load_encoder
from machine import machine, write_result
from tasks import SIX, TASKS, Recordings, all_utterances, load_recordings

WINDOW_S = 15.0
Table = Mapping[Path, np.ndarray]


def egemaps() -> Extractor:
    """Return openSMILE's 88 functionals of eGeMAPSv02."""
    import opensmile

    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02,
        feature_level=opensmile.FeatureLevel.Functionals,
    )

    def compute(clip: np.ndarray, _: Utterance) -> np.ndarray:
        return smile.process_signal(clip, RATE).to_numpy(np.float32)[0]

    return Extractor(compute, f"eGeMAPSv02 functionals, opensmile {version('opensmile')}")


def mfcc() -> Extractor:
    """Return mean and deviation over time of 40 MFCC."""
    acoustic = acoustic_frames(AcousticConfig(), WINDOW_S)

    def compute(clip: np.ndarray, utterance: Utterance) -> np.ndarray:
        frames = acoustic.compute(clip, utterance)[:, : AcousticConfig().n_mfcc]
        return np.concatenate([frames.mean(0), frames.std(0)])

    return Extractor(compute, f"statistics of MFCC, {AcousticConfig()}, {WINDOW_S}")


def whisper(weights: Path, logmel: LogMel | None = None) -> Extractor:
    """Return the mean over time of the encoder's output: its fourth layer, normed.

    Its frames are those of `logmel`; without one, of speech alone, as our own model's.
    """
    module = load_encoder(weights, SpeechConfig(n_layers=4, max_seconds=WINDOW_S))
    module.logmel = logmel or module.logmel
    tensors = load_file(weights)
    norm = [
        next(value for key, value in tensors.items() if key.endswith(f"encoder.layer_norm.{part}"))
        for part in ("weight", "bias")
    ]
    weight, bias = (part.float() for part in norm)
    found: list[torch.Tensor] = []
    module.layers[3].register_forward_hook(lambda *call: found.append(call[2]))
    alone = threading.Lock()  # what the layer gave must be this clip's

    def compute(clip: np.ndarray, _: Utterance) -> np.ndarray:
        sound = torch.from_numpy(without_edges(clip)[: int(WINDOW_S * RATE)].copy())
        with alone, torch.inference_mode():
            found.clear()
            module(sound[None], torch.tensor([len(sound)]))
            return F.layer_norm(found[0][0], weight.shape, weight, bias).mean(0).numpy()

    return Extractor(
        compute, f"whisper-tiny, normed output of the encoder, mean over time, {WINDOW_S}"
    )


def support_vectors(strength: float) -> SVC:
    """Make a support vector machine with radial basis functions."""
    return SVC(C=strength, class_weight="balanced", cache_size=800)


def regression(strength: float) -> LogisticRegression:
    """Make a softmax regression."""
    return LogisticRegression(C=strength, class_weight="balanced", max_iter=500, tol=1e-3)


CLASSIFIERS: dict[str, tuple[Callable[[float], SVC | LogisticRegression], tuple[float, ...]]] = {
    "egemaps": (support_vectors, (1.0, 10.0)),
    "mfcc": (regression, (0.01, 1.0)),
    "whisper": (regression, (0.001, 0.03)),
}


def features_of(
    utterances: Sequence[Utterance], extractor: Extractor, name: str
) -> dict[Path, np.ndarray]:
    """Compute features, or take them from the cache."""
    torch.set_num_threads(1)
    cache = ArrayCache(default_cache_folder() / "features")

    def tell(done: int, total: int) -> None:
        if done % 500 == 0 or done == total:
            print(f"{name}: features of {done} of {total}", flush=True)

    found = extract(utterances, extractor, cache, on_progress=tell)
    return {one.file: row for one, row in zip(found.utterances, found.features, strict=True)}


def centred(table: Table, utterances: Sequence[Utterance]) -> dict[Path, np.ndarray]:
    """Take every speaker's mean over all their recordings away."""
    speakers: dict[tuple[str, str], list[Path]] = {}
    for one in utterances:
        if one.file in table:
            speakers.setdefault((one.corpus, one.speaker), []).append(one.file)
    means = {who: np.mean([table[file] for file in files], 0) for who, files in speakers.items()}
    return {file: table[file] - means[who] for who, files in speakers.items() for file in files}


def fitted(name: str, strength: float, table: Table, clips: Sequence[Utterance]) -> Any:
    """Train a classifier on standardised features."""
    make, _ = CLASSIFIERS[name]
    model = make_pipeline(StandardScaler(), make(strength))
    return model.fit([table[one.file] for one in clips], [one.emotion for one in clips])


def answers(model: Any, table: Table, clips: Sequence[Utterance]) -> list[str]:
    """Answer recordings."""
    return list(model.predict([table[one.file] for one in clips]))


def best_strength(name: str, table: Table, fold: Fold) -> float:
    """Choose the strength of the regularisation on the validation part of a task's first fold."""

    def on_validation(strength: float) -> float:
        model = fitted(name, strength, table, fold.train)
        return uar(fold.val, answers(model, table, fold.val))

    _, strengths = CLASSIFIERS[name]
    return max(strengths, key=on_validation)


def uar(clips: Sequence[Utterance], answers: Sequence[str]) -> float:
    """Return the recall averaged over the emotions of the clips."""
    truth = [one.emotion for one in clips]
    return float(recall_score(truth, answers, labels=sorted(set(truth)), average="macro"))


def answers_of(name: str, table: Table, folds: Sequence[Fold], file: Path) -> dict[str, list[str]]:
    """Return the answers to each fold's test part, or read them."""
    done = json.loads(file.read_text()) if file.exists() else {}
    if {fold.name for fold in folds} <= done.keys():
        return done
    strength = best_strength(name, table, folds[0])
    for fold in folds:
        if fold.name not in done:
            model = fitted(name, strength, table, (*fold.train, *fold.val))
            done[fold.name] = answers(model, table, fold.test)
            write_text(file, json.dumps(done))
    return done


def task_uar(folds: Sequence[Fold], given: Mapping[str, list[str]], *, pooled: bool) -> float:
    """Return the UAR, the mean over the folds or of all test parts together."""
    if not pooled:
        return float(np.mean([uar(fold.test, given[fold.name]) for fold in folds]))
    clips = [one for fold in folds for one in fold.test]
    return uar(clips, [answer for fold in folds for answer in given[fold.name]])


def run(
    name: str, extractor: Extractor, recordings: Recordings, out: Path
) -> dict[str, dict[str, float]]:
    """Run the tasks for one peer; return a row a test."""
    everything = all_utterances(recordings)
    published = recordings.published_emotion()
    raw = features_of(everything, extractor, name)
    rows: dict[str, dict[str, float]] = {}
    for kind, table in (("uar", raw), ("centred_uar", centred(raw, everything))):
        for task in ("tess", "ravdess", "emodb", "corpora"):
            folds = recordings.folds(TASKS[task], seed=0)
            if task == "corpora":
                folds = [fold for fold in folds if fold.name in ("emodb", "tess")]
            given = answers_of(name, table, folds, out / f"{name}-{task}-{kind}.json")
            if task != "corpora":
                found = {task: task_uar(folds, given, pooled=task == "emodb")}
            else:
                found = {"unheard-tess": uar(folds[1].test, given["tess"])}
                six = [i for i, one in enumerate(folds[0].test) if published[one.file] in SIX]
                clips = [folds[0].test[index] for index in six]
                found["unheard-emodb-six"] = uar(clips, [given["emodb"][index] for index in six])
            for test, figure in found.items():
                rows.setdefault(test, {})[kind] = round(figure, 4)
                print(name, test, kind, rows[test][kind], flush=True)
    return rows


def main() -> None:
    """Run every peer and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/peers"))
    parser.add_argument("--encoder", type=Path, help="weights of openai/whisper-tiny")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    ways: dict[str, Callable[[], Extractor]] = {"mfcc": mfcc}
    if options.encoder:
        ways["whisper"] = lambda: whisper(options.encoder)
    ways["egemaps"] = egemaps  # the slowest
    recordings = load_recordings()
    libraries = {name: version(name) for name in ("scikit-learn", "opensmile")}
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for name, way in ways.items():
        rows[name] = run(name, way(), recordings, options.runs)
        result = {"command": "python benchmarks/peers.py --encoder WEIGHTS", "rows": rows}
        write_result("peers", {**result, "versions": versions() | libraries, "machine": machine()})


if __name__ == "__main__":
    main()
