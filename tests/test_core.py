"""What the core alone can do, no extra installed: recognise files and live sound, learn a voice."""

import importlib.util
import json

import pytest

from conftest import REPOSITORY
from emovox import Baseline, load_audio
from emovox.cli import run

EXAMPLE = REPOSITORY / "examples" / "even.flac"
CORE_ALONE = not any(
    map(importlib.util.find_spec, ("torch", "matplotlib", "sounddevice", "uvicorn", "dask"))
)


def test_files_segments_and_streams_agree(shipped):
    """A file, its segments, and the same sound fed live are recognised, and explained."""
    assert shipped.predict(EXAMPLE, explain=True).moments
    segments = list(shipped.segments(EXAMPLE))
    stream = shipped.stream()
    live = [*stream.feed(load_audio(EXAMPLE)), *stream.flush()]
    assert segments
    assert [prediction for prediction in live if prediction.final] == segments


def test_the_command_line_learns_a_voice_and_uses_it(shipped, tmp_path, capsys):
    """`enrol` writes a baseline, which `predict` reads."""
    assert run(["enrol", "ada", str(EXAMPLE), "--out", str(tmp_path / "ada.json")]) == 0
    baseline = Baseline.load(tmp_path / "ada.json")
    expected = shipped.predict(EXAMPLE, baseline=baseline)
    capsys.readouterr()
    command = ["predict", str(EXAMPLE), "--baseline", str(tmp_path / "ada.json"), "--json"]
    assert run(command) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["label"] == expected.label
    assert answer["scores"] == pytest.approx(dict(expected.scores), abs=1e-4)


@pytest.mark.skipif(not CORE_ALONE, reason="extras are installed here")
@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("train --corpus x=clips.csv --out run", "train"),
        ("evaluate --corpus x=clips.csv --out answers", "report"),
        (f"plot recording {EXAMPLE} --out picture", "train"),
        (f"plot timeline {EXAMPLE} --out picture --no-explain", "train"),
        ("listen", "live"),
        ("serve", "serve"),
        ("score clips --out answers", "archive"),
    ],
)
def test_other_commands_say_what_they_need(command, extra, capsys):
    """A command whose extra is missing names it in one line."""
    assert run(command.split()) == 1
    error = capsys.readouterr().err
    assert f"emovox[{extra}]" in error
    assert "Traceback" not in error
