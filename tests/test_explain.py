"""What carried a prediction: quarter seconds that are silenced in turn."""

from itertools import pairwise

import numpy as np
import pytest

from emovox.audio import RATE
from emovox.explain import MOMENT


def test_moments_cover_the_clip(recognizer, talk):
    """They follow each other without gaps, a quarter second each, from start to end."""
    clip = talk[:21_000]
    moments = recognizer.predict(clip, RATE, explain=True).moments
    assert moments[0].start == 0.0
    assert moments[-1].end == round(21_000 / RATE, 4)
    for before, after in pairwise(moments):
        assert before.end == after.start == before.start + 0.25


def test_weight_is_what_the_score_loses(recognizer, voice):
    """A weight is by how much the winning score falls when the moment is silent."""
    prediction = recognizer.predict(voice, RATE, explain=True)
    masked = voice.copy()
    masked[-MOMENT:] = 0
    masked[-MOMENT - 160 : -MOMENT] *= np.linspace(1, 0, 160, dtype=np.float32)
    left = recognizer.hear(masked)[0].scores[prediction.label]
    assert prediction.moments[-1].weight == pytest.approx(prediction.score - left, abs=1e-6)


def test_speech_alone(recognizer, voice):
    """Moments are those of the speech, where it is in the recording; pauses have none."""
    padded = np.pad(voice, (RATE, RATE))
    moments = recognizer.predict(padded, RATE, explain=True).moments
    assert 0.7 < moments[0].start < 1.1
    assert 1.9 < moments[-1].end < 2.3
    assert max(abs(moment.weight) for moment in moments) > 0


def test_longer_than_the_window(recognizer, voice):
    """Each window of a long clip is explained by itself, for its share of the score."""
    clip = np.tile(voice, 7)  # two windows of the tiny model
    moments = recognizer.predict(clip, RATE, explain=True).moments
    assert moments[-1].end == 7.0
    assert all(np.isfinite(moment.weight) for moment in moments)


def test_in_json_only_when_asked_for(recognizer, voice):
    """`to_dict` has the moments where they were asked for."""
    assert "moments" not in recognizer.predict(voice, RATE).to_dict()
    found = recognizer.predict(voice, RATE, explain=True).to_dict()["moments"]
    assert [set(moment) for moment in found] == [{"start", "end", "weight"}] * 4


def test_nothing_else_changes(recognizer, voice):
    """Asking for an explanation does not change the answer."""
    assert (
        recognizer.predict(voice, RATE, explain=True).scores
        == recognizer.predict(voice, RATE).scores
    )
