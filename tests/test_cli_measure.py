"""`emovox measure`: prosody of recordings, without a model."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import REPOSITORY
from emovox.audio import RATE
from emovox.cli import run
from emovox.measuring import measure_recording, measure_segments
from test_architecture import loaded_after

EVEN = REPOSITORY / "examples" / "even.flac"
MAN = REPOSITORY / "examples" / "man-even.flac"


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """Give a function that runs measure in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run_command(*arguments: object) -> tuple[int, str, str]:
        code = run(["measure", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run_command


def test_json(call):
    """An object for each recording, with what Python measures."""
    code, out, _ = call(EVEN, MAN, "--json")
    assert code == 0
    assert json.loads(out) == [
        {"file": str(file), **measure_recording(file).to_dict()} for file in (EVEN, MAN)
    ]


def test_table(call):
    """A line for a person tells pitch, range, loudness, tempo and pauses."""
    code, out, _ = call(MAN)
    prosody = measure_recording(MAN).prosody
    assert code == 0
    assert f"{prosody.pitch_hz:.0f} Hz" in out
    assert f"{prosody.rate_hz:.1f}/s" in out
    assert f"{prosody.level_db:.1f} dB" in out


def test_csv(call):
    """A table has a row for each recording; nothing is printed."""
    code, out, _ = call(EVEN, MAN, "--csv", "a.csv")
    rows = list(csv.DictReader(Path("a.csv").read_text("utf-8").splitlines()))
    assert (code, out) == (0, "")
    assert [float(row["prosody.pitch_st"]) for row in rows] == [
        measure_recording(file).prosody.pitch_st for file in (EVEN, MAN)
    ]


def test_segments_and_channels(call, talk):
    """Each segment is measured, and each channel by itself."""
    soundfile.write("talk.wav", np.stack([talk, np.roll(talk, RATE)], 1), RATE)
    _, out, _ = call("talk.wav", "--segments", "--json")
    (found,) = json.loads(out)
    assert found["complete"]
    assert found["segments"] == [one.to_dict() for one in measure_segments("talk.wav")]
    _, out, _ = call("talk.wav", "--segments", "--channels", "separate", "--json")
    segments = json.loads(out)[0]["segments"]
    assert [one["start"] for one in segments] == sorted(one["start"] for one in segments)
    for channel in (0, 1):
        found = measure_segments("talk.wav", channel=channel, without_bleed=True)
        alone = [one.to_dict() for one in found]
        assert [one for one in segments if one["channel"] == channel] == [
            {**one, "channel": channel} for one in alone
        ]
    assert "channel" in call("talk.wav", "--segments", "--channels", "separate")[1]


def test_bad_recordings(call):
    """Bad files are told after the good ones are measured, and the exit code is 1."""
    soundfile.write("noise.wav", np.random.default_rng(0).normal(0, 0.01, RATE), RATE)
    code, out, err = call(EVEN, "nothing.wav", "noise.wav", "--json")
    assert code == 1
    assert [row["file"] for row in json.loads(out)] == [str(EVEN)]
    assert "nothing.wav: no such file" in err
    assert "noise.wav: no speech" in err
    assert "2 of 3 recordings could not be measured" in err


def test_nobody_speaks_in_segments(call):
    """Where nobody speaks there are no segments, and that is no error."""
    soundfile.write("noise.wav", np.random.default_rng(0).normal(0, 0.01, RATE), RATE)
    code, out, _ = call("noise.wav", "--segments")
    assert (code, out) == (0, "noise.wav: no speech found\n")


def test_cut_off(call, talk):
    """What comes before the break is measured, and the break is told."""
    soundfile.write("talk.flac", talk, RATE)
    whole = Path("talk.flac").read_bytes()
    Path("cut.flac").write_bytes(whole[: len(whole) // 2])
    code, out, err = call("cut.flac", "--segments", "--json")
    (found,) = json.loads(out)
    assert code == 1
    assert found["segments"]
    assert not found["complete"]
    assert "the sound before that was measured" in err


@pytest.mark.parametrize("segments", [False, True])
def test_interrupted(call, monkeypatch, segments):
    """Ctrl-C keeps what was measured, and tells how much that is; nothing is made up."""
    number = iter(range(10))

    def interrupted(audio, *arguments, **options):
        if next(number) == 1:
            raise KeyboardInterrupt
        return (measure_segments if segments else measure_recording)(audio, **options)

    name = "measure_segments" if segments else "measure_recording"
    monkeypatch.setattr(f"emovox.measuring.{name}", interrupted)
    options = ["--segments"] if segments else []
    code, out, err = call(EVEN, MAN, EVEN, "--json", *options)
    assert code == 130
    assert [row["file"] for row in json.loads(out)] == [str(EVEN)]
    assert "interrupted; 1 of 3 recordings were measured" in err


@pytest.mark.parametrize(
    ("options", "told"),
    [(("--channels", "separate"), "--channels goes with"), (("--csv", "."), "directory")],
)
def test_wrong_usage(call, options, told):
    """Options that do not go together, and a folder to write to, are refused before any work."""
    code, _, err = call(EVEN, *options)
    assert code
    assert told in err


def test_no_model_is_opened():
    """Measuring opens no model file: no network of emotions can run."""
    code = (
        "import emovox.model\nfrom emovox.cli import run\n"
        "def refused(*_, **__): raise AssertionError('a model was opened')\n"
        "emovox.model.open_session = refused\n"
        "assert run(['measure', {0!r}]) == 0\nassert run(['measure', {0!r}, '--segments']) == 0\n"
        "assert 'emovox.recognizer' not in sys.modules"
    )
    assert not loaded_after(code.format(str(EVEN))) & {"torch", "librosa"}
