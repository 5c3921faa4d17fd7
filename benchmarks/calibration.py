"""Calibration on voices that a fold's model has not heard.

A shipped model is of all voices, and has none left to be calibrated on: its temperature and
threshold are taken from the folds of a benchmark.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emovox.evaluation.answers import read_results
from emovox.evaluation.calibration import fit_temperature
from emovox.recognizer import Recognizer

COVERAGE = 0.8  # share of recordings to be answered with certainty


def unheard_calibration(runs: Sequence[Path]) -> tuple[float, float]:
    """Return the temperature that fits the folds of runs, and the threshold for 80 % coverage.

    All runs must have the same labels.
    """
    logits, truth = [], []
    for run in runs:
        for file in sorted(run.glob("*/predictions*.csv")):
            results = read_results(file)
            used = Recognizer.load(file.with_name("model.onnx")).card.temperature
            logits.append(np.log(results.probabilities.clip(1e-12)) * used)
            truth.append(results.truth)
    everything, labels = np.concatenate(logits), np.concatenate(truth)
    temperature = fit_temperature(everything, labels)
    shifted = everything / temperature
    shifted -= shifted.max(1, keepdims=True)
    scores = 1.0 / np.exp(shifted).sum(1)
    return round(temperature, 2), round(float(np.quantile(scores, 1.0 - COVERAGE)), 3)
