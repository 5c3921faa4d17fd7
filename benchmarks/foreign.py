"""The shipped model on corpora that it never met, in languages that it never heard.

Run with ``python benchmarks/foreign.py [MODEL…]``: ASED (Amharic) and TurEV (Turkish words), read
from the tables in EMOVOX_DATA, are recognised from their files, without a baseline and with running
ones in a random order. Each model is a file or the name of a shipped one; the shipped default
comes first. Only emotions that the model has a label for count, so TurEV's calm does not. Every
fourth recording is also heard for its first second of speech alone, and by a stream, whose first
decision counts. Writes benchmarks/results/foreign.json. These corpora chose between recipes and are
never trained on.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from emovox.audio import RATE, Samples, load_audio
from emovox.corpora import load_corpora
from emovox.corpora.utterance import Utterance
from emovox.errors import NoSpeechError
from emovox.evaluation.answers import evaluate, evaluate_running
from emovox.evaluation.calibration import expected_calibration_error
from emovox.evaluation.metrics import confusion_matrix, uar
from emovox.evaluation.results import Results
from emovox.evaluation.run import versions
from emovox.prediction import Prediction
from emovox.recognizer import Recognizer
from emovox.vad import find_speech
from machine import data_folder, machine, write_result

CORPORA = ("ased", "turev")
N_ORDERS = 1
EARLY = slice(None, None, 4)  # of the recordings, heard for their beginnings
BLOCK = RATE // 10  # samples a stream is fed at once


def figures(results: Results, own: Sequence[str]) -> dict[str, float]:
    """Return UAR over all labels and among the corpus's own, calibration, and sure mistakes."""
    allowed = np.isin(results.labels, own)
    among = np.where(allowed, results.probabilities, 0.0)
    among /= among.sum(1, keepdims=True)
    masked = replace(results, probabilities=among.astype(np.float32))
    wrong = results.probabilities.argmax(1) != results.truth
    return {
        "uar": float(uar(confusion_matrix(results))),
        "own_labels_uar": float(uar(confusion_matrix(masked))),
        "calibration_error": expected_calibration_error(results),
        "certain": float(results.certain.mean()),
        "certain_but_wrong": float((results.certain & wrong).mean()),
    }


def mean_of(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each figure."""
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def measure(recognizer: Recognizer, utterances: Sequence[Utterance]) -> dict[str, Any]:
    """Return the figures of a corpus, without a baseline and with running ones."""
    known = [utterance for utterance in utterances if utterance.emotion in recognizer.labels]
    own = sorted({utterance.emotion for utterance in known})
    alone = evaluate(recognizer, known)
    running = [evaluate_running(recognizer, known, seed=seed) for seed in range(N_ORDERS)]
    return {
        "n_test": len(alone.results.truth),
        "n_refused": len(alone.problems),
        "n_labels": len(own),
        "none": figures(alone.results, own),
        "running": mean_of([figures(results, own) for results in running]),
        "early": early(recognizer, known[EARLY]),
    }


def early(recognizer: Recognizer, utterances: Sequence[Utterance]) -> dict[str, float]:
    """Return how often the first decision, and that of a second of speech, is sure and wrong."""
    first, second = [], []
    for utterance in utterances:
        try:
            clip = load_audio(utterance.file)
            speech = find_speech(clip).samples[:RATE]
            answers = first_decision(recognizer, clip), recognizer.predict(speech, RATE)
        except NoSpeechError:
            continue
        first.append(sure_and_wrong(answers[0], utterance))
        second.append(sure_and_wrong(answers[1], utterance))
    return {
        "n_test": len(first),
        "first_decision_certain_but_wrong": float(np.mean(first)),
        "one_second_certain_but_wrong": float(np.mean(second)),
    }


def first_decision(recognizer: Recognizer, clip: Samples) -> Prediction:
    """Return what a stream says first, and silence behind the clip if it says nothing before."""
    stream = recognizer.stream()
    padded = np.pad(clip, (0, 2 * RATE))
    for start in range(0, len(padded), BLOCK):
        if decisions := stream.feed(padded[start : start + BLOCK]):
            return decisions[0]
    raise NoSpeechError("no decision")


def sure_and_wrong(prediction: Prediction, utterance: Utterance) -> bool:
    """Tell whether a prediction is certain, and not of the utterance's emotion."""
    return prediction.certain and prediction.label != utterance.emotion


def main() -> None:
    """Measure each model on each corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="more models: files, or names of shipped ones")
    given = parser.parse_args().models
    corpora = load_corpora([f"{name}={data_folder() / name / 'table.csv'}" for name in CORPORA])
    rows: dict[str, Any] = {}
    for name in ("speech", *given):
        recognizer = Recognizer.load(name)
        about = {"model": recognizer.fingerprint, "notes": recognizer.card.emovox_version}
        of_model = {one.name: measure(recognizer, one.utterances) for one in corpora}
        rows[Path(name).stem] = about | of_model
        print(name, of_model, flush=True)
    write_result("foreign", {"rows": rows, "machine": machine(), "versions": versions()})


if __name__ == "__main__":
    main()
