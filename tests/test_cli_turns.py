"""`emovox predict --turns`: turns of other tools in, answers with speaker and text out."""

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from conftest import LABELS
from emovox import Turn, read_turns
from emovox.audio import RATE
from emovox.cli import run
from emovox.turns.lines import read_rttm, write_rttm
from emovox.turns.subtitles import read_srt, read_vtt, write_srt, write_vtt

INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from emovox.cli import main
from emovox.turns.conversation import Conversation

answers = Conversation.__iter__

def telling(self):
    for answer in answers(self):
        yield answer
        print("a turn", file=sys.stderr, flush=True)

Conversation.__iter__ = telling
main()
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def call(capsys, model_file):
    """Give a function that runs predict: exit code, stdout, stderr."""

    def run_command(*arguments: object) -> tuple[int, str, str]:
        code = run(["predict", *map(str, arguments), "--model", str(model_file)])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run_command


@pytest.fixture
def turns(talk, recognizer):
    """Write the talk, and give the turns of two people in it; one says nothing."""
    soundfile.write("talk.wav", talk, RATE, "FLOAT")
    spans = [(round(one.start, 3), round(one.end, 3)) for one in recognizer.segments(talk, RATE)]
    said = [Turn(*span, "Anna Ö" if i % 2 else "Bob", f"no. {i}") for i, span in enumerate(spans)]
    return [*said, Turn(500.0, 501.0, "Bob", "late")]


class TestResults:
    """What is printed and written."""

    def test_json(self, call, turns, recognizer):
        """JSON holds the turns as Python gives them, and a summary of each speaker."""
        Path("talk.srt").write_text(write_srt(turns), "utf-8")
        code, out, err = call("talk.wav", "--turns", "talk.srt", "--json", "--prosody")
        assert (code, err) == (0, "")
        found = json.loads(out)
        expected = [
            answer.to_dict() for answer in recognizer.turns("talk.wav", turns, prosody=True)
        ]
        assert found["turns"] == expected
        assert [one["speaker"] for one in found["turns"]] == [one.speaker for one in turns]
        assert [one["text"] for one in found["turns"]] == [one.text for one in turns]
        assert [one["speaker"] for one in found["summaries"]] == ["Bob", "Anna Ö"]
        assert (found["file"], found["complete"]) == ("talk.wav", True)

    def test_table(self, call, turns):
        """The table has speaker and text; what has no answer is told below it."""
        Path("talk.vtt").write_text(write_vtt(turns), "utf-8")
        code, out, _ = call("talk.wav", "--turns", "talk.vtt")
        assert code == 0
        assert out.count("Anna Ö") == 2
        assert "no. 3" in out
        assert "no answer for 500 to 501 s: begins after the end of the recording, which" in out

    def test_csv(self, call, turns):
        """A table has a row for each turn, and can be given as turns again."""
        Path("talk.vtt").write_text(write_vtt(turns), "utf-8")
        code, out, err = call("talk.wav", "--turns", "talk.vtt", "--csv", "a.csv", "--prosody")
        assert (code, out, err) == (0, "", "wrote a.csv\n")
        with Path("a.csv").open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        assert [row["label"] in LABELS for row in rows] == [True] * 5 + [False]
        assert rows[5]["reason"].startswith("begins after the end")
        assert rows[5]["scores.angry"] == rows[5]["prosody.pitch_st"] == ""
        assert rows[0]["reason"] == ""
        assert read_turns("a.csv") == turns

    def test_tracks(self, call, turns):
        """Each format has a line for each turn, with its speaker, its text and its emotion."""
        pytest.importorskip("praatio")
        pytest.importorskip("pympi")
        Path("talk.vtt").write_text(write_vtt(turns), "utf-8")
        names = ("vtt", "srt", "audacity", "rttm", "textgrid", "eaf")
        options = [word for name in names for word in (f"--{name}", f"o.{name}")]
        code, out, err = call("talk.wav", "--turns", "talk.vtt", *options)
        assert (code, out) == (0, "")
        assert err.splitlines() == [f"wrote o.{name}" for name in names]
        for name in ("vtt", "srt"):
            read = read_turns(f"o.{name}")
            assert [(one.start, one.end, one.speaker) for one in read] == [
                (one.start, one.end, one.speaker) for one in turns
            ]
            assert all(one.text.split(" ")[0] in LABELS for one in read[:5])
            assert [one.text.rpartition(": ")[2] for one in read] == [one.text for one in turns]
            assert read[5].text == "(no answer): late"
        assert Path("o.audacity").read_text("utf-8").count("\n") == 6
        spoken = read_turns("o.rttm")
        assert [one.speaker for one in spoken] == [one.speaker.replace(" ", "_") for one in turns]
        assert all(one.text.removesuffix("_(uncertain)") in LABELS for one in spoken[:5])
        for name in ("textgrid", "eaf"):
            said = read_turns(f"o.{name}", tiers=["Bob", "Anna Ö"])
            assert sorted(said, key=lambda one: one.start) == turns
            felt = read_turns(f"o.{name}", tiers=["Bob emotion", "Anna Ö emotion"])
            assert len(felt) == 5
            assert all(one.text.removesuffix(" (uncertain)") in LABELS for one in felt)

    def test_tracks_of_segments(self, call, turns):
        """Segments are written in the same formats."""
        pytest.importorskip("pympi")
        code, _, _ = call(
            "talk.wav", "--segments", "--srt", "o.srt", "--eaf", "o.eaf", "--rttm", "o.rttm"
        )
        assert code == 0
        spans = [(one.start, one.end) for one in turns[:5]]
        for found in (read_srt(Path("o.srt").read_text("utf-8")), read_turns("o.eaf")):
            assert [(one.start, one.end) for one in found] == spans
        assert {one.speaker for one in read_turns("o.eaf")} == {"emotion"}
        (first, *_) = read_rttm(Path("o.rttm").read_text("utf-8"))
        assert first.speaker == ""

    def test_baseline(self, call, turns, recognizer):
        """A baseline is that of the speaker of its name; one of nobody is refused."""
        recognizer.enrol("Bob", ["talk.wav"]).save("bob.json")
        recognizer.enrol("Eve", ["talk.wav"]).save("eve.json")
        Path("t.vtt").write_text(write_vtt(turns), "utf-8")
        options = ("talk.wav", "--turns", "t.vtt", "--json", "--baseline")
        _, out, _ = call(*options, "bob.json")
        known = recognizer.enrol("Bob", ["talk.wav"])
        expected = recognizer.turns("talk.wav", turns, baselines={"Bob": known})
        assert json.loads(out)["turns"] == [answer.to_dict() for answer in expected]
        code, out, err = call(*options, "eve.json")
        assert (code, out) == (1, "")
        assert "expected the baseline of one of the speakers, 'Bob', 'Anna Ö', got that of" in err

    def test_tier(self, call, turns):
        """A tier that is named is read alone."""
        pytest.importorskip("praatio")
        from emovox.turns.tiers import write_textgrid

        Path("t.TextGrid").write_text(write_textgrid(turns, 502.0), "utf-8")
        _, out, _ = call("talk.wav", "--turns", "t.TextGrid", "--tier", "Bob", "--json")
        assert {one["speaker"] for one in json.loads(out)["turns"]} == {"Bob"}


class TestMistakes:
    """Options and files that do not go together."""

    def test_files(self, call, turns):
        """A damaged file of turns and a missing recording are told in one line."""
        Path("t.rttm").write_text("SPEAKER talk 1 0 x <NA> <NA> A\n")
        code, out, err = call("talk.wav", "--turns", "t.rttm")
        assert (code, out) == (1, "")
        assert err == (
            "emovox: t.rttm: line 1: expected a start and a duration in seconds, got '0 x'\n"
        )
        Path("t.rttm").write_text(write_rttm(turns, "talk"), "utf-8")
        code, out, err = call("none.wav", "--turns", "t.rttm", "--vtt", "o.vtt", "--json")
        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert not Path("o.vtt").exists()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--segments",), "--segments finds the speech, --turns tells it"),
            (("--speaker-by", "folder"), "--turns learns the baseline along"),
            (("--channels", "separate"), "--channels goes with --segments"),
            (("talk.wav",), "--turns takes one recording, got 2"),
        ],
    )
    def test_options(self, call, turns, options, message):
        """What does not go with turns is wrong usage."""
        Path("t.rttm").write_text(write_rttm(turns, "talk"), "utf-8")
        code, _, err = call("talk.wav", "--turns", "t.rttm", *options)
        assert code == 2
        assert message in " ".join(err.replace("│", " ").split())

    def test_alone(self, call, turns):
        """Tracks and tiers need something to be of."""
        for option in ("--srt", "--tier"):
            code, _, err = call("talk.wav", option, "o.srt")
            assert code == 2
            assert "--turns" in err

    def test_never_overwritten(self, call, turns):
        """The file of turns is an input."""
        Path("t.vtt").write_text(write_vtt(turns), "utf-8")
        code, _, err = call("talk.wav", "--turns", "t.vtt", "--vtt", "t.vtt")
        assert code == 1
        assert "--vtt t.vtt would overwrite the input t.vtt" in err
        assert len(read_vtt(Path("t.vtt").read_text("utf-8"))) == 6

    def test_extra(self, call, turns, monkeypatch):
        """Without the extra, a format that needs it is refused before any work."""
        monkeypatch.setitem(sys.modules, "pympi", None)
        monkeypatch.setitem(sys.modules, "pympi.Elan", None)
        Path("t.rttm").write_text(write_rttm(turns, "talk"), "utf-8")
        code, out, err = call("talk.wav", "--turns", "t.rttm", "--eaf", "o.eaf")
        assert (code, out) == (1, "")
        assert "pip install 'emovox[transcripts]'" in err

    def test_interrupted(self, turns, model_file):
        """On Ctrl-C the answers so far are printed."""
        Path("t.rttm").write_text(write_rttm(turns, "talk"), "utf-8")
        options = ["predict", "talk.wav", "--turns", "t.rttm", "--json", "--model", str(model_file)]
        with subprocess.Popen(
            [sys.executable, "-c", INTERRUPTIBLE, *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stderr.readline() == "a turn\n"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        if process.returncode == 0:
            pytest.skip("it was over before it could be interrupted")
        assert process.returncode == 130
        found = json.loads(out)
        assert not found["complete"]
        assert found["turns"][0]["label"] in LABELS
        assert "of 6 turns of talk.wav were recognised" in err
