"""The part of a model behind the voice: from a stored embedding to logits, without the audio.

A recording that was heard once can so be judged again with another baseline, at a thousandth of the
cost of hearing it.
"""

import json
import os
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..audio import RATE
from ..bundle import find_model, open_session

if TYPE_CHECKING:
    import onnx

_AUDIO = ("audio", "lengths")
_COLUMNS = "columns"  # key of the metadata: which of an embedding's numbers the head is fed
_LARGEST_DIFFERENCE = 1e-4  # of logits, between head and whole graph: rounding, and no more


class Head:
    """The head of a model, opened for inference.

    Parameters
    ----------
    content : bytes
        From `cut_model`.
    """

    def __init__(self, content: bytes) -> None:
        self._session = open_session(content)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self._voice = slice(*json.loads(metadata[_COLUMNS]))

    def infer(
        self, embedding: NDArray[np.float32], baseline: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Judge one clip by its embedding, had with any baseline, and the baseline that counts.

        Parameters
        ----------
        embedding, baseline : ndarray of float32, shape=(n_embedding,)

        Returns
        -------
        logits : ndarray of float32, shape=(n_labels,)
        embedding : ndarray of float32, shape=(n_embedding,)
            As the whole graph gives it with that baseline.
        """
        feeds = {"voice": embedding[None, self._voice], "baseline": baseline[None]}
        logits, heard = self._session.run(["logits", "embedding"], feeds)
        return logits[0], heard[0]


def cut_model(path: str | os.PathLike[str] | None) -> bytes | None:
    """Cut the head off a model file; None where its logits need more than the embedding.

    The embedding of a speech model puts side by side what was heard, which does not depend on the
    baseline, and what does. The graph is cut behind the former. Head and whole graph are compared
    on made-up sound before the cut is trusted.

    Returns
    -------
    content : bytes
        An ONNX graph from `voice`, shape=(1, n), the embedding's columns of the first kind, and
        `baseline` to `logits` and `embedding`.
    """
    import onnx

    content = find_model(path).read_bytes()
    model = onnx.load_from_string(content)
    producers = {name: node for node in model.graph.node for name in node.output}
    last = producers.get("embedding")
    if last is None or last.op_type != "Concat":
        return None
    fixed = [name for name in last.input if not _reaches(producers, name, {"baseline"})]
    voices = [name for name in fixed if _reaches(producers, name, set(_AUDIO))]
    # What was heard may be followed by what was computed of it; the first is all that is needed.
    voice = next((name for name in voices if _is_all(producers, name)), None)
    if voice is None:
        return None
    widths = _widths(model, list(last.input))
    before = list(last.input).index(voice)
    columns = (sum(widths[:before]), sum(widths[: before + 1]))
    head = _head(model, voice, columns)
    return head if _agrees(content, Head(head), sum(widths)) else None


def embedding_is_fixed(path: str | os.PathLike[str] | None) -> bool:
    """Tell whether a model's embedding is the same whatever baseline the clip is heard with."""
    import onnx

    model = onnx.load_from_string(find_model(path).read_bytes())
    producers = {name: node for node in model.graph.node for name in node.output}
    return not _reaches(producers, "embedding", {"baseline"})


def _reaches(
    producers: "dict[str, onnx.NodeProto]",
    name: str,
    wanted: Collection[str],
    stop: Collection[str] = (),
) -> bool:
    """Tell whether a tensor depends on one of those wanted, other than by way of `stop`."""
    waiting, seen = [name], set(stop)
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        if one in wanted:
            return True
        seen.add(one)
        waiting += producers[one].input if one in producers else ()
    return False


def _is_all(producers: "dict[str, onnx.NodeProto]", voice: str) -> bool:
    """Tell whether a tensor is all that the outputs need of the audio."""
    outputs = ("logits", "embedding")
    return not any(_reaches(producers, name, set(_AUDIO), {voice}) for name in outputs)


def _head(model: "onnx.ModelProto", voice: str, columns: tuple[int, int]) -> bytes:
    """Return the graph from a tensor and the baseline on, the tensor's name made `voice`."""
    import onnx

    front = onnx.ModelProto()
    front.CopyFrom(model)
    for node in front.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                names[index] = "voice" if name == voice else name
    of_voice = onnx.helper.make_tensor_value_info("voice", onnx.TensorProto.FLOAT, (None, None))
    front.graph.value_info.append(of_voice)
    wanted = (["voice", "baseline"], ["logits", "embedding"])
    head = onnx.utils.Extractor(front).extract_model(*wanted)
    onnx.helper.set_model_props(head, {_COLUMNS: json.dumps(columns)})
    content: bytes = head.SerializeToString()
    return content


def _widths(model: "onnx.ModelProto", names: list[str]) -> list[int]:
    """Return the numbers a clip has in each of some tensors, by running the graph once."""
    import onnx

    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    session = open_session(shown.SerializeToString())
    n_embedding = session.get_inputs()[2].shape[1]
    tensors = session.run(names, _feeds(np.zeros(n_embedding, np.float32)))
    return [tensor.shape[-1] for tensor in tensors]


def _agrees(content: bytes, head: Head, n_embedding: int) -> bool:
    """Tell whether a head gives what the whole graph gives, with and without a baseline."""
    session = open_session(content)
    nothing = np.zeros(n_embedding, np.float32)
    _, (embedding,) = session.run(["logits", "embedding"], _feeds(nothing))
    for baseline in (nothing, (0.7 * embedding).astype(np.float32)):
        whole = session.run(["logits", "embedding"], _feeds(baseline))
        for one, other in zip(whole, head.infer(embedding, baseline), strict=True):
            if not np.allclose(one[0], other, rtol=0, atol=_LARGEST_DIFFERENCE):
                return False
    return True


def _feeds(baseline: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
    """Make a second of sound that any model hears, with a baseline."""
    time = np.arange(RATE) / RATE
    sound = sum(np.sin(2 * np.pi * 140 * k * time * (1 + 0.2 * time)) / k for k in range(1, 9))
    audio = (0.1 * np.asarray(sound)).astype(np.float32)
    lengths = np.array([RATE], np.int64)
    return {"audio": audio[None], "lengths": lengths, "baseline": baseline[None]}
