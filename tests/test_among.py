"""Answers among some of a model's labels: their scores divided by their sum, at every door."""

import json

import numpy as np
import pytest

from conftest import REPOSITORY
from emovox.cli import run
from emovox.errors import ConfigError

EVEN = REPOSITORY / "examples" / "even.flac"
TWO = ("sad", "happy")


class TestAmong:
    """`labels` chooses what is answered, and nothing of what is heard."""

    def test_divided_by_their_sum(self, shipped):
        """The scores of the labels keep their proportions and sum to 1, in the model's order."""
        whole, among = shipped.predict(EVEN), shipped.predict(EVEN, labels=TWO)
        total = whole.scores["sad"] + whole.scores["happy"]
        assert list(among.scores) == ["happy", "sad"]
        assert among.scores["sad"] == pytest.approx(whole.scores["sad"] / total)
        assert sum(among.scores.values()) == pytest.approx(1)
        assert among.score == among.scores[among.label] == max(among.scores.values())

    def test_certain_among_them(self, shipped):
        """Whether an answer is certain is judged by the score among the labels."""
        whole, among = shipped.predict(EVEN), shipped.predict(EVEN, labels=TWO)
        threshold = shipped.card.threshold
        assert not whole.certain
        assert among.score >= threshold
        assert among.certain

    def test_all_of_them(self, shipped):
        """With all its labels the model answers as without the option, bit by bit."""
        assert shipped.predict(EVEN, labels=shipped.labels) == shipped.predict(EVEN)

    def test_every_method(self, shipped, talk):
        """Segments, turns, streams and learning answer among the same labels as `predict`."""
        once = shipped.predict(EVEN, labels=TWO)
        (segment,) = shipped.segments(EVEN, labels=TWO)
        (turn,) = shipped.turns(EVEN, [(0.0, once.end)], labels=TWO)
        learned, _ = shipped.predict_and_learn(EVEN, baseline=shipped.new_baseline(), labels=TWO)
        assert segment.scores == turn.prediction.scores == learned.scores == once.scores
        stream = shipped.stream(labels=TWO)
        decisions = [*stream.feed(talk), *stream.flush()]
        assert {tuple(one.scores) for one in decisions} == {("happy", "sad")}
        assert any(not one.final for one in decisions)
        explained = shipped.predict(EVEN, labels=TWO, explain=True)
        assert explained.moments
        assert explained.scores == once.scores

    def test_baseline_is_the_same(self, shipped):
        """What is learned of a speaker does not depend on the labels."""
        own = shipped.new_baseline()
        _, among = shipped.predict_and_learn(EVEN, baseline=own, labels=TWO)
        _, whole = shipped.predict_and_learn(EVEN, baseline=own)
        assert np.array_equal(among.total, whole.total)

    def test_impossible_labels(self, shipped):
        """Where all labels asked for have a score of 0 the answer is even, and finite."""
        model = shipped.among(["fear", "surprise"])
        logits = np.full((1, len(shipped.labels)), -1e5, np.float32)
        logits[0, shipped.labels.index("angry")] = 1e5
        assert dict(model.decide(logits, 1.0).scores) == {"fear": 0.5, "surprise": 0.5}

    @pytest.mark.parametrize("labels", [["happy", "furious"], ["happy"], ["sad", "sad"], [], "sad"])
    def test_refused(self, shipped, labels):
        """Unknown labels, one alone and repeated ones are refused; the error lists the model's."""
        with pytest.raises(ConfigError, match="angry, disgust, fear, happy, neutral, sad"):
            shipped.predict(EVEN, labels=labels)


class TestCommand:
    """`emovox predict --labels`."""

    def test_json_and_csv(self, shipped, tmp_path, capsys):
        """JSON and CSV hold the chosen labels, as Python answers."""
        table = tmp_path / "out.csv"
        arguments = ["predict", str(EVEN), "--labels", "happy, sad", "--json", "--csv", str(table)]
        assert run(arguments) == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert row["scores"] == dict(shipped.predict(EVEN, labels=TWO).scores)
        header = table.read_text().splitlines()[0]
        assert [name for name in header.split(",") if name.startswith("scores.")] == [
            "scores.happy",
            "scores.sad",
        ]

    def test_unknown(self, capsys):
        """A label that the model does not know is one line that names the model's."""
        assert run(["predict", str(EVEN), "--labels", "happy,furious"]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line == (
            "emovox: labels: speech knows angry, disgust, fear, happy, neutral, sad, surprise, "
            "got 'furious'"
        )
