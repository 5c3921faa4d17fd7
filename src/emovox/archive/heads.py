"""The head of a speech model: from a stored embedding to logits, without the audio.

With it, a recording that was heard once can be judged again with another baseline, at a thousandth
of the cost of hearing it.
"""

import os

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..model import OUTPUTS, find_model, open_session

_VOICE = "voice"  # the first part of the embedding, as the exporter names it


class Head:
    """The head of a model, opened for inference; `cut_head` gives its content."""

    def __init__(self, content: bytes) -> None:
        self._session = open_session(content)
        self._n_voice = self._session.get_inputs()[0].shape[1]

    def infer(
        self, embedding: NDArray[np.float32], baseline: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the logits and the embedding that the whole graph gives with this baseline.

        The embedding given, of shape (n_embedding,), may be that of any other baseline.
        """
        feeds = {_VOICE: embedding[None, : self._n_voice], "baseline": baseline[None]}
        logits, heard = self._session.run(OUTPUTS, feeds)
        return logits[0], heard[0]


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
