"""A user's own names: of columns, of words for labels, of labels beyond the nine emotions."""

import json
import shutil
from pathlib import Path

import pytest

from conftest import REPOSITORY
from emovox.corpora import Labelling, load_corpus
from emovox.corpora.labelling import labelling, only
from emovox.emotions import is_label
from emovox.errors import ConfigError, CorpusError
from emovox.evaluation.run import Console, Learned, load_tested

EXAMPLES = REPOSITORY / "examples"


def table(path: Path, header: str, *rows: str) -> Path:
    """Write a table of examples that lie beside it."""
    for row in rows:
        name = row.partition(",")[0]
        shutil.copy(EXAMPLES / name, path.parent / name)
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def calls(tmp_path) -> Path:
    """Give a table that names columns and labels in a way of its own."""
    return table(
        tmp_path / "calls.csv",
        "Path,Label,emotion,who",
        "even.flac,Furious,?,ann",
        "man-even.flac,very_ANGRY,?,ben",
        "man-fast.flac,joy,?,ben",
    )


COLUMNS = {"file": "path", "emotion": "label", "speaker": "Who"}


class TestWords:
    """Which label a word stands for."""

    def test_mapped(self):
        """A word is mapped by its own name, whatever its case; an emotion with its other words."""
        own = Labelling(words={"Furious": "angry", "calm": "neutral"})
        words = ("furious", "FURIOUS", "calm", "relaxed", "joy", "contempt")
        assert [own.label(word) for word in words] == [
            "angry", "angry", "neutral", "neutral", "happy", None
        ]  # fmt: skip

    def test_own(self):
        """With own labels a word that means no emotion is a label itself."""
        own = Labelling(words={"angry": "irritated"}, own=True)
        words = ("Flat-Out_calm", "hot anger", "sadness", "a,b")
        assert [own.label(word) for word in words] == ["flat out calm", "irritated", "sad", None]

    def test_one_step(self):
        """What a word is mapped to is not mapped again."""
        own = Labelling(words={"calm": "neutral", "neutral": "sad"})
        assert (own.label("calm"), own.label("neutral")) == ("neutral", "sad")

    def test_needs_to_be_asked_for(self):
        """A label beyond the nine is a mistake unless own labels are asked for."""
        with pytest.raises(ConfigError, match="for labels of your own add --labels any"):
            Labelling(words={"furious": "iritated"})
        assert labelling({}, {"furious": "irritated"}, ["any"]).label("furious") == "irritated"
        assert labelling({}, {}, ["irritated", "sad"]).own
        assert not labelling({}, {}, ["happy", "sad"]).own

    @pytest.mark.parametrize("labels", [["any", "sad"], ["Sad"], ["a,b"], [""], ["<b>"]])
    def test_choices_refused(self, labels):
        """What cannot be a label is refused, and "any" beside others."""
        with pytest.raises(ConfigError, match="labels: expected"):
            only(labels)

    def test_is_label(self):
        """Labels are plain words of any script."""
        assert all(map(is_label, ("irritated", "très calme", "怒り", "grade 3", "it's fine")))
        assert not any(map(is_label, ("", "Sad", "a;b", "a\nb", "a  b", "-a", "=1+1", "x" * 41)))


class TestTables:
    """Tables with columns and words of their own."""

    def test_columns_and_words(self, calls):
        """Columns are found by the names given, and replace others of ours."""
        own = Labelling(COLUMNS, {"furious": "angry", "very angry": "angry"})
        found = load_corpus("calls", calls, labelling=own).utterances
        assert [(one.file.name, one.emotion, one.speaker) for one in found] == [
            ("even.flac", "angry", "ann"),
            ("man-even.flac", "angry", "ben"),
            ("man-fast.flac", "happy", "ben"),
        ]

    def test_own_labels(self, calls):
        """With own labels the words are kept, but for those of the nine emotions."""
        found = load_corpus("calls", calls, labelling=Labelling(COLUMNS, own=True)).utterances
        assert [one.emotion for one in found] == ["furious", "very angry", "happy"]

    def test_refused(self, calls):
        """A missing column and an unknown word are told by their names in the table."""
        with pytest.raises(CorpusError, match='expected a column "speech" in'):
            load_corpus("calls", calls, labelling=Labelling({**COLUMNS, "sentence": "speech"}))
        with pytest.raises(
            CorpusError, match=r'unknown emotion "Furious" in line 2.*--map Furious'
        ):
            load_corpus("calls", calls, labelling=Labelling(COLUMNS))
        with pytest.raises(ConfigError, match=r"columns: expected file, emotion, .* got 'path'"):
            Labelling({"path": "file"})

    def test_folders(self, tmp_path):
        """Folders may be named by own words, inside folders of speakers or not."""
        for place in ("ann/furious", "ben/joy"):
            (tmp_path / "mine" / place).mkdir(parents=True)
            shutil.copy(EXAMPLES / "even.flac", tmp_path / "mine" / place / f"{place[:3]}.flac")
        own = Labelling(own=True)
        found = load_corpus("mine", tmp_path / "mine", labelling=own).utterances
        assert [(one.emotion, one.speaker) for one in found] == [
            ("furious", "ann"),
            ("happy", "ben"),
        ]

    def test_published(self, tmp_path):
        """Emotions of a published corpus are mapped, too."""
        for name in ("OAF_bar_angry", "YAF_bar_sad"):
            shutil.copy(EXAMPLES / "even.flac", tmp_path / f"{name}.flac")
        own = Labelling(words={"angry": "irritated"}, own=True)
        found = load_corpus("tess", tmp_path, labelling=own).utterances
        assert [one.emotion for one in found] == ["irritated", "sad"]


class TestTested:
    """A model is tested as it learned."""

    def test_as_learned(self, calls, tmp_path):
        """Words count as in training: own words, boredom and calm as well."""
        more = table(
            tmp_path / "more.csv", "file,emotion", "even.flac,Furious", "man-even.flac,calm"
        )
        tested = Learned(("irritated", "sad"), {"furious": "irritated", "calm": "sad"})
        _, utterances, counted = load_tested([f"more={more}"], (), tested, Console())
        assert [one.emotion for one in utterances] == ["irritated", "sad"]
        assert counted == {"calm": 1}

    def test_nearest(self):
        """What a card does not tell counts as the nearest label, if the model has that."""
        assert Learned(("neutral", "sad")).label("calm") == "neutral"
        assert Learned(("angry", "sad"), {"calm": "neutral"}).label("calm") is None

    def test_unknown_label(self):
        """An own label that the model does not know is refused with those it knows."""
        with pytest.raises(ConfigError, match="the model knows angry, sad, got 'furious'"):
            Learned(("angry", "sad")).check(["furious"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, Path]:
    """Train both kinds of model on made-up voices with own labels; give the folder and table."""
    pytest.importorskip("torch")
    from emovox.training.run import train
    from emovox.training.settings import Acoustic, Settings, Speech
    from made_corpus import make_corpus

    root = tmp_path_factory.mktemp("own")
    source = make_corpus(root / "clips", n_speakers=2)
    text = source.read_text().replace("file,emotion", "path,mood").replace(",sad,", ",Flat,")
    source.write_text(text)
    kinds = {
        "acoustic": {"acoustic": Acoustic(epochs=1)},
        "speech": {"speech": Speech(epochs=1, n_copies=0)},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOVOX_CACHE", str(root / "cache"))
        for kind, table in kinds.items():
            settings = Settings(
                corpora=(f"calls={source}",),
                features=kind,
                columns={"file": "path", "emotion": "mood"},
                labels=("any",),
                map={"angry": "irritated"},
                **table,
            )
            train(settings, root / kind)
    return root, source


@pytest.mark.needs("torch")
@pytest.mark.usefixtures("undrawn")
class TestRuns:
    """A model of own labels, from the table to every command that uses it."""

    @pytest.mark.parametrize("kind", ["acoustic", "speech"])
    def test_card_and_report(self, trained, kind):
        """The card and the report have the own labels, and what counted as what."""
        from emovox.evaluation.run import evaluate_model
        from emovox.recognizer import Recognizer

        root, source = trained
        recognizer = Recognizer.load(root / kind / "model.onnx")
        assert recognizer.labels == ("flat", "happy", "irritated")
        assert recognizer.card.merged == {"angry": "irritated"}
        report = json.loads((root / kind / "report.json").read_text())
        assert set(report["per_emotion"]) == set(recognizer.labels)
        answers = evaluate_model(
            root / kind / "model.onnx",
            [f"calls={source}"],
            root / f"test-{kind}",
            columns={"file": "path", "emotion": "mood"},
        )
        assert (answers["n"], answers["merged"]) == (36, {"angry": 12})

    @pytest.mark.parametrize("kind", ["acoustic", "speech"])
    def test_recognised(self, trained, kind, talk, capsys):
        """Recordings, streams and subtitles have the own labels."""
        from emovox.cli import run
        from emovox.recognizer import Recognizer

        file = trained[0] / kind / "model.onnx"
        recognizer = Recognizer.load(file)
        stream = recognizer.stream()
        decisions = [*stream.feed(talk), *stream.flush()]
        assert {one.label for one in decisions} <= {"flat", "happy", "irritated"}
        even = str(EXAMPLES / "even.flac")
        arguments = ["predict", even, "-m", str(file), "--labels", "flat,irritated", "--json"]
        assert run(arguments) == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert list(row["scores"]) == ["flat", "irritated"]
