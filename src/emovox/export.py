"""From a trained network to a model file, proved against torch before it gets its name."""

import dataclasses
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from .audio import NOISE_FLOOR, RATE
from .bundle import INPUTS, METADATA_KEY, OUTPUTS, Card, read_bundle
from .errors import TrainingError
from .files import written_whole
from .network import WaveformModel

OPSET = 17
_TOLERANCE = (
    1e-4  # largest difference allowed between torch and ONNX, relative to the largest value
)


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
    graph = onnx.load_from_string(_trace(model, len(card.baseline)))
    entry = graph.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, card.to_json()
    graph.producer_name, graph.producer_version = "emovox", card.emovox_version
    content = graph.SerializeToString()
    read_bundle(content)
    check_agreement(model, content, len(card.baseline))
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


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
        audio[:, : max(lengths) // 7] *= NOISE_FLOOR  # silence in front, to be cut
        count = np.array(lengths, np.int64)
        baseline = rng.normal(0, 0.3, (len(lengths), n_embedding)).astype(np.float32)
        feeds = dict(zip(INPUTS, (audio, count, baseline), strict=True))
        with torch.inference_mode():
            expected = model(*(torch.from_numpy(value) for value in feeds.values()))
        for name, left, right in zip(OUTPUTS, expected, session.run(None, feeds), strict=True):
            scale = max(1.0, float(left.abs().max()))
            difference = float(np.abs(left.numpy() - right).max()) / scale
            worst = max(worst, difference)
            if not difference <= _TOLERANCE:
                raise TrainingError(
                    f"torch and ONNX differ by {difference:.1e} in {name} for clips of {lengths} "
                    f"samples; at most {_TOLERANCE:.0e} is allowed, so no model file was written"
                )
    return worst


def with_card(path: Path, **changes: object) -> None:
    """Rewrite a model file with some keys of its card changed; the graph stays as it is."""
    graph = onnx.load(path)
    entry = next(entry for entry in graph.metadata_props if entry.key == METADATA_KEY)
    card = dataclasses.replace(Card.from_json(entry.value), **changes)  # type: ignore[arg-type]
    entry.value = card.to_json()
    with written_whole(path) as temporary:
        temporary.write_bytes(graph.SerializeToString())


def _trace(model: WaveformModel, n_embedding: int) -> bytes:
    """Trace the graph with free batch and length.

    The tracing exporter takes a tenth of a second and writes LSTMs as LSTMs; the newer one takes
    half a minute for the same graph. `check_agreement` does not trust either.
    """
    example = (
        torch.randn(2, RATE) * 0.1,
        torch.tensor([RATE, RATE // 2]),
        torch.zeros(2, n_embedding),
    )
    axes = {name: {0: "batch"} for name in (*INPUTS, *OUTPUTS)}
    axes["audio"][1] = "samples"
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # of tracing: what they fear, check_agreement tests
        path = Path(folder) / "traced.onnx"
        torch.onnx.export(
            model,
            example,
            path,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        return path.read_bytes()
