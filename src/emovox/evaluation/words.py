"""Words: the meaning of a report's figures, in plain sentences."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import counted
from .results import Results

PROTOCOLS = {
    "random": (
        "The same voices and sentences stand on both sides.",
        "The recordings were divided at random, so the voices and the sentences of the test were "
        "also in the training. The figures show that the model has learned these voices saying "
        "these sentences; they say nothing about a new voice. For that, use the protocol "
        "“speaker”.",
    ),
    "sentence": (
        "New words, but the same voices.",
        "No sentence of the test was in the training, every voice was. The figures show that the "
        "model does not merely know the words; they say nothing about a new voice. For that, use "
        "the protocol “speaker”.",
    ),
    "speaker": (
        "New voices, in the same recording conditions.",
        "No voice of the test was in the training. The figures show what to expect of a new "
        "speaker recorded in the same room, with the same microphone, at the same task; other "
        "rooms, other microphones and feelings that are not acted will be harder.",
    ),
    "corpus": (
        "Other voices, other rooms.",
        "The model was tested on a corpus it was not trained on: other speakers, rooms and "
        "microphones, often another language. Of the protocols this is the closest to real use, "
        "though the emotions are still as the corpora have them, mostly acted.",
    ),
    "table": (
        "Divided as a table says.",
        "The recordings were divided by the table that came with them. Only its author knows "
        "whether the voices of the test were also in the training.",
    ),
}
NOT_TESTED = (
    "No test: the validation recordings are not new to the model.",
    "Everything was used to learn, for a model to be used rather than measured. The figures are of "
    "the validation part, whose voices were in the training, and which may have chosen the epoch: "
    "they flatter the model. Measure it on new voices with the protocol “speaker”.",
)
UNKNOWN_PROTOCOL = (
    "The model's training data is not recorded here.",
    "This report cannot tell whether the model was trained on these recordings, or on the same "
    "voices. If it was, the figures flatter it.",
)


def title_of(report: Mapping[str, Any]) -> str:
    """Name a report by its corpora, protocol, fold and seed."""
    corpora = ", ".join(corpus["name"] for corpus in report.get("corpora") or ())
    parts = [f"Emotions in {corpora}" if corpora else "Emotions in speech"]
    model = report.get("model")
    if report.get("protocol") in PROTOCOLS:
        parts.append(f"protocol {report['protocol']}")
    elif isinstance(model, Mapping) and model.get("name"):
        parts.append(f"model {model['name']}")
    if report.get("fold") not in (None, "", report.get("protocol")):
        parts.append(f"fold {report['fold']}")
    if report.get("seed") is not None:
        parts.append(f"seed {report['seed']}")
    return " · ".join(parts)


def shows(protocol: str) -> tuple[str, str]:
    """Return a heading and a paragraph on the meaning of figures under a protocol."""
    return NOT_TESTED if protocol == "all" else PROTOCOLS.get(protocol, UNKNOWN_PROTOCOL)


def lead(numbers: Mapping[str, Any], protocol: str) -> list[str]:
    """Say how often the model was right, how sure that is, and how good guessing would be."""
    n, right = numbers["n"], _n_right(numbers)
    unseen = " it had never seen" if protocol in PROTOCOLS else ""
    times = "once" if right == 1 else f"{right:,} times"
    sentences = [
        f"On {counted(n, 'recording')}{unseen}, the model named the right emotion {times} "
        f"({percent(numbers['accuracy'])})."
    ]
    return (
        sentences
        + _certainty(numbers, protocol)
        + _comparison(numbers)
        + _running(numbers["uar"], running_uar(numbers))
    )


def running_uar(report: Mapping[str, Any]) -> float | None:
    """Return a fold's UAR with running baselines, or None where there were none."""
    figures = report.get("running_baseline") or {}
    return next((value for name, value in figures.items() if name.endswith("_uar")), None)


def model_words(model: Any) -> dict[str, list[str]]:
    """Describe a model: rows of a table, each with one line or more."""
    if not isinstance(model, Mapping) or "kind" not in model:
        return {}
    features = dict(model.get("features") or {})
    settings = ", ".join(f"{name} {value}" for name, value in features.items() if name != "kind")
    return {
        "kind": [str(model["kind"])],
        "layers": [str(layer) for layer in model.get("layers") or ()],
        "trained parameters": [f"{model.get('n_parameters', 0):,}"],
        "features": [f"{features.get('kind', '')}: {settings}"],
    }


def sentence(text: Any) -> str:
    """Write a line of the terminal as a sentence; nothing stays nothing."""
    line = str(text or "")
    return f"{line[:1].upper()}{line[1:]}." if line else ""


def _running(without: float, running: float | None) -> list[str]:
    """Compare the UAR with running baselines, if there were any."""
    if running is None:
        return []
    return [
        f"With a baseline of each speaker, which starts empty and is learned without labels while "
        f"they speak, in random order, the UAR is {percent(running)} instead of {percent(without)}."
    ]


def fold_lead(
    folds: Mapping[str, Any],
    mean: Mapping[str, float],
    pooled: Mapping[str, Any],
    protocol: str,
) -> list[str]:
    """Sum up the folds: their mean, the lowest and the highest."""
    worst = min(folds, key=lambda name: folds[name]["uar"])
    best = max(folds, key=lambda name: folds[name]["uar"])
    n, right = pooled["n"], _n_right(pooled)
    sentences = [
        f"In {counted(len(folds), 'fold')}, each tested on recordings it had never "
        f"seen, the mean recall of the emotions (UAR) was {percent(mean['uar'])}.",
    ]
    if len(folds) > 1:
        sentences.append(
            f"The lowest was {percent(folds[worst]['uar'])} (fold {worst}), the highest "
            f"{percent(folds[best]['uar'])} (fold {best})."
        )
    sentences.append(
        f"Over all folds, {right:,} of {n:,} answers were right ({percent(pooled['accuracy'])})."
    )
    running = _running(mean["uar"], mean.get("running_uar"))
    return sentences + _certainty(pooled, protocol) + _comparison(pooled) + running


def _certainty(numbers: Mapping[str, Any], protocol: str) -> list[str]:
    interval, n = numbers["intervals"]["accuracy"], numbers["n"]
    if interval["low"] == interval["high"] == 1:
        # Resampling answers that are all right cannot show an error: the rule of three can.
        return [
            f"Without one mistake there is nothing to resample; with {counted(n, 'recording')} the "
            f"true share of mistakes may still be up to about {percent(min(1.0, 3 / n))}."
        ]
    unit = "speakers" if interval["resampled"] == "speakers" else "recordings"
    words = [
        f"With other {unit} of the same kind, expect between {percent(interval['low'])} and "
        f"{percent(interval['high'])} (95\u00a0% interval, found by resampling the {unit})."
    ]
    if unit == "recordings" and protocol in ("speaker", "corpus"):
        n_speakers = len(numbers["per_speaker"])
        voices = counted(n_speakers, "voice")
        words.append(
            f"The interval covers only {voices}; it does not show how much other voices would "
            "differ."
        )
    return words


def _comparison(numbers: Mapping[str, Any]) -> list[str]:
    matrix = np.array(numbers["confusion"]["matrix"])
    most_common = matrix.sum(axis=1).max() / matrix.sum()
    return [
        f"Always naming the most common emotion would be right {percent(most_common)} of the time."
    ]


def emotion_words(numbers: Mapping[str, Any]) -> str:
    """Name the best and the least recognised emotion, and the answer it is mistaken for."""
    labels = numbers["confusion"]["labels"]
    matrix = np.array(numbers["confusion"]["matrix"])
    table = numbers["per_emotion"]
    present = [label for label in labels if table[label]["support"]]
    weakest = min(present, key=lambda label: table[label]["recall"])
    if table[weakest]["recall"] == 1:
        return "Every emotion was recognised every time."
    best = max(present, key=lambda label: table[label]["recall"])
    row = matrix[labels.index(weakest)].copy()
    row[labels.index(weakest)] = 0
    times = int(row.max())
    return (
        f"Best recognised is {best} ({percent(table[best]['recall'])} of its recordings), least "
        f"{weakest} ({percent(table[weakest]['recall'])}), most often taken for "
        f"{labels[int(row.argmax())]} ({'once' if times == 1 else f'{times:,} times'})."
    )


def speaker_words(numbers: Mapping[str, Any]) -> str:
    """Say how far the speakers lie apart."""
    table = numbers["per_speaker"]
    if len(table) == 1:
        return "All recordings are of one speaker, or the speakers are not known."
    low = min(table, key=lambda name: table[name]["uar"])
    high = max(table, key=lambda name: table[name]["uar"])
    if table[low]["uar"] == table[high]["uar"]:
        return f"The UAR is {percent(table[low]['uar'])} for each of the {len(table)} speakers."
    return (
        f"The UAR of the {len(table)} speakers goes from {percent(table[low]['uar'])} ({low}) to "
        f"{percent(table[high]['uar'])} ({high})."
    )


def calibration_words(numbers: Mapping[str, Any], results: Results) -> list[str]:
    """Say whether a score can be read as a chance of being right."""
    error, mean_score = numbers["expected_calibration_error"], float(results.scores.mean())
    gap = mean_score - numbers["accuracy"]
    if numbers["accuracy"] == 1:
        verdict = "but without one mistake there is little to judge them by"
    elif error < 0.03:
        verdict = "so a score can be read as the chance of being right"
    elif abs(gap) < error / 2:
        verdict = "too sure of some answers and too modest about others"
    else:
        verdict = (
            f"too {'sure of itself' if gap > 0 else 'modest'} on the whole: its mean score is "
            f"{percent(mean_score)}, and it is right {percent(numbers['accuracy'])} of the time"
        )
    return [
        f"Its scores are {100 * error:.1f} percentage points off on average (expected calibration "
        f"error, 15 bins), {verdict}."
    ]


def coverage_words(numbers: Mapping[str, Any]) -> list[str]:
    """Describe the gain of abstaining: at 80 % coverage, and by the model's own threshold."""
    everything, at_80 = percent(numbers["accuracy"]), percent(numbers["accuracy_at_80"])
    surest = "Answering only the 80\u00a0% it is surest of, it is right"
    if at_80 == everything:
        words = [f"{surest} {at_80} of the time, as often as when answering everything."]
    else:
        words = [f"{surest} {at_80} of the time instead of {everything}."]
        if numbers["accuracy_at_80"] < numbers["accuracy"]:
            words.append("Here its scores do not tell its mistakes from its right answers.")
    n_uncertain = round(numbers["n"] * (1 - numbers["coverage"]))
    if n_uncertain:
        share = numbers["accuracy_certain"]
        rest = "." if share is None else f"; of the others, {percent(share)} are right."
        words.append(
            f"It called itself uncertain on {n_uncertain:,} of {numbers['n']:,} recordings{rest}"
        )
    return words


def score_alts(numbers: Mapping[str, Any]) -> tuple[str, str]:
    """Describe the reliability diagram and the coverage curve for readers who cannot see them."""
    filled = [row for row in numbers["reliability"] if row["n"]]
    fullest = max(filled, key=lambda row: row["n"])
    curve = numbers["coverage_curve"]
    return (
        f"Reliability diagram: mean score against share of right answers in {len(filled)} bins of "
        f"the score, with the number of recordings below. The fullest bin holds {fullest['n']:,}: "
        f"mean score {percent(fullest['score'])}, right {percent(fullest['accuracy'])}.",
        f"Accuracy over the share of recordings answered, the surest first: "
        f"{percent(curve[0]['accuracy'])} where all are answered, "
        f"{percent(numbers['accuracy_at_80'])} at 80\u00a0%, "
        f"{percent(curve[-1]['accuracy'])} at {100 * curve[-1]['coverage']:.0f}\u00a0%.",
    )


def percent(share: float) -> str:
    r"""Write a share as a percentage that is 100 only where the share is 1, and 0 only at 0.

    Examples
    --------
    >>> percent(0.996), percent(0.99996), percent(1.0)
    ('99.6\xa0%', '99.99\xa0%', '100\xa0%')
    """
    if share in (0, 1):
        return f"{100 * share:.0f}\u00a0%"
    shown = f"{100 * share:.1f}"
    shown = {"100.0": "99.99", "0.0": "0.01"}.get(shown, shown)
    return f"{shown}\u00a0%"


def _n_right(numbers: Mapping[str, Any]) -> int:
    return int(np.trace(np.array(numbers["confusion"]["matrix"])))
