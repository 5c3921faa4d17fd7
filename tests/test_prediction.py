"""What a recording's segments come to: shares of time and turning points."""

import json

import pytest

from emovox.prediction import Prediction, TurningPoint, summarise


def segment(label: str, start: float, end: float, *, certain: bool = True, final: bool = True):
    """Make a prediction."""
    scores = {"happy": 0.2, "sad": 0.1, label: 0.7}
    return Prediction(label, 0.7, scores, start, end, certain, final)


def test_shares_are_of_time():
    """Each label has its share of the speech time; pauses and interim decisions do not count."""
    summary = summarise(
        [segment("sad", 0, 1), segment("happy", 2, 5), segment("sad", 5, 9, final=False)]
    )
    assert summary.speech_seconds == 4.0
    assert dict(summary.shares) == {"happy": 0.75, "sad": 0.25}
    assert summary.uncertain == 0.0


def test_uncertain_segments():
    """An uncertain segment has a share, and is no turning point."""
    segments = [segment("sad", 0, 1), segment("happy", 1, 2, certain=False), segment("sad", 2, 4)]
    summary = summarise(segments)
    assert summary.uncertain == pytest.approx(0.25)
    assert summary.turning_points == ()


def test_turning_points():
    """A turning point is where the label of certain segments changes."""
    segments = [
        segment("sad", 0, 1),
        segment("sad", 2, 3),
        segment("happy", 4, 5),
        segment("sad", 6, 7),
    ]
    assert summarise(segments).turning_points == (
        TurningPoint(4, "sad", "happy"),
        TurningPoint(6, "happy", "sad"),
    )


def test_no_speech():
    """Without speech there are no shares."""
    summary = summarise([])
    assert summary.to_dict() == {
        "speech_seconds": 0.0,
        "shares": {},
        "uncertain": 0.0,
        "turning_points": [],
    }


def test_json():
    """The summary is JSON without further ado."""
    data = summarise([segment("sad", 0, 1), segment("happy", 2, 5)]).to_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["turning_points"] == [{"at": 2, "before": "sad", "after": "happy"}]
