"""The head of a speech model: from a stored embedding to logits, without the audio.

With it, a recording that was heard once can be judged again with another baseline, at a thousandth
of the cost of hearing it.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..model import OUTPUTS, find_model, open_session

if TYPE_CHECKING:
    import onnx

_VOICE = "voice"  # the first part of the embedding, as the exporter names it


class Head:
    """The head of a model, opened for inference.

    Parameters
    ----------
    content : bytes
        From `cut_head`.
    """

    def __init__(self, content: bytes) -> None:
        self._session = open_session(content)
        self._n_voice = self._session.get_inputs()[0].shape[1]

    def infer(
        self, embedding: NDArray[np.float32], baseline: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Judge a clip by its embedding with another baseline.

        Parameters
        ----------
        embedding : ndarray of float32, shape=(n_embedding,)
            From the whole graph, with any baseline.
        baseline : ndarray of float32, shape=(n_embedding,)

        Returns
        -------
        logits : ndarray of float32, shape=(n_labels,)
        embedding : ndarray of float32, shape=(n_embedding,)
            As the whole graph gives it with this baseline.
        """
        feeds = {_VOICE: embedding[None, : self._n_voice], "baseline": baseline[None]}
        logits, heard = self._session.run(OUTPUTS, feeds)
        return logits[0], heard[0]


def cut_head(path: str | os.PathLike[str] | None) -> bytes | None:
    """Take the head out of a model file; None if the file names no tensor `voice`.

    Returns
    -------
    content : bytes
        An ONNX graph from `voice` and `baseline` to `logits` and `embedding`.
    """
    model = _graph(path)
    if not any(_VOICE in node.output for node in model.graph.node):
        return None
    return _part(model, [_VOICE, "baseline"], OUTPUTS)


def embedding_is_fixed(path: str | os.PathLike[str] | None) -> bool:
    """Tell whether a model's embedding is the same whatever baseline the clip is heard with."""
    try:
        open_session(_part(_graph(path), ["audio", "lengths"], ["embedding"]))
    except ModelError:  # a node that leads to the embedding needs the baseline
        return False
    return True


def _graph(path: str | os.PathLike[str] | None) -> "onnx.ModelProto":
    import onnx

    return onnx.load_from_string(find_model(path).read_bytes())


def _part(model: "onnx.ModelProto", inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    import onnx

    part = onnx.utils.Extractor(model).extract_model(list(inputs), list(outputs))
    content: bytes = part.SerializeToString()
    return content
