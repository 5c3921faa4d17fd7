"""A recogniser's answers to labelled recordings, and the table that keeps them."""

import csv
import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emovox.corpora import Utterance
from emovox.errors import CorpusError, ModelError
from emovox.evaluation.answers import evaluate, read_results, write_results

RATE = 16_000


def utterance(file: Path, emotion: str, speaker: str = "s1", corpus: str = "made") -> Utterance:
    """Make the record of a recording."""
    digest = hashlib.sha256(str(file).encode()).hexdigest()
    return Utterance(file, emotion, speaker, "", corpus, "", "", digest)


@pytest.fixture(scope="module")
def utterances(tmp_path_factory, voice) -> list[Utterance]:
    """Give forty good recordings, of two of the emotions that the tiny model knows."""
    folder = tmp_path_factory.mktemp("clips")
    clips = []
    for number in range(40):
        file = folder / f"{number:02d}.wav"
        soundfile.write(file, voice[number * 100 :] * (1 - number / 80), RATE, "FLOAT")
        clips.append(utterance(file, ("angry", "sad")[number % 2], f"s{number % 4}"))
    return clips


class TestEvaluate:
    """Every recording is answered, left out, or named."""

    def test_same_answers_as_predict(self, recognizer, utterances):
        """The answers are those of `Recognizer.predict` on each file, in the same order."""
        results = evaluate(recognizer, utterances).results
        assert results.files == tuple(str(one.file) for one in utterances)
        assert results.labels == recognizer.labels
        assert [results.labels[index] for index in results.truth] == [
            one.emotion for one in utterances
        ]
        assert results.speakers == tuple(one.speaker for one in utterances)
        for index in (0, 17, 39):
            alone = recognizer.predict(utterances[index].file)
            scores = [alone.scores[label] for label in results.labels]
            np.testing.assert_allclose(results.probabilities[index], scores, atol=1e-4)
            assert results.certain[index] == alone.certain

    def test_progress(self, recognizer, utterances):
        """Progress is told up to the last recording."""
        told: list[tuple[int, int]] = []
        evaluate(recognizer, utterances, on_progress=lambda done, total: told.append((done, total)))
        assert told[-1] == (40, 40)
        assert told == sorted(told)

    def test_unknown_emotions_are_counted(self, recognizer, utterances):
        """Recordings of emotions the model does not know are left out, and counted."""
        foreign = [utterance(Path("x.wav"), emotion) for emotion in ("calm", "boredom", "calm")]
        evaluation = evaluate(recognizer, [*foreign, *utterances])
        assert evaluation.left_out == {"boredom": 1, "calm": 2}
        assert len(evaluation.results.files) == 40
        assert evaluation.problems == ()

    def test_bad_recordings_are_named(self, recognizer, utterances, tmp_path):
        """Recordings that cannot be used are named, with the reason; the others are scored."""
        soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
        (tmp_path / "text.wav").write_text("hello")
        bad = [utterance(tmp_path / name, "sad") for name in ("silent.wav", "text.wav", "none.wav")]
        evaluation = evaluate(recognizer, [bad[0], *utterances[:3], *bad[1:]])
        assert evaluation.results.files == tuple(str(one.file) for one in utterances[:3])
        assert [problem.kind for problem in evaluation.problems] == ["unreadable"] * 3
        for problem, one in zip(evaluation.problems, bad, strict=True):
            assert problem.files == (str(one.file),)
            assert one.file.name in problem.text

    def test_nothing_to_score(self, recognizer, tmp_path):
        """If no recording can be scored, that is an error."""
        for clips in ([], [utterance(tmp_path / "x.wav", "calm")]):
            with pytest.raises(CorpusError, match="could be scored: the model knows angry"):
                evaluate(recognizer, clips)

    def test_nothing_readable(self, recognizer, tmp_path):
        """If no recording can be read, the error says why."""
        with pytest.raises(CorpusError, match=r"x\.wav: no such file"):
            evaluate(recognizer, [utterance(tmp_path / "x.wav", "sad")])


class TestTable:
    """Answers are kept as CSV."""

    def test_round_trip(self, recognizer, utterances, tmp_path):
        """What is written reads back the same, to the last bit of the scores."""
        results = evaluate(recognizer, utterances[:5]).results
        write_results(results, tmp_path / "predictions.csv")
        again = read_results(tmp_path / "predictions.csv")
        for name in ("labels", "files", "speakers", "corpora"):
            assert getattr(again, name) == getattr(results, name)
        for name in ("truth", "probabilities", "certain"):
            np.testing.assert_array_equal(getattr(again, name), getattr(results, name))

    def test_columns(self, recognizer, utterances, tmp_path):
        """A row holds the truth, the answer and its score, and the scores of all labels by name."""
        results = evaluate(recognizer, utterances[:5]).results
        write_results(results, tmp_path / "predictions.csv")
        with (tmp_path / "predictions.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        scores = [f"scores.{label}" for label in recognizer.labels]
        names = ["file", "corpus", "speaker", "truth", "label", "score", "certain"]
        assert list(rows[0]) == [*names, *scores]
        for row, one in zip(rows, utterances, strict=False):
            answer = recognizer.predict(one.file)
            assert (row["truth"], row["label"]) == (one.emotion, answer.label)
            assert row["score"] == row[f"scores.{answer.label}"]
            assert float(row["score"]) == pytest.approx(answer.score, abs=1e-4)
            assert row["certain"] == ("true" if answer.certain else "false")

    def test_formulas(self, recognizer, utterances, tmp_path):
        """Names that a spreadsheet would run are written so that it does not, and read back."""
        one = dataclasses.replace(utterances[0], speaker="=1+1", corpus="@c")
        results = evaluate(recognizer, [one]).results
        write_results(results, tmp_path / "predictions.csv")
        assert ",'@c,'=1+1," in (tmp_path / "predictions.csv").read_text()
        again = read_results(tmp_path / "predictions.csv")
        assert (again.speakers, again.corpora) == (("=1+1",), ("@c",))

    def test_awkward_names(self, recognizer, utterances, tmp_path):
        """Commas, quotes and letters of any alphabet in names survive."""
        file = tmp_path / 'a, "b" é.wav'
        file.write_bytes(utterances[0].file.read_bytes())
        results = evaluate(recognizer, [utterance(file, "sad", 'Ö, "x"', "c,d")]).results
        write_results(results, tmp_path / "predictions.csv")
        again = read_results(tmp_path / "predictions.csv")
        assert (again.files, again.speakers, again.corpora) == ((str(file),), ('Ö, "x"',), ("c,d",))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "HEADER\n",
            "file,corpus\na,b\n",
            "HEADER\na,b,c,happy,sad,0.5,true,0.5,0.5\n",
            "HEADER\na,b,c,sad,sad,0.5,true,half,0.5\n",
            "HEADER\na,b,c,sad,sad,0.5,true,0.5\n",
            "HEADER\na,b,c,sad,sad,0.5,true,0.1,0.1\n",
            "HEADER\na,b,c,sad,sad,0.5,1,0.5,0.5\n",
            "HEADER\na,b,c,sad,sad,0.5,true,0.5,0.5,9\n",
        ],
    )
    def test_damaged(self, tmp_path, text):
        """A table of another form is an error that names it."""
        path = tmp_path / "predictions.csv"
        header = "file,corpus,speaker,truth,label,score,certain,scores.sad,scores.angry"
        path.write_text(text.replace("HEADER", header))
        with pytest.raises(ModelError, match=r"predictions\.csv: cannot read the predictions"):
            read_results(path)

    def test_missing(self, tmp_path):
        """So is a missing one, and one that is no text."""
        with pytest.raises(ModelError, match="cannot read the predictions"):
            read_results(tmp_path / "none.csv")
        (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ModelError, match="cannot read the predictions"):
            read_results(tmp_path / "a.csv")
