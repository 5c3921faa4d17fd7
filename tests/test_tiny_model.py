"""The tests' own model: the script beside it still makes it."""

import numpy as np
import onnxruntime
import pytest

from conftest import TINY
from emovox.recognizer import Recognizer

pytest.importorskip("torch", reason="the export needs emovox[train]")


def test_the_script_still_makes_it(tmp_path, voice):
    """A file made now has the card and the outputs of the committed one; if not, run the script."""
    from make_tiny_model import make_tiny_model

    made = tmp_path / "tiny.onnx"
    make_tiny_model(made)
    card = Recognizer.load(made).card
    assert card == Recognizer.load(TINY).card
    feeds = {
        "audio": voice[None],
        "lengths": np.array([voice.size]),
        "baseline": np.zeros((1, len(card.baseline)), np.float32),
    }
    outputs = [onnxruntime.InferenceSession(file).run(None, feeds) for file in (made, TINY)]
    for now, kept in zip(*outputs, strict=True):
        np.testing.assert_allclose(now, kept, atol=1e-5)
