"""From a trained network to a model file, proved against torch before it gets its name."""

import dataclasses
import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from ..audio import RATE
from ..card import Card
from ..errors import ModelError, TrainingError
from ..files import written_whole
from ..model import INPUTS, METADATA_KEY, OUTPUTS, Model
from .acoustic.features import SILENCE
from .network import SpeakerHead, WaveformModel
from .speech.backbone import N_SAMPLES, STATISTICS, merge, trace

VOICE = "voice"
_TOLERANCE = 1e-4  # allowed between torch and ONNX, relative to the largest value


def export_model(model: WaveformModel, card: Card, path: Path) -> None:
    """Write a model file; it appears only if ONNX agrees with torch.

    Parameters
    ----------
    model : WaveformModel
        In evaluation mode.
    card : Card
    path : Path
        Must end in ``.onnx``.

    Raises
    ------
    TrainingError
        If torch and ONNX differ by more than 1e-4 on any of several lengths and batches.
    """
    n_embedding = len(card.baseline)
    example = (
        torch.randn(2, RATE) * 0.1,
        torch.tensor([RATE, RATE // 2]),
        torch.zeros(2, n_embedding),
    )
    traced = trace(model, dict(zip(INPUTS, example, strict=True)), OUTPUTS)
    check_agreement(model, traced, n_embedding)
    _write(simplified(traced), card, path)


def export_head(backbone: bytes, head: SpeakerHead, card: Card, path: Path) -> None:
    """Write a speech model: the backbone with a head behind it.

    Raises
    ------
    TrainingError
        If the head in torch and in ONNX differ by more than 1e-4 on any of several batches.
    """
    n_statistics = len(head.itself)
    traced = trace(
        head,
        {
            STATISTICS: torch.randn(2, n_statistics),
            N_SAMPLES: torch.tensor([RATE, RATE // 2]),
            "baseline": torch.zeros(2, len(card.baseline)),
        },
        OUTPUTS,
    )
    _check_head(head, traced, n_statistics, len(card.baseline))
    whole = simplified(merge(backbone, traced).SerializeToString())
    _write(name_voice(whole, head.n_voice), card, path)


def name_voice(content: bytes, n_voice: int) -> bytes:
    """Name what a speech model's embedding holds, but its 1, `voice`.

    Logits and embedding need nothing else of the audio, and it does not depend on the baseline: a
    recording whose `voice` is stored can be judged again without hearing it.
    """
    model = onnx.load_from_string(content)
    embedding = next(node for node in model.graph.node if "embedding" in node.output)
    traced = embedding.input[0]
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [VOICE if name == traced else name for name in names]
    model.graph.value_info.append(
        onnx.helper.make_tensor_value_info(VOICE, onnx.TensorProto.FLOAT, ("batch", n_voice))
    )
    return model.SerializeToString()  # type: ignore[no-any-return]


def simplified(content: bytes) -> bytes:
    """Fold constants and drop needless nodes of a graph, so that it opens faster.

    The ONNX runtime does so whenever it opens a graph, and gives the same answers to the last bit;
    of its rewritings these are the ones that leave standard ONNX alone in the graph.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simplified.onnx"
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        graph = onnx.load(path)
    del graph.opset_import[:]
    graph.opset_import.extend(onnx.load_from_string(content).opset_import)  # it adds its own
    onnx.checker.check_model(graph)
    return graph.SerializeToString()  # type: ignore[no-any-return]


def _write(content: bytes, card: Card, path: Path) -> None:
    """Put the card into a graph and write it, if it can be opened as a model."""
    graph = onnx.load_from_string(content)
    entry = graph.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, card.to_json()
    graph.producer_name, graph.producer_version = "emovox", card.emovox_version
    whole = graph.SerializeToString()
    Model(whole)
    with written_whole(path) as temporary:
        temporary.write_bytes(whole)


def _check_head(head: SpeakerHead, content: bytes, n_statistics: int, n_embedding: int) -> None:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for n_clips in (1, 2, 7):
        baseline = rng.normal(0, 0.3, (n_clips, n_embedding)).astype(np.float32)
        baseline[:, -1] = rng.uniform(0, 0.99, n_clips)
        statistics = rng.normal(0, 1, (n_clips, n_statistics)).astype(np.float32)
        n_samples = rng.integers(1, 15 * RATE, n_clips)
        feeds: dict[str, NDArray[Any]] = {
            STATISTICS: statistics,
            N_SAMPLES: n_samples,
            "baseline": baseline,
        }
        _compare(head, session, feeds, f"batches of {n_clips}")


def check_agreement(model: WaveformModel, content: bytes, n_embedding: int) -> float:
    """Return the largest relative difference of torch and ONNX, over lengths and batches.

    Raises
    ------
    TrainingError
        If it is more than 1e-4.
    """
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    worst = 0.0
    for lengths in ([1], [700], [RATE], [RATE * 2 + 77, 900, RATE], [RATE * 11], [5000] * 5):
        audio = rng.uniform(-0.3, 0.3, (len(lengths), max(lengths))).astype(np.float32)
        audio[:, : max(lengths) // 7] *= SILENCE  # silence in front, to be cut
        count = np.array(lengths, np.int64)
        baseline = rng.normal(0, 0.3, (len(lengths), n_embedding)).astype(np.float32)
        feeds: dict[str, NDArray[Any]] = dict(zip(INPUTS, (audio, count, baseline), strict=True))
        worst = max(worst, _compare(model, session, feeds, f"clips of {lengths} samples"))
    return worst


def _compare(
    module: nn.Module,
    session: onnxruntime.InferenceSession,
    feeds: Mapping[str, NDArray[Any]],
    inputs: str,
) -> float:
    """Return the largest relative difference of torch and ONNX for one input, or raise."""
    with torch.inference_mode():
        expected = module(*(torch.from_numpy(value) for value in feeds.values()))
    worst = 0.0
    for name, left, right in zip(OUTPUTS, expected, session.run(None, feeds), strict=True):
        scale = max(1.0, float(left.abs().max()))
        difference = float(np.abs(left.numpy() - right).max()) / scale
        worst = max(worst, difference)
        if not difference <= _TOLERANCE:
            raise TrainingError(
                f"torch and ONNX differ by {difference:.1e} in {name} for {inputs}; at most "
                f"{_TOLERANCE:.0e} is allowed, so no model file was written"
            )
    return worst


def with_card(path: Path, **changes: object) -> str:
    """Rewrite a model file with some keys of its card changed; return its new fingerprint.

    Raises
    ------
    ModelError
        If it holds no card.
    """
    graph = onnx.load(path)
    entry = next((entry for entry in graph.metadata_props if entry.key == METADATA_KEY), None)
    if entry is None:
        raise ModelError(f"{path}: an ONNX file, but not a model of emovox: it holds no model card")
    card = dataclasses.replace(Card.from_json(entry.value), **changes)  # type: ignore[arg-type]
    entry.value = card.to_json()
    content = graph.SerializeToString()
    with written_whole(path) as temporary:
        temporary.write_bytes(content)
    return hashlib.sha256(content).hexdigest()[:16]
