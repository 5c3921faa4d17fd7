"""A recogniser's answers to labelled recordings."""

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ..baseline import Baseline
from ..corpora import Problem, Utterance
from ..errors import AudioError, CorpusError, ModelError
from ..files import spreadsheet_plain, write_text
from ..prediction import Prediction
from ..recognizer import Recognizer
from ..tracks import csv_table, score_columns
from .results import Results

_COLUMNS = ("file", "corpus", "speaker", "truth", "label", "score", "certain")
_CERTAIN = {"true": True, "false": False}


@dataclass(frozen=True)
class Evaluation:
    """Answers to the recordings that could be scored, and what could not be.

    `left_out` counts, by emotion, recordings of emotions the model does not know; `problems` names
    recordings that cannot be used, because they are unreadable or hold no speech.
    """

    results: Results
    left_out: dict[str, int]
    problems: tuple[Problem, ...]


def evaluate(
    recognizer: Recognizer,
    utterances: Sequence[Utterance],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Recognise labelled recordings, from the files, as `emovox predict` would.

    Raises
    ------
    CorpusError
        If not one of them can be scored.
    """
    known = [utterance for utterance in utterances if utterance.emotion in recognizer.labels]
    unknown = Counter(
        utterance.emotion for utterance in utterances if utterance.emotion not in recognizer.labels
    )
    scored: list[Utterance] = []
    predictions: list[Prediction] = []
    problems: list[Problem] = []
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(partial(_answer, recognizer), known)
        for done, (utterance, answer) in enumerate(zip(known, answers, strict=True), start=1):
            if isinstance(answer, Problem):
                problems.append(answer)
            else:
                scored.append(utterance)
                predictions.append(answer)
            if on_progress:
                on_progress(done, len(known))
    if not scored:
        knows = f"the model knows {', '.join(recognizer.labels)}"
        why = problems[0].text if problems else knows
        raise CorpusError(f"none of the {len(utterances)} recordings could be scored: {why}")
    results = _results(recognizer.labels, scored, predictions)
    return Evaluation(results, dict(sorted(unknown.items())), tuple(problems))


def evaluate_running(
    recognizer: Recognizer,
    utterances: Sequence[Utterance],
    *,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Results:
    """Recognise what each speaker says, in random order, with a baseline learned on the way.

    Every speaker starts from nothing, and no label is used: each recording is answered with the
    baseline of those before it, and then learned. That is test-time adaptation, and its figures
    stand beside those without a baseline, never in their place. Recordings that cannot be used are
    left out, as `evaluate` names them.

    Raises
    ------
    CorpusError
        If not one of them can be scored.
    """
    known = [utterance for utterance in utterances if utterance.emotion in recognizer.labels]
    rng = np.random.default_rng(seed)
    order = [known[index] for index in rng.permutation(len(known))]
    baselines: dict[tuple[str, str], Baseline] = {}
    scored, predictions = [], []
    for done, utterance in enumerate(order, 1):
        speaker = (utterance.corpus, utterance.speaker)
        baseline = baselines.get(speaker) or recognizer.new_baseline(utterance.speaker)
        with suppress(AudioError):
            prediction, baselines[speaker] = recognizer.predict_and_learn(
                utterance.file, baseline=baseline
            )
            predictions.append(prediction)
            scored.append(utterance)
        if on_progress:
            on_progress(done, len(order))
    if not scored:
        raise CorpusError(f"none of the {len(utterances)} recordings could be scored")
    return _results(recognizer.labels, scored, predictions)


def _answer(recognizer: Recognizer, utterance: Utterance) -> Prediction | Problem:
    """Recognise a recording, or say why it cannot be used."""
    try:
        return recognizer.predict(utterance.file)
    except AudioError as error:
        return Problem("unreadable", str(error), (str(utterance.file),))


def _results(
    labels: tuple[str, ...], utterances: Sequence[Utterance], predictions: Sequence[Prediction]
) -> Results:
    return Results(
        labels=labels,
        truth=np.array([labels.index(utterance.emotion) for utterance in utterances], np.int64),
        probabilities=np.array(
            [[prediction.scores[label] for label in labels] for prediction in predictions],
            np.float32,
        ),
        files=tuple(str(utterance.file) for utterance in utterances),
        speakers=tuple(utterance.speaker for utterance in utterances),
        corpora=tuple(utterance.corpus for utterance in utterances),
        certain=np.array([prediction.certain for prediction in predictions], np.bool_),
    )


def write_results(results: Results, path: Path) -> None:
    """Write answers as CSV: file, corpus, speaker, truth, label, score, certain, and all scores."""
    rows = []
    for index, file in enumerate(results.files):
        names = (file, results.corpora[index], results.speakers[index])
        emotions = (results.truth[index], results.answers[index])
        scores = (results.scores[index], *results.probabilities[index])
        score, *all_scores = (f"{one:.9g}" for one in scores)
        certain = str(bool(results.certain[index])).lower()
        rows.append(
            (*names, *(results.labels[one] for one in emotions), score, certain, *all_scores)
        )
    write_text(path, csv_table((*_COLUMNS, *score_columns(results.labels)), rows))


def read_results(path: Path) -> Results:
    """Read what `write_results` wrote.

    Raises
    ------
    ModelError
        If the file is not of that form.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        labels = tuple(name[7:] for name in rows[0] if name.startswith("scores."))
        scores = [[row[name] for name in score_columns(labels)] for row in rows]
        probabilities = np.array(scores, dtype=np.float32)
        if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
            raise ValueError("the scores of a recording do not sum to 1")
        return Results(
            labels=labels,
            truth=np.array([labels.index(row["truth"]) for row in rows], np.int64),
            probabilities=probabilities,
            files=tuple(spreadsheet_plain(row["file"]) for row in rows),
            speakers=tuple(spreadsheet_plain(row["speaker"]) for row in rows),
            corpora=tuple(spreadsheet_plain(row["corpus"]) for row in rows),
            certain=np.array([_CERTAIN[row["certain"]] for row in rows], np.bool_),
        )
    except (OSError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path}: cannot read the predictions of a finished fold: {error}"
        ) from None
