"""Other ways to recognise emotion, on the same splits as benchmarks/accuracy.py.

Run with ``python benchmarks/peers.py --encoder WEIGHTS``: eGeMAPS and a support vector machine
(openSMILE), statistics of MFCC and logistic regression, and the last layer of whisper-tiny's frozen
encoder and logistic regression. Features are cached; finished folds are not done again. Each is
trained on the recordings that our models of the task are trained on. Beside the figure as it is
stands one with every speaker's mean taken away, the tested speakers' as well: it is the mean of all
that a speaker says, while our running baseline starts from nothing. Writes
benchmarks/results/peers.json.
"""

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from emovox.audio import RATE, without_silence
from emovox.cache import ArrayCache, default_cache_folder
from emovox.corpora import Utterance
from emovox.encoder import SpeechConfig, load_encoder
from emovox.extraction import Features, acoustic_frames, extract
from emovox.features import AcousticConfig
from emovox.files import write_text
from emovox.provenance import versions
from emovox.splits import Fold
from machine import machine, write_result
from tasks import SIX, TASKS, Recordings, all_utterances, load_recordings

WINDOW_S = 15.0
Table = Mapping[Path, np.ndarray]


def egemaps() -> tuple[Features, str]:
    """Return openSMILE's 88 functionals of eGeMAPSv02."""
    import opensmile

    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02,
        feature_level=opensmile.FeatureLevel.Functionals,
    )

    def compute(clip: np.ndarray) -> np.ndarray:
        return smile.process_signal(clip, RATE).to_numpy(np.float32)[0]

    return compute, f"eGeMAPSv02 functionals, opensmile {version('opensmile')}"


def mfcc() -> tuple[Features, str]:
    """Return mean and deviation over time of 40 MFCC."""
    frames_of, settings = acoustic_frames(AcousticConfig(), WINDOW_S)

    def compute(clip: np.ndarray) -> np.ndarray:
        frames = frames_of(clip)[:, : AcousticConfig().n_mfcc]
        return np.concatenate([frames.mean(0), frames.std(0)])

    return compute, f"statistics of MFCC, {settings}"


def whisper(weights: Path) -> tuple[Features, str]:
    """Return the mean over time of the encoder's output: its fourth layer, normed."""
    module = load_encoder(weights, SpeechConfig(n_layers=4, max_seconds=WINDOW_S))
    tensors = load_file(weights)
    norm = [
        next(value for key, value in tensors.items() if key.endswith(f"encoder.layer_norm.{part}"))
        for part in ("weight", "bias")
    ]
    weight, bias = (part.float() for part in norm)

    def compute(clip: np.ndarray) -> np.ndarray:
        found: list[torch.Tensor] = []
        hook = module.layers[3].register_forward_hook(lambda *call: found.append(call[2]))
        sound = torch.from_numpy(without_silence(clip)[: int(WINDOW_S * RATE)].copy())
        with torch.inference_mode():
            module(sound[None], torch.tensor([len(sound)]))
        hook.remove()
        return F.layer_norm(found[0][0], weight.shape, weight, bias).mean(0).numpy()

    return compute, f"whisper-tiny, output of the encoder, {WINDOW_S}"


def support_vectors(strength: float) -> SVC:
    """Make a support vector machine with radial basis functions."""
    return SVC(C=strength, class_weight="balanced")


def regression(strength: float) -> LogisticRegression:
    """Make a softmax regression."""
    return LogisticRegression(C=strength, class_weight="balanced", max_iter=500)


CLASSIFIERS: dict[str, tuple[Callable[[float], SVC | LogisticRegression], tuple[float, ...]]] = {
    "egemaps": (support_vectors, (1.0, 10.0)),
    "mfcc": (regression, (0.01, 1.0)),
    "whisper": (regression, (0.001, 0.03)),
}


def features_of(
    utterances: Sequence[Utterance], way: tuple[Features, str], name: str
) -> dict[Path, np.ndarray]:
    """Compute features, or take them from the cache."""
    compute, settings = way
    torch.set_num_threads(1)
    cache = ArrayCache(default_cache_folder() / "features")

    def tell(done: int, total: int) -> None:
        if done % 500 == 0 or done == total:
            print(f"{name}: features of {done} of {total}", flush=True)

    found = extract(utterances, compute, settings, cache, on_progress=tell)
    return {one.file: row for one, row in zip(found.utterances, found.features, strict=True)}


def centred(table: Table, utterances: Sequence[Utterance]) -> dict[Path, np.ndarray]:
    """Take every speaker's mean over all their recordings away."""
    speakers: dict[tuple[str, str], list[Path]] = {}
    for one in utterances:
        if one.file in table:
            speakers.setdefault((one.corpus, one.speaker), []).append(one.file)
    means = {who: np.mean([table[file] for file in files], 0) for who, files in speakers.items()}
    return {file: table[file] - means[who] for who, files in speakers.items() for file in files}


def answer(name: str, table: Table, fold: Fold) -> list[str]:
    """Train on a fold and answer its test part.

    The strength of the regularisation is chosen on the validation part, which is then trained on.
    """
    make, strengths = CLASSIFIERS[name]

    def fitted(strength: float, clips: Sequence[Utterance]) -> object:
        model = make_pipeline(StandardScaler(), make(strength))
        return model.fit([table[one.file] for one in clips], [one.emotion for one in clips])

    def answers(model: object, clips: Sequence[Utterance]) -> list[str]:
        return list(model.predict([table[one.file] for one in clips]))

    def on_validation(strength: float) -> float:
        return uar(fold.val, answers(fitted(strength, fold.train), fold.val))

    best = max(strengths, key=on_validation)
    return answers(fitted(best, (*fold.train, *fold.val)), fold.test)


def uar(clips: Sequence[Utterance], answers: Sequence[str]) -> float:
    """Return the recall averaged over the emotions of the clips."""
    truth = [one.emotion for one in clips]
    return float(recall_score(truth, answers, labels=sorted(set(truth)), average="macro"))


def answers_of(
    name: str, tables: Mapping[str, Table], fold: Fold, file: Path
) -> dict[str, list[str]]:
    """Return the answers to a fold's test part, as it is and centred, or read them."""
    if not file.exists():
        given = {kind: answer(name, table, fold) for kind, table in tables.items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(given))
    return json.loads(file.read_text())


def row_of(
    folds: Sequence[Fold], answers: Sequence[Mapping[str, list[str]]], *, pooled: bool
) -> dict[str, float]:
    """Return the UAR, the mean over the folds or of all test parts together."""
    row = {}
    for kind in answers[0]:
        uars = [uar(fold.test, given[kind]) for fold, given in zip(folds, answers, strict=True)]
        clips = [one for fold in folds for one in fold.test]
        everything = uar(clips, [one for given in answers for one in given[kind]])
        row[kind] = round(everything if pooled else float(np.mean(uars)), 4)
    return row


def common_emotions(
    fold: Fold, given: Mapping[str, list[str]], published: Mapping[Path, str]
) -> dict[str, float]:
    """Score the recordings that were published with one of the six emotions."""
    chosen = [index for index, one in enumerate(fold.test) if published[one.file] in SIX]
    clips = [fold.test[index] for index in chosen]
    return {
        kind: round(uar(clips, [answers[index] for index in chosen]), 4)
        for kind, answers in given.items()
    }


def run(
    name: str, way: tuple[Features, str], recordings: Recordings, out: Path
) -> dict[str, dict[str, float]]:
    """Run the tasks for one peer; return a row a test."""
    everything = all_utterances(recordings)
    raw = features_of(everything, way, name)
    tables = {"uar": raw, "centred_uar": centred(raw, everything)}
    rows = {}
    for task in ("tess", "ravdess", "emodb", "corpora"):
        folds = recordings.folds(TASKS[task], seed=0)
        if task == "corpora":
            folds = [fold for fold in folds if fold.name in ("emodb", "tess")]
        files = [out / name / task / f"{fold.name}.json" for fold in folds]
        given = [answers_of(name, tables, *pair) for pair in zip(folds, files, strict=True)]
        if task == "corpora":
            for fold, answers in zip(folds, given, strict=True):
                rows[f"unheard-{fold.name}"] = (
                    common_emotions(fold, answers, recordings.published_emotion())
                    if fold.name == "emodb"
                    else row_of([fold], [answers], pooled=True)
                )
        else:
            rows[task] = row_of(folds, given, pooled=task == "emodb")
        print(name, rows, flush=True)
    return rows


def main() -> None:
    """Run every peer and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/peers"))
    parser.add_argument("--encoder", type=Path, help="weights of openai/whisper-tiny")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    ways = {"mfcc": mfcc, "egemaps": egemaps}
    if options.encoder:
        ways["whisper"] = lambda: whisper(options.encoder)
    recordings = load_recordings()
    result: dict[str, object] = {"command": "python benchmarks/peers.py --encoder WEIGHTS"}
    result["rows"] = {
        name: run(name, way(), recordings, options.runs) for name, way in ways.items()
    }
    libraries = {name: version(name) for name in ("scikit-learn", "opensmile")}
    write_result("peers", {**result, "versions": versions() | libraries, "machine": machine()})


if __name__ == "__main__":
    main()
