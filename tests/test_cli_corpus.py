"""`emovox corpus`: results on stdout, terms and errors elsewhere."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from emovox.cli.corpus import corpus_app
from emovox.corpora import SPECS
from emovox.errors import CorpusError

RUNNER = CliRunner()


@pytest.fixture
def emodb(tmp_path: Path) -> Path:
    """Make EmoDB in small, with one foreign file."""
    rng = np.random.default_rng(0)
    for name in ("03a01Fa", "08a01Wa", "08a02Wa", "interview"):
        soundfile.write(tmp_path / f"{name}.wav", rng.uniform(-0.5, 0.5, 16_000), 16_000)
    return tmp_path


class TestList:
    """Which corpora there are."""

    def test_names_all(self) -> None:
        """Every published corpus is named, with its terms."""
        result = RUNNER.invoke(corpus_app, ["list"])
        assert result.exit_code == 0
        for spec in SPECS.values():
            assert f"{spec.name}: " in result.stdout
        assert "CC BY-NC-SA 4.0" in result.stdout

    def test_json(self) -> None:
        """As JSON the same, with citation and page."""
        result = RUNNER.invoke(corpus_app, ["list", "--json"])
        corpora = json.loads(result.stdout)
        assert [one["name"] for one in corpora] == list(SPECS)
        assert all(one["licence"] and one["citation"] and one["homepage"] for one in corpora)


class TestSummary:
    """What is in a corpus."""

    def test_table(self, emodb: Path) -> None:
        """A person gets a table, durations, rates and the problems in words."""
        result = RUNNER.invoke(corpus_app, ["summary", f"emodb={emodb}"])
        assert result.exit_code == 0
        assert "emodb: 3 of 535 utterances, 2 speakers, 2 emotions, 2 sentences" in result.stdout
        assert "1.00 s on average" in result.stdout
        assert "16,000 Hz (3)" in result.stdout
        assert "foreign: 1 audio file left out" in result.stdout
        assert "interview.wav" in result.stdout
        assert result.stderr == ""

    def test_json(self, emodb: Path) -> None:
        """With --json stdout holds one JSON object and nothing else."""
        result = RUNNER.invoke(corpus_app, ["summary", f"emodb={emodb}", "--json"])
        summary = json.loads(result.stdout)
        assert summary["n_utterances"] == 3
        assert summary["speakers"]["08"] == {"sex": "female", "clips": 2, "emotions": {"angry": 2}}
        assert {one["kind"] for one in summary["problems"]} == {"foreign", "missing"}

    def test_without_problems(self, tmp_path: Path) -> None:
        """A corpus without problems says so; unknown speakers are shown as such."""
        (tmp_path / "sad").mkdir()
        soundfile.write(tmp_path / "sad" / "a.wav", np.full(800, 0.1), 8_000)
        result = RUNNER.invoke(corpus_app, ["summary", f"mine={tmp_path}"])
        assert "No problems found." in result.stdout
        assert "(unknown)" in result.stdout

    def test_errors_are_for_the_top_level(self, tmp_path: Path) -> None:
        """A user's mistake is raised as a CorpusError, with nothing on stdout."""
        result = RUNNER.invoke(corpus_app, ["summary", f"tess={tmp_path}/nowhere"])
        assert isinstance(result.exception, CorpusError)
        assert result.stdout == ""

    @pytest.mark.corpora
    def test_tess(self, corpora_root: Path) -> None:
        """The real TESS: its counts, and its two missing files named."""
        result = RUNNER.invoke(corpus_app, ["summary", f"tess={corpora_root / 'tess'}", "--json"])
        summary = json.loads(result.stdout)
        assert (summary["n_utterances"], summary["n_expected"]) == (2_798, 2_800)
        assert (summary["n_speakers"], summary["n_emotions"]) == (2, 7)
        assert summary["n_sentences"] == 200
        assert summary["problems"][0]["files"] == ["OAF_back_angry", "YAF_beg_sad"]


class TestDownload:
    """The command around the download."""

    def test_terms_are_asked_for(self, tmp_path: Path) -> None:
        """The terms go to stderr; without a yes nothing happens."""
        pytest.importorskip("pooch")
        for answer in ("n\n", ""):
            result = RUNNER.invoke(
                corpus_app, ["download", "tess", "--to", str(tmp_path)], input=answer
            )
            assert isinstance(result.exception, CorpusError)
            assert "CC BY-NC-ND 4.0" in result.stderr
            assert result.stdout == ""

    def test_yes_accepts(self, tmp_path: Path) -> None:
        """--yes accepts the terms without a question; they are shown all the same."""
        pytest.importorskip("pooch")
        options = ["--to", str(tmp_path), "--url", "http://127.0.0.1:1/x.zip", "--yes"]
        result = RUNNER.invoke(corpus_app, ["download", "emodb", *options])
        assert "cannot download http://127.0.0.1:1/x.zip" in str(result.exception)
        assert "Burkhardt" in result.stderr

    def test_nobodys_home(self) -> None:
        """The home of a user who is not there is no place to download to."""
        options = ["--to", "~nobody-of-this-name/x", "--yes"]
        result = RUNNER.invoke(corpus_app, ["download", "emodb", *options])
        assert "not a usable path" in str(result.exception)

    def test_by_hand(self, tmp_path: Path) -> None:
        """A corpus that needs a registration says so and names its page."""
        result = RUNNER.invoke(corpus_app, ["download", "savee", "--to", str(tmp_path)])
        assert "registration" in str(result.exception)
        assert "http://kahlan.eps.surrey.ac.uk/savee/" in str(result.exception)
