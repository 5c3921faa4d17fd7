"""The numbers agree with scikit-learn and with what can be worked out by hand."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle
from sklearn.calibration import calibration_curve

from emovox.errors import EmovoxError
from emovox.evaluation.calibration import (
    coverage_curve,
    expected_calibration_error,
    fit_temperature,
    reliability,
)
from emovox.evaluation.metrics import (
    accuracy,
    bootstrap_interval,
    confusion_matrix,
    macro_f1,
    per_emotion,
    per_speaker,
    summarise,
    uar,
)
from emovox.evaluation.results import Results, concatenate

LABELS = ("angry", "fear", "happy", "sad")


def softmax(logits):
    """Probabilities of logits, a row each."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def take(results, indices):
    """Results of some of the recordings."""
    return Results(
        results.labels,
        *(
            np.array(column)[indices]
            if isinstance(column, np.ndarray)
            else tuple(column[index] for index in indices)
            for name, column in vars(results).items()
            if name != "labels"
        ),
    )


def make_results(truth, probabilities, speakers=None, corpora=None, certain=None, labels=LABELS):
    """Results with plain file names and, unless given, one speaker."""
    n = len(truth)
    return Results(
        labels=labels,
        truth=np.asarray(truth, dtype=np.int64),
        probabilities=np.asarray(probabilities, dtype=np.float32),
        files=tuple(f"{i}.wav" for i in range(n)),
        speakers=tuple(speakers or ["A"] * n),
        corpora=tuple(corpora or ["tess"] * n),
        certain=np.ones(n, dtype=bool) if certain is None else np.asarray(certain),
    )


def random_results(n=300, seed=0, n_speakers=1, skill=1.0):
    """Results that are right more often than not."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, len(LABELS), n)
    logits = random.normal(size=(n, len(LABELS)))
    logits[np.arange(n), truth] += skill
    speakers = [f"S{i % n_speakers}" for i in range(n)]
    return make_results(truth, softmax(logits), speakers)


@st.composite
def any_results(draw):
    """Few recordings, so that labels are missing from the truth or from the answers."""
    n = draw(st.integers(1, 12))
    truth = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    answers = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    return make_results(truth, np.eye(4)[answers])


@given(any_results())
def test_agrees_with_scikit_learn(results):
    """Every figure is scikit-learn's, also where labels occur on one side only."""
    truth, answers = results.truth, results.answers
    present = sorted(set(truth.tolist()))
    confusion = confusion_matrix(results)
    assert np.array_equal(confusion, oracle.confusion_matrix(truth, answers, labels=range(4)))
    assert accuracy(confusion) == pytest.approx(oracle.accuracy_score(truth, answers))
    kind = {"labels": present, "average": "macro", "zero_division": 0}
    assert uar(confusion) == pytest.approx(oracle.recall_score(truth, answers, **kind))
    assert macro_f1(confusion) == pytest.approx(oracle.f1_score(truth, answers, **kind))
    expected = oracle.precision_recall_fscore_support(
        truth, answers, labels=range(4), zero_division=0
    )
    table = per_emotion(results)
    for i, label in enumerate(LABELS):
        row = table[label]
        got = [row["precision"], row["recall"], row["f1"], row["support"]]
        assert got == pytest.approx([column[i] for column in expected])


def test_statistics_take_stacks():
    """A stack of confusion matrices gives the figures of each."""
    stack = np.array([confusion_matrix(random_results(seed=seed)) for seed in range(5)])
    for statistic in (accuracy, uar, macro_f1):
        assert statistic(stack).shape == (5,)
        assert statistic(stack) == pytest.approx([float(statistic(matrix)) for matrix in stack])


def test_calibration_error_by_hand():
    """Two bins: scores of 0.9 right in half of the cases, scores of 0.6 always right."""
    rows = [[0.9, 0.1, 0, 0]] * 4 + [[0.6, 0.4, 0, 0]] * 4
    results = make_results([0, 0, 1, 1, 0, 0, 0, 0], rows)
    assert expected_calibration_error(results) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4, abs=1e-6)


def test_calibration_error_follows_the_definition():
    """The weighted sum is that of a plain loop over the 15 bins."""
    results = random_results(n=2_000, seed=3)
    scores, right = results.scores.astype(float), results.answers == results.truth
    expected = 0.0
    for m in range(15):
        members = (scores > m / 15) & (scores <= (m + 1) / 15)
        if members.any():
            gap = abs(right[members].mean() - scores[members].mean())
            expected += members.mean() * gap
    assert expected_calibration_error(results) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_reliability_agrees_with_scikit_learn(seed):
    """Mean score and accuracy of each bin that holds answers are those of calibration_curve."""
    results = random_results(n=500, seed=seed)
    right = results.answers == results.truth
    shares, scores = calibration_curve(right, results.scores.astype(float), n_bins=15)
    filled = [row for row in reliability(results) if row["n"]]
    assert [row["accuracy"] for row in filled] == pytest.approx(shares)
    assert [row["score"] for row in filled] == pytest.approx(scores)


@given(any_results(), st.integers(0, 99))
def test_reliability_is_what_the_calibration_error_sums(results, seed):
    """15 bins side by side hold every answer; their weighted gaps are the calibration error."""
    noise = np.random.default_rng(seed).dirichlet(np.ones(4), len(results.truth))
    results = make_results(results.truth, (results.probabilities + noise) / 2)
    rows = reliability(results)
    assert [row["low"] for row in rows[1:]] == [row["high"] for row in rows[:-1]]
    assert (rows[0]["low"], rows[-1]["high"], len(rows)) == (0, 1, 15)
    assert sum(row["n"] for row in rows) == len(results.truth)
    empty = [row for row in rows if not row["n"]]
    assert all(row["score"] is None and row["accuracy"] is None for row in empty)
    gaps = [row["n"] * abs(row["accuracy"] - row["score"]) for row in rows if row["n"]]
    expected = sum(gaps) / len(results.truth)
    assert expected_calibration_error(results) == pytest.approx(expected, abs=1e-9)


def test_coverage_curve_follows_the_definition():
    """Each point is the accuracy of that share of the answers with the highest scores."""
    results = random_results(n=333, seed=4)
    order = np.argsort(-results.scores)
    right = (results.answers == results.truth)[order]
    curve = coverage_curve(results)
    assert [point["coverage"] for point in curve] == [p / 100 for p in range(100, 15, -5)]
    for point in curve:
        n = math.ceil(round(point["coverage"] * 333, 6))
        assert point["accuracy"] == pytest.approx(right[:n].mean())


@given(any_results(), st.randoms(use_true_random=False), st.integers(1, 4))
def test_coverage_curve_knows_no_order(results, random, n_scores):
    """Whatever scores are equal, shuffling changes nothing, and at 100 % it is the accuracy."""
    scores = np.array([0.4 + 0.1 * random.randrange(n_scores) for _ in results.truth])
    probabilities = np.repeat((1 - scores[:, None]) / 3, 4, axis=1)
    probabilities[np.arange(len(scores)), results.answers] = scores
    results = make_results(results.truth, probabilities)
    curve = coverage_curve(results)
    assert curve[0] == {"coverage": 1.0, "accuracy": float(accuracy(confusion_matrix(results)))}
    assert all(0 <= point["accuracy"] <= 1 for point in curve)
    order = np.array(random.sample(range(len(scores)), len(scores)))
    assert coverage_curve(take(results, order)) == curve
    if len(set(results.scores.tolist())) == 1:
        assert [point["accuracy"] for point in curve] == pytest.approx([curve[0]["accuracy"]] * 17)


def test_coverage_curve_of_equal_scores_by_hand():
    """Of four answers at 0.6, half right, two are given: one of them is expected to be right."""
    rows = [[0.9, 0.1, 0, 0]] * 6 + [[0.6, 0.4, 0, 0]] * 4
    results = make_results([0] * 6 + [0, 0, 1, 1], rows)
    curve = {point["coverage"]: point["accuracy"] for point in coverage_curve(results)}
    assert curve[0.8] == pytest.approx(7 / 8)
    assert curve[0.75] == curve[0.8], "rounded up to whole recordings"
    assert curve[0.6] == curve[0.2] == 1
    assert summarise(results)["accuracy_at_80"] == curve[0.8]


def test_interval_resamples_speakers_where_there_are_five():
    """Five speakers are enough to resample; four are not, nor are ones of unknown name."""
    assert bootstrap_interval(random_results(n_speakers=5), uar)["resampled"] == "speakers"
    assert bootstrap_interval(random_results(n_speakers=4), uar)["resampled"] == "utterances"
    nameless = random_results(n_speakers=9)
    nameless = Results(**{**vars(nameless), "speakers": ("", *nameless.speakers[1:])})
    assert bootstrap_interval(nameless, uar)["resampled"] == "utterances"


def test_speakers_of_two_corpora_are_not_one():
    """Equal names in two corpora are two speakers, in the table and in the interval."""
    base = random_results(n=300, n_speakers=3)
    results = Results(**{**vars(base), "corpora": ("tess",) * 150 + ("own",) * 150})
    assert list(per_speaker(results)) == [f"{c}/S{i}" for c in ("own", "tess") for i in range(3)]
    assert bootstrap_interval(results, uar)["resampled"] == "speakers"


@pytest.mark.parametrize("n_speakers", [1, 6])
def test_interval_agrees_with_plain_resampling(n_speakers):
    """The vectorised bootstrap has the spread of resampling one entry after another."""
    results = random_results(n=240, n_speakers=n_speakers)
    interval = bootstrap_interval(results, accuracy, seed=1)
    low, high = interval["low"], interval["high"]
    random = np.random.default_rng(7)
    names = np.array(results.speakers)
    right = (results.answers == results.truth).astype(float)
    if interval["resampled"] == "speakers":
        groups = [right[names == name] for name in sorted(set(names))]
        drawn = [
            np.concatenate([groups[i] for i in random.integers(0, len(groups), len(groups))]).mean()
            for _ in range(1_000)
        ]
    else:
        drawn = [right[random.integers(0, 240, 240)].mean() for _ in range(1_000)]
    assert [low, high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.015)
    assert low < accuracy(confusion_matrix(results)) < high


def test_interval_depends_on_the_seed_alone():
    """The same seed gives the same interval, another seed another."""
    results = random_results(n=500)
    assert bootstrap_interval(results, uar, 3) == bootstrap_interval(results, uar, 3)
    assert bootstrap_interval(results, uar, 3) != bootstrap_interval(results, uar, 4)


def test_interval_covers_the_truth():
    """About 95 of 100 intervals hold the accuracy of the process the results are drawn from."""
    random = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        right = random.random(200) < 0.8
        results = make_results(np.where(right, 0, 1), np.tile([1.0, 0, 0, 0], (200, 1)))
        interval = bootstrap_interval(results, accuracy, seed)
        covered += interval["low"] <= 0.8 <= interval["high"]
    assert 180 <= covered <= 199


def test_summary_is_json_and_complete():
    """The summary survives JSON and holds every figure the report shows."""
    results = random_results(n=200, n_speakers=6)
    certain = results.scores > 0.5
    results = Results(**{**vars(results), "certain": certain})
    summary = json.loads(json.dumps(summarise(results), allow_nan=False))
    assert summary["n"] == 200
    assert summary["confusion"]["labels"] == list(LABELS)
    assert summary["confusion"]["matrix"] == confusion_matrix(results).tolist()
    assert summary["coverage"] == pytest.approx(certain.mean())
    right = results.answers == results.truth
    assert summary["accuracy_certain"] == pytest.approx(right[certain].mean())
    for name in ("accuracy", "uar", "macro_f1"):
        interval = summary["intervals"][name]
        assert interval["low"] <= summary[name] <= interval["high"]
        assert (interval["level"], interval["resampled"]) == (0.95, "speakers")
    assert sum(row["n"] for row in summary["per_speaker"].values()) == 200
    assert summary["per_speaker"]["S0"]["accuracy"] == pytest.approx(right[::6].mean())


def test_summary_of_a_model_that_always_abstains():
    """No certain answer leaves their accuracy empty, not NaN."""
    results = make_results([0], [[0.4, 0.3, 0.2, 0.1]], certain=[False])
    assert summarise(results)["accuracy_certain"] is None
    assert summarise(results)["coverage"] == 0


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_temperature_is_recovered(temperature):
    """Logits that are honest but for a factor give that factor back."""
    random = np.random.default_rng(0)
    honest = random.normal(scale=2, size=(20_000, 4))
    truth = (softmax(honest).cumsum(axis=1) < random.random((20_000, 1))).sum(axis=1)
    fitted = fit_temperature(honest * temperature, truth)
    assert fitted == pytest.approx(temperature, rel=0.05)


def test_temperature_is_the_best_of_a_grid():
    """No temperature on a fine grid has a lower loss than the one found."""
    random = np.random.default_rng(5)
    logits, truth = random.normal(scale=5, size=(300, 4)), random.integers(0, 4, 300)
    logits[np.arange(300), truth] += 4

    def loss(temperature):
        return oracle.log_loss(truth, softmax(logits / temperature), labels=range(4))

    found = loss(fit_temperature(logits, truth))
    assert found <= min(loss(t) for t in np.geomspace(0.05, 20, 400)) + 1e-9


def test_temperature_stays_in_its_range():
    """Answers that are all right, or no better than chance, end at the bounds."""
    assert fit_temperature(np.eye(4), np.arange(4)) == pytest.approx(0.05, rel=1e-3)
    assert fit_temperature(np.eye(4) * 9, (np.arange(4) + 1) % 4) == pytest.approx(20, rel=1e-3)


def test_concatenate_keeps_order_and_labels():
    """Parts put together are what taking them apart gave, and other labels are refused."""
    whole = random_results(n=50, n_speakers=3)
    parts = [take(whole, np.arange(20)), take(whole, np.arange(20, 50))]
    again = concatenate(parts)
    assert again.files == whole.files
    assert np.array_equal(again.probabilities, whole.probabilities)
    other = make_results([0], [[1.0, 0, 0, 0]], labels=("a", "b", "c", "d"))
    with pytest.raises(EmovoxError, match="labels"):
        concatenate([whole, other])
