"""`emovox compare`: figures and settings of runs, and whether they can be compared."""

import csv
import json

import pytest

from emovox.cli import run
from emovox.evaluation.comparison import changed_settings, differences, read_run

pytestmark = pytest.mark.needs("matplotlib")


def make_run(folder, protocol="random", files=("a", "b"), labels=("happy", "sad"), **settings):
    """Write the report and the tables of a run."""
    folder.mkdir(parents=True)
    interval = {"low": 0.5, "high": 0.9}
    per_emotion = {label: {"recall": 0.75, "support": 1} for label in labels}
    report = {
        **dict.fromkeys(("accuracy", "uar", "macro_f1"), 0.75),
        "protocol": protocol,
        "settings": settings,
        "model": {"n_parameters": 1234},
        "n": len(files),
        "per_emotion": per_emotion,
        "confusion": {"labels": list(labels), "matrix": []},
        "intervals": dict.fromkeys(("accuracy", "uar", "macro_f1"), interval),
    }
    (folder / "report.json").write_text(json.dumps(report))
    for name, columns, cells in (
        ("predictions", ("file", "truth"), lambda file: (file, labels[0])),
        ("split", ("file", "digest"), lambda file: (file, f"digest of {file[-1]}")),
    ):
        with (folder / f"{name}.csv").open("w", newline="") as out:
            csv.writer(out).writerows([columns, *map(cells, files)])
    return folder


class TestRuns:
    """What can be compared, and what differs."""

    def test_comparable(self, tmp_path):
        """Runs with the same test can be compared, wherever its recordings lie."""
        one = make_run(tmp_path / "one", seed=1, acoustic={"epochs": 3})
        other = make_run(tmp_path / "two", files=("x/a", "x/b"), seed=2, speech={"epochs": 4})
        runs = [read_run(one), read_run(other)]
        assert differences(runs) == []
        assert changed_settings(runs) == {"seed": ["1", "2"]}

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"protocol": "speaker"}, "the protocol is random and speaker"),
            ({"labels": ("happy", "calm")}, "only one has the labels calm, sad"),
            ({"files": ("a", "c")}, "of 3 test recordings 1 are in the test of both"),
        ],
    )
    def test_not_comparable(self, tmp_path, changes, reason, capsys):
        """What keeps two runs apart is told in a line, beside the table."""
        one, other = make_run(tmp_path / "one"), make_run(tmp_path / "two", **changes)
        (line,) = differences([read_run(one), read_run(other)])
        assert line.startswith(f"{one} and {other} cannot be compared: ")
        assert reason in line
        assert run(["compare", str(one), str(other)]) == 0
        out, err = capsys.readouterr()
        assert "75.0%" in out
        assert "1,234" in out
        assert reason in err

    def test_picture_and_json(self, tmp_path, capsys):
        """The picture is written, and JSON holds all figures."""
        one, other = make_run(tmp_path / "one"), make_run(tmp_path / "two")
        picture = tmp_path / "runs.svg"
        arguments = ["compare", str(one), str(other), "--json", "--picture", str(picture)]
        assert run(arguments) == 0
        text = capsys.readouterr().out.removesuffix(f"{picture}\n")
        found = json.loads(text)
        assert [row["recalls"] for row in found["runs"]] == [{"happy": 0.75, "sad": 0.75}] * 2
        assert found["not_comparable"] == []
        assert "<svg" in picture.read_text()

    @pytest.mark.parametrize("content", [None, "{}", "[]", "1", "{", "null"])
    def test_no_report(self, tmp_path, content, capsys):
        """A folder without a report, or with a damaged one, is one line."""
        (tmp_path / "two").mkdir()
        if content is not None:
            (tmp_path / "two" / "report.json").write_text(content)
        one = make_run(tmp_path / "one")
        assert run(["compare", str(one), str(tmp_path / "two")]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "report.json" in line
