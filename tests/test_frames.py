"""Predictions, segments and turns as data frames."""

import subprocess
import sys

import pytest

from conftest import REPOSITORY
from emovox.tracks import to_frame

pandas = pytest.importorskip("pandas")
EVEN = REPOSITORY / "examples" / "even.flac"


def test_segments(shipped, talk):
    """A row for each segment, with scores and prosody in columns of their own."""
    segments = list(shipped.segments(talk, 16_000, prosody=True, explain=True))
    frame = to_frame(segments, file="talk.wav")
    assert list(frame.columns[:4]) == ["file", "label", "score", "scores.angry"]
    assert list(frame["label"]) == [one.label for one in segments]
    assert frame.filter(like="scores.").sum(axis=1).to_numpy() == pytest.approx(1)
    assert "prosody.pitch_st" in frame
    assert "moments" not in frame
    assert frame["start"].is_monotonic_increasing


def test_turns(shipped):
    """Turns have speaker, text and reason; one without an answer only these and its times."""
    turns = shipped.turns(EVEN, [(0.0, 1.6, "ann", "well"), (60.0, 61.0, "ben", "gone")])
    frame = to_frame(turns)
    assert list(frame["speaker"]) == ["ann", "ben"]
    assert frame["score"].isna().tolist() == [False, True]
    assert frame["reason"][1]


def test_nothing():
    """Nothing is an empty frame."""
    assert to_frame([]).empty


def test_without_pandas():
    """Without pandas an error says what to install."""
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from emovox.tracks import to_frame\n"
        "from emovox.errors import MissingExtraError\n"
        "try: to_frame([])\n"
        "except MissingExtraError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "this needs pandas; install it with: pip install pandas\n"
