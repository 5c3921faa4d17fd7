"""The head of a speech model: stored windows heard again, without the audio.

With it, a recording that was heard once can be judged again with another baseline, at a thousandth
of the cost of hearing it.
"""

import os
from collections.abc import Sequence

import numpy as np

from ..baseline import Baseline, Window
from ..errors import ModelError
from ..model import OUTPUTS, find_model, open_session
from ..prediction import Prediction
from ..recognizer import Recognizer

_VOICE = "voice"  # the first part of the embedding, as the exporter names it


class Head:
    """The head of a model, opened for inference; `cut_head` gives its content."""

    def __init__(self, content: bytes, model: Recognizer) -> None:
        self._session = open_session(content)
        self._n_voice = self._session.get_inputs()[0].shape[1]
        self._model = model

    def hear(
        self, windows: Sequence[Window], baseline: Baseline
    ) -> tuple[Prediction, list[Window]]:
        """Return what `Model.hear` would of a clip, but its times, from what it once returned.

        The windows may have been heard with any other baseline.
        """
        card = self._model.card
        vector = baseline.vector(card.baseline, card.baseline_seconds)[None]
        voices = [window.embedding[None, : self._n_voice] for window in windows]
        answers = [
            self._session.run(OUTPUTS, {_VOICE: voice, "baseline": vector}) for voice in voices
        ]
        prediction = self._model.decide(np.concatenate([logits for logits, _ in answers]), 0.0)
        return prediction, [
            Window(embedding[0], window.seconds)
            for window, (_, embedding) in zip(windows, answers, strict=True)
        ]


def cut_head(path: str | os.PathLike[str] | None) -> bytes | None:
    """Take the head out of a model file; None if the model has to hear a clip anew.

    Returns
    -------
    content : bytes
        An ONNX graph from `voice` and `baseline` to `logits` and `embedding`.

    Raises
    ------
    ModelError
        If it has no head, and what it heard of a clip depends on the baseline.
    """
    import onnx

    model = onnx.load_from_string(find_model(path).read_bytes())
    parts = onnx.utils.Extractor(model)
    if any(_VOICE in node.output for node in model.graph.node):
        head: bytes = parts.extract_model([_VOICE, "baseline"], list(OUTPUTS)).SerializeToString()
        return head
    try:
        open_session(parts.extract_model(["audio", "lengths"], ["embedding"]).SerializeToString())
    except ModelError:  # a node that leads to the embedding needs the baseline
        raise ModelError(
            "expected a model with a tensor named voice, or with embeddings that do not depend on "
            "the baseline; export it with this version of emovox, or score without --speaker-by"
        ) from None
    return None
