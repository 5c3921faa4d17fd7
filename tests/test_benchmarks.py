"""The benchmarks of accuracy: what they measure is what a recogniser would answer."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from emovox.audio import load_audio
from emovox.corpora import load_corpus
from emovox.recognizer import Recognizer
from emovox.splits import make_folds
from emovox.training.cache import ArrayCache
from emovox.training.export import export_head
from emovox.training.extraction import extract, plan_copies, speech_statistics
from emovox.training.learner import make_clips
from emovox.training.settings import HeadConfig, Speech
from emovox.training.speech.backbone import export_backbone
from emovox.training.speech.encoder import SpeechConfig, SpeechStatistics
from emovox.training.speech.fit import train_head
from emovox.training.speech.sessions import Sessions
from made_corpus import EMOTIONS, make_corpus
from test_export import CARD as EXPORTED

HEAD = HeadConfig()
CARD = dataclasses.replace(
    EXPORTED,
    labels=EMOTIONS,
    window_s=15.0,
    temperature=1.0,
    baseline=(0.0,) * (2 * 3 + 2),
    baseline_seconds=HEAD.prior_seconds,
)


@pytest.fixture(scope="module")
def tested(benchmarks, tmp_path_factory):
    """Give answers to two speakers whom a head has not heard, and its exported recogniser."""
    folder = tmp_path_factory.mktemp("bench")
    utterances = load_corpus("made", make_corpus(folder / "made", n_speakers=4)).utterances
    torch.manual_seed(0)
    module = SpeechStatistics(SpeechConfig(n_layers=1), 384).eval().requires_grad_(False)
    backbone = export_backbone(module, [load_audio(one.file) for one in utterances[::6]])
    extractor = speech_statistics(backbone, plan_copies(utterances, 1, noise=None), 15.0)
    found = extract(utterances, extractor, ArrayCache(folder / "cache"))
    features = dict(zip((one.file for one in utterances), found.features, strict=True))
    fold = make_folds(utterances, "speaker", groups={"a": ["s0", "s1"], "b": ["s2", "s3"]})[0]
    sessions = Sessions.of(utterances)
    learned, watched, asked = (
        make_clips(part, features, EMOTIONS, sessions if part is fold.train else None)
        for part in (fold.train, fold.val, fold.test)
    )
    training = Speech(epochs=5, n_copies=1, head=HEAD)
    head, _ = train_head(learned, watched, 3, training, seed=0)
    export_head(backbone, head, CARD, folder / "model.onnx")
    answers = benchmarks("unheard").answers_of(head, asked, fold, EMOTIONS, seed=0)
    return answers, asked, Recognizer.load(folder / "model.onnx")


def check(benchmarks, logits, predictions) -> None:
    """Compare logits with predictions: scores within a hundredth, and the same labels."""
    ours = benchmarks("unheard").probabilities(logits, 1.0)
    theirs = np.array([[one.scores[label] for label in EMOTIONS] for one in predictions])
    np.testing.assert_allclose(ours, theirs, atol=1e-2)
    same = ours.argmax(1) == theirs.argmax(1)
    assert same.mean() >= 0.99


def test_alone_as_the_recogniser(benchmarks, tested):
    """Answers from cached statistics are those of the exported file, without a baseline."""
    answers, _, recognizer = tested
    clips = [load_audio(Path(str(file))) for file in answers.files]
    check(benchmarks, answers.alone, [recognizer.hear(clip)[0] for clip in clips])
    assert np.ptp(answers.alone) > 0.1


def test_running_as_the_recogniser(benchmarks, tested):
    """So they are with a running baseline, in the order that the seconds heard tell."""
    answers, asked, recognizer = tested
    for speaker in np.unique(asked.speakers):
        rows = np.flatnonzero(asked.speakers == speaker)
        rows = rows[np.argsort(answers.heard[0][rows])]
        baseline, predictions = recognizer.new_baseline(), []
        for row in rows:
            assert baseline.seconds == pytest.approx(float(answers.heard[0][row]), abs=1e-3)
            clip = load_audio(Path(str(answers.files[row])))
            prediction, windows = recognizer.hear(clip, baseline)
            baseline = baseline.after(windows)
            predictions.append(prediction)
        check(benchmarks, answers.running[0][rows], predictions)
    assert np.abs(answers.running[0] - answers.alone).max() > 1e-3


def test_one_sided_streams(tested):
    """Four in five recordings of a stream have one emotion; every emotion has its turn."""
    answers, asked, _ = tested
    streams = answers.one_sided_rows.reshape(6, -1)  # two speakers, three emotions, six of each
    chosen = []
    for stream in streams:
        assert len(set(asked.speakers[stream])) == 1
        assert len(set(stream.tolist())) == len(stream)
        count = np.bincount(asked.targets[stream], minlength=3)
        assert count.max() == 6
        assert count.sum() == 8
        chosen.append((int(asked.speakers[stream[0]]), int(count.argmax())))
    assert len(set(chosen)) == 6
    first = streams[:, 0]  # of which nothing was heard before
    np.testing.assert_allclose(
        answers.one_sided.reshape(6, 8, 3)[:, 0], answers.alone[first], atol=1e-5
    )


def test_foreign_baselines(tested):
    """Each speaker is asked a dozen recordings with the baseline of another."""
    answers, asked, _ = tested
    assert np.bincount(asked.speakers[answers.foreign_rows]).tolist() == [12, 12]
    assert np.abs(answers.foreign - answers.alone[answers.foreign_rows]).max() > 1e-3


def test_answers_are_kept(benchmarks, tested, tmp_path):
    """Answers are read back where the key is the same, and only there."""
    answers, _, _ = tested
    answers.save(tmp_path / "fold.npz", "key")
    kept = benchmarks("unheard").Answers
    assert kept.load(tmp_path / "fold.npz", "other") is None
    assert kept.load(tmp_path / "none.npz", "key") is None
    again = kept.load(tmp_path / "fold.npz", "key")
    np.testing.assert_array_equal(again.running, answers.running)
    np.testing.assert_array_equal(again.files, answers.files)


def test_rows(benchmarks, tested):
    """Rows hold the recall of every seed and fold, and calibration and groups go with them."""
    rows, answers = benchmarks("rows"), tested[0]
    seeds = [{"a": answers, "b": answers}] * 2
    expected = rows.uars(answers)
    for pooled in (False, True):
        row = rows.task_row(seeds, pooled=pooled)
        assert row["seeds"] == 2
        assert row["uar"]["mean"] == pytest.approx(expected["uar"], abs=1e-4)
        assert row["running_uar"]["low"] == pytest.approx(expected["running_uar"], abs=1e-4)
        assert row["folds"]["b"]["uar"] == pytest.approx(expected["uar"], abs=1e-4)
    assert rows.one_sided_row(seeds)["n_test"] == 2 * 48
    assert rows.foreign_row(seeds)["n_test"] == 2 * 24
    shipped = rows.shipped_calibration(seeds)
    assert 0.05 <= shipped["temperature"] <= 20
    sure = rows.certainty(seeds, shipped["temperature"])
    assert 0 <= sure["uar"]["error"] <= 1
    assert sure["uar"]["gained"] == pytest.approx(
        sure["uar"]["accuracy_at_80"] - sure["uar"]["accuracy"], abs=2e-4
    )  # all three are rounded
    bins = rows.by_seconds_heard(seeds * 5)  # a row takes 100 answers
    assert sum(row["answers"] for row in bins) <= 10 * 2 * 3 * len(answers.truth)
    assert bins[0]["uar"] == pytest.approx(bins[0]["running_uar"])  # nothing was heard yet


def test_groups(benchmarks, tested, tmp_path):
    """Groups of voices are scored by corpus and language, sex and age, where these are known."""
    answers = tested[0]
    utterances = [
        one
        for one in load_corpus("made", Path(str(answers.files[0])).parent / "clips.csv").utterances
        if str(one.file) in set(answers.files.tolist())
    ]
    table = benchmarks("rows").by_group([{"a": answers}], utterances, {("made", "s0"): 27})
    assert table["sex"] == {}
    assert table["corpus"]["made"]["n_test"] == 36
    assert table["corpus"]["made"]["speakers"] == 2
    assert table["age"].keys() == {"20 to 29"}
    assert table["age"]["20 to 29"]["n_test"] == 18
