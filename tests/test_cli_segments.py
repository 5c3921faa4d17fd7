"""`emovox predict --segments`: segments, tracks, channels, and results kept whatever happens."""

import csv
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import LABELS
from emovox.audio import RATE
from emovox.cli import run
from emovox.cli.segments import _changes
from emovox.cli.tracks import caption
from emovox.prediction import Prediction
from emovox.tracks import timestamp
from emovox.turns.subtitles import write_vtt
from emovox.turns.turn import Turn, TurnAnswer

INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from emovox.cli import main
from emovox.stream import Segments

segments = Segments.__iter__

def telling(self):
    for segment in segments(self):
        yield segment
        print("a segment", file=sys.stderr, flush=True)

Segments.__iter__ = telling
main()
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def call(capsys, model_file):
    """Give a function that runs predict --segments: exit code, stdout, stderr."""

    def run_command(*arguments: object) -> tuple[int, str, str]:
        words = ["predict", *map(str, arguments), "--segments", "--model", str(model_file)]
        code = run(words)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run_command


@pytest.fixture
def file(talk):
    """Write the talk."""
    soundfile.write("talk.wav", talk, RATE, "FLOAT")
    return "talk.wav"


@pytest.fixture
def stereo(talk):
    """Write a call of two channels, of which the second speaks later."""
    other = np.pad(talk, (24_000, 0))[: len(talk)]
    soundfile.write("call.wav", np.stack([talk, other], axis=1), RATE, "FLOAT")
    return "call.wav"


class TestResults:
    """What is printed and written."""

    def test_json(self, call, file, recognizer, talk):
        """JSON holds the segments as Python gives them, and the summary."""
        code, out, err = call(file, "--json")
        assert (code, err) == (0, "")
        (found,) = json.loads(out)
        assert found["segments"] == [
            segment.to_dict() for segment in recognizer.segments(talk, RATE)
        ]
        assert (found["file"], found["complete"]) == ("talk.wav", True)
        assert found["seconds"] == pytest.approx(len(talk) / RATE, abs=1e-3)
        assert sum(found["summary"]["shares"].values()) == pytest.approx(1)

    def test_table(self, call, file):
        """A table of the segments, then the share of time per emotion and the turning points."""
        code, out, _ = call(file)
        assert code == 0
        assert out.count("│ 00:00:") == 2 * 5
        assert "s of speech: " in out
        assert "turning points: " in out

    def test_tracks(self, call, file):
        """Subtitles, a label track and a table have a line for each segment."""
        options = ("--vtt", "a.vtt", "--audacity", "a.txt", "--csv", "a.csv")
        code, out, err = call(file, *options)
        assert (code, out) == (0, "")
        assert err.splitlines()[:3] == ["wrote a.csv", "wrote a.vtt", "wrote a.txt"]
        assert re.match(r"talk\.wav: \d+\.\d s of speech: ", err.splitlines()[3])
        assert err.splitlines()[4].startswith("talk.wav: turning points")
        cues = Path("a.vtt").read_text("utf-8").split("\n\n")
        assert cues[0] == "WEBVTT"
        assert len(cues) == 6
        assert cues[1].startswith("00:00:00.")
        assert " --> 00:00:01." in cues[1]
        labels = [line.split("\t") for line in Path("a.txt").read_text("utf-8").splitlines()]
        assert len(labels) == 5
        assert all(float(start) < float(end) for start, end, _ in labels)
        rows = list(csv.DictReader(Path("a.csv").read_text("utf-8").splitlines()))
        assert [float(row["start"]) for row in rows] == [float(one[0]) for one in labels]
        assert [row["file"] for row in rows] == ["talk.wav"] * 5
        scores = [f"scores.{label}" for label in LABELS]
        about = ["file", "channel", "start", "end", "label", "score"]
        assert list(rows[0]) == [*about, *scores, "certain", "level_db", "level"]

    def test_channels(self, call, stereo, recognizer):
        """Each channel is a speaker with a baseline of its own; segments stand in order of time."""
        code, out, _ = call(stereo, "--channels", "separate", "--json")
        assert code == 0
        (found,) = json.loads(out)
        starts = [segment["start"] for segment in found["segments"]]
        assert starts == sorted(starts)
        for channel in (0, 1):
            alone = list(recognizer.segments(stereo, channel=channel, without_bleed=True))
            segments = [segment for segment in found["segments"] if segment["channel"] == channel]
            assert [segment["scores"] for segment in segments] == [
                dict(one.scores) for one in alone
            ]
        assert [one["channel"] for one in found["summaries"]] == [0, 1]

    def test_channels_in_tracks(self, call, stereo):
        """Subtitles and labels tell the channel."""
        call(stereo, "--channels", "separate", "--vtt", "a.vtt", "--audacity", "a.txt")
        assert "<v channel 1>" in Path("a.vtt").read_text("utf-8")
        assert "channel 1: " in Path("a.txt").read_text("utf-8")

    def test_explain(self, call, file):
        """With --explain each segment has its moments."""
        _, out, _ = call(file, "--json", "--explain")
        assert all(segment["moments"] for segment in json.loads(out)[0]["segments"])

    def test_prosody(self, call, file, recognizer, talk):
        """With --prosody each segment has what was measured: in JSON, in CSV and in the table."""
        expected = [one.prosody for one in recognizer.segments(talk, RATE, prosody=True)]
        _, out, _ = call(file, "--json", "--prosody")
        measured = [segment["prosody"] for segment in json.loads(out)[0]["segments"]]
        assert len(measured) == len(expected) == 5
        for found, one in zip(measured, expected, strict=True):  # the file has 16 bits
            assert found["pitch_st"] == pytest.approx(one.pitch_st, abs=0.05)
        call(file, "--csv", "a.csv", "--prosody")
        rows = list(csv.DictReader(Path("a.csv").read_text("utf-8").splitlines()))
        assert [float(row["prosody.pitch_st"]) for row in rows] == [
            one["pitch_st"] for one in measured
        ]
        assert " Hz " in call(file, "--prosody")[1]
        assert " Hz " not in call(file)[1]

    def test_baseline(self, call, file, recognizer, talk):
        """With --baseline the recording begins with what was heard before."""
        baseline = recognizer.enrol("anna", [talk[:20_000]], RATE)
        baseline.save("anna.json")
        _, out, _ = call(file, "--json", "--baseline", "anna.json")
        expected = recognizer.segments(talk, RATE, baseline=baseline)
        assert [p["score"] for p in json.loads(out)[0]["segments"]] == [p.score for p in expected]

    def test_no_speech(self, call):
        """Where nobody speaks, it says so, and that is no error."""
        soundfile.write("noise.wav", np.random.default_rng(0).normal(0, 0.05, RATE), RATE)
        code, out, _ = call("noise.wav")
        assert code == 0
        assert "no speech found" in out


class TestTroubles:
    """What was found is kept."""

    def test_cut_off(self, call, file):
        """A file cut off in the middle: its segments, the break on stderr, exit code 1."""
        data = Path(file).read_bytes()
        Path("cut.wav").write_bytes(data[: len(data) * 6 // 10])
        code, out, err = call("cut.wav", "--json")
        (found,) = json.loads(out)
        assert code == 1
        assert "cut.wav: the file is cut off" in err
        assert "the sound before that was recognised" in err
        assert not found["complete"]
        assert len(found["segments"]) >= 2

    def test_bad_among_good(self, call, file):
        """A file that cannot be read does not keep the others from being answered."""
        Path("bad.wav").write_text("no audio")
        code, out, err = call("bad.wav", file, "missing.wav", "--json")
        assert code == 1
        assert [len(one["segments"]) for one in json.loads(out)] == [0, 5, 0]
        assert "bad.wav: not a readable audio file" in err
        assert "missing.wav: no such file" in err
        code, out, _ = call("bad.wav", file)
        assert (code, "bad.wav" in out, "no speech found" in out) == (1, False, False)

    def test_nothing_to_answer(self, call):
        """A folder without recordings is reported; there is nothing to write subtitles of."""
        Path("empty").mkdir()
        code, out, err = call("empty", "--vtt", "a.vtt", "--audacity", "a.txt")
        assert (code, out) == (1, "")
        assert err == "emovox: empty: no audio files in this folder\n"
        assert not Path("a.vtt").exists()

    def test_usage(self, call, file, model_file, capsys):
        """Options that do not go together are refused."""
        assert call(file, "--speaker-by", "folder")[0] == 2
        assert call(file, file, "--vtt", "a.vtt")[0] == 2
        assert call(file, "--channels", "both")[0] == 2
        for option in (("--vtt", "a"), ("--audacity", "a"), ("--channels", "separate")):
            assert run(["predict", file, *option, "--model", str(model_file)]) == 2
        assert "--segments" in capsys.readouterr().err

    def test_limit(self, call, file):
        """--max-seconds holds, too; without it there is no limit."""
        code, _, err = call(file, "--max-seconds", "3")
        assert code == 1
        assert "expected at most 3 s of audio" in err

    def test_interrupted(self, model_file, talk):
        """Ctrl-C in a long recording: what was recognised until then is written, and it says so."""
        soundfile.write("long.wav", np.tile(talk, 100), RATE, "PCM_16")
        words = ["predict", "long.wav", "--segments", "--csv", "a.csv", "--model", str(model_file)]
        process = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTIBLE, *words], stderr=subprocess.PIPE, text=True
        )
        assert process.stderr.readline() == "a segment\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "wrote a.csv" in err
        assert "emovox: interrupted; long.wav was recognised up to 0" in err
        assert len(Path("a.csv").read_text("utf-8").splitlines()) > 1


class TestTurningPoints:
    """What a person is told of where the emotion changes."""

    def segments(self, n: int) -> list[Prediction]:
        """Make segments that turn from one label to the other, surer and surer."""
        return [
            Prediction(("sad", "happy")[k % 2], 0.5 + k / 1000, {}, 10.0 * k, 10.0 * k + 5, True)
            for k in range(n)
        ]

    def test_few(self):
        """Ten are told, in the order of time."""
        told = _changes(self.segments(11))
        assert told.startswith("turning points: sad to happy at 00:00:10.000, happy to sad at ")
        assert told.count(" to ") == 10

    def test_many(self):
        """Of more, the ten between the surest segments, and how many there are."""
        told = _changes(self.segments(80))
        assert told.startswith("turning points (the 10 surest of 79): happy to sad at 00:11:40.000")
        assert told.endswith("at 00:13:10.000")
        assert told.count(" at ") == 10

    def test_none(self):
        """Where nothing changes, it says so."""
        assert _changes(self.segments(1)) == "turning points: none"


class TestTracks:
    """How times and texts are written."""

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(0, "00:00:00.000"), (59.9996, "00:01:00.000"), (86_399.5, "23:59:59.500")],
    )
    def test_clock(self, seconds, text):
        """Hours, minutes, seconds and thousandths."""
        assert timestamp(seconds) == text

    def test_escaped(self):
        """A label of a user's own model cannot break the subtitles."""
        segment = Prediction("<b>&", 0.5, {"<b>&": 0.5}, 0.0, 1.0, False)
        said = caption(TurnAnswer(Turn(0.0, 1.0), segment))
        assert write_vtt([Turn(0.0, 1.0, "", said)]).endswith("&lt;b&gt;&amp; 50% (uncertain)\n")
