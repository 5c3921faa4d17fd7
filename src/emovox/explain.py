"""What carried a prediction: how the winning score moves when a quarter second is silenced."""

from dataclasses import replace

import numpy as np

from .audio import NOISE_FLOOR, RATE, Samples
from .baseline import Baseline
from .model import Model
from .prediction import Moment, Prediction

MOMENT = RATE // 4  # samples
_FADE = RATE // 100  # samples, 10 ms: a hard edge would be a click


def moments(
    model: Model, clip: Samples, prediction: Prediction, baseline: Baseline | None = None
) -> tuple[Moment, ...]:
    """Tell which moments carried a prediction.

    Each quarter second in turn is faded out, which makes it a pause: the models leave silence out
    at the ends, and it moves them next to nothing in between. How far the score of the
    prediction's label falls then is the moment's weight. A clip longer than the model's window is
    taken window by window, as in recognising it.

    Parameters
    ----------
    model : Model
    clip : ndarray of float32, shape=(n_samples,)
        What was recognised: mono at 16 kHz, cleaned, the speech alone.
    prediction : Prediction
        Of the clip; the moments are placed from its start on.
    baseline : Baseline, optional
        That it was recognised with.
    """
    n_windows = int(np.ceil(len(clip) / (model.card.window_s * RATE)))
    moments, origin = [], 0
    for window in np.array_split(clip, n_windows):
        weights = _weights(model, window, prediction.label, baseline)
        for index, weight in enumerate(weights):
            start, end = index * MOMENT, min((index + 1) * MOMENT, len(window))
            start_s = round(prediction.start + (origin + start) / RATE, 4)
            end_s = round(prediction.start + (origin + end) / RATE, 4)
            moments.append(Moment(start_s, end_s, weight / n_windows))
        origin += len(window)
    return tuple(moments)


def explained(
    model: Model, clip: Samples, prediction: Prediction, baseline: Baseline | None = None
) -> Prediction:
    """Return a prediction with the moments that carried it; see `moments`."""
    return replace(prediction, moments=moments(model, clip, prediction, baseline))


def _weights(model: Model, window: Samples, label: str, baseline: Baseline | None) -> list[float]:
    """Return by how much the score of a label falls with each quarter second; 0 for silence."""
    n_moments = -(-len(window) // MOMENT)
    if not _is_audible(window):
        return [0.0] * n_moments
    whole = model.hear(window, baseline)[0].scores[label]
    weights = []
    for index in range(n_moments):
        masked = _silenced(window, index * MOMENT, (index + 1) * MOMENT)
        if np.array_equal(masked, window) or not _is_audible(masked):
            weights.append(0.0 if _is_audible(masked) else whole)
            continue
        weights.append(whole - model.hear(masked, baseline)[0].scores[label])
    return weights


def _silenced(window: Samples, start: int, end: int) -> Samples:
    """Return a copy that is silent from start to end, with short fades outside of it."""
    gain = np.ones(len(window), np.float32)
    gain[start:end] = 0.0
    before = gain[max(0, start - _FADE) : start]
    before[:] = np.linspace(1, 0, _FADE, dtype=np.float32)[_FADE - len(before) :]
    after = gain[end : end + _FADE]
    after[:] = np.linspace(0, 1, _FADE, dtype=np.float32)[: len(after)]
    return window * gain


def _is_audible(samples: Samples) -> bool:
    return bool(np.abs(samples).max(initial=0.0) >= NOISE_FLOOR)
