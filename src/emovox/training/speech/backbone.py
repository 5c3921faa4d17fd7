"""The frozen part of a speech model as an ONNX graph: made once, then shared by every model.

A backbone maps (audio, lengths) to statistics. It is exported from the encoder's weights and
quantised to 8 bits, or taken out of a model file that holds one: so a model can be trained without
any download, on the very graph that will serve it.
"""

import hashlib
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

from ...audio import RATE, Samples
from .encoder import SpeechStatistics

OPSET = 17
STATISTICS = "statistics"  # name of a backbone's output
N_SAMPLES = "n_samples"  # name under which a head is given the lengths
_HEADROOM = 1.1  # of the range of an activation, above its range in calibration


def export_backbone(module: SpeechStatistics, calibration: Iterable[Samples]) -> bytes:
    """Export the speech features as a quantised ONNX graph.

    Parameters
    ----------
    module : SpeechStatistics
    calibration : iterable of ndarray of float32, shape=(n_samples,)
        Some hundred recordings, to measure the range of each activation.

    Returns
    -------
    content : bytes
        A graph with inputs `audio` and `lengths`, and output `statistics`.
    """
    example = {"audio": torch.randn(2, RATE) * 0.1, "lengths": torch.tensor([RATE, RATE // 2])}
    return quantise(trace(module, example, [STATISTICS]), calibration)


def open_backbone(content: bytes, *, n_threads: int = 1) -> onnxruntime.InferenceSession:
    """Open a backbone for inference."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def statistics_of(session: onnxruntime.InferenceSession, clip: Samples) -> NDArray[np.float32]:
    """Return the statistics of one clip, shape=(n_statistics,)."""
    feeds = {"audio": clip[None], "lengths": np.array([len(clip)], np.int64)}
    statistics: NDArray[np.float32] = session.run([STATISTICS], feeds)[0][0]
    return statistics


def extract_backbone(model: bytes) -> bytes:
    """Take the backbone out of a model file that was made with `merge`."""
    graph = onnx.load_from_string(model)
    extractor = onnx.utils.Extractor(graph)
    content: bytes = extractor.extract_model(["audio", "lengths"], [STATISTICS]).SerializeToString()
    return content


def backbone_digest(content: bytes) -> str:
    """Tell a backbone from any other, the same before and after `merge`.

    Model files are simplified when written, so theirs is another one, but always the same.
    """
    graph = onnx.load_from_string(content).graph
    digest = hashlib.sha256(" ".join(node.op_type for node in graph.node).encode())
    for tensor in sorted(graph.initializer, key=lambda tensor: tensor.name):
        digest.update(tensor.name.encode() + numpy_helper.to_array(tensor).tobytes())
    return digest.hexdigest()


def merge(backbone: bytes, head: bytes) -> onnx.ModelProto:
    """Put a head behind a backbone.

    The head has inputs `statistics`, `n_samples` and `baseline`, and any outputs; the result has
    the inputs `audio`, `lengths` and `baseline`, and the head's outputs.
    """
    front, back = onnx.load_from_string(backbone), onnx.load_from_string(head)
    taken = [tensor.name for tensor in front.graph.initializer]
    prefix = "head_"
    while any(name.startswith(prefix) for name in taken):  # shared with the head it had before
        prefix += "_"
    back = onnx.compose.add_prefix(
        back, prefix, rename_inputs=False, rename_outputs=False, rename_edges=True
    )
    front.graph.node.append(helper.make_node("Identity", ["lengths"], [N_SAMPLES]))
    front.graph.output.append(
        helper.make_tensor_value_info(N_SAMPLES, onnx.TensorProto.INT64, ["batch"])
    )
    joints = [(name, name) for name in (STATISTICS, N_SAMPLES)]
    return onnx.compose.merge_models(front, back, io_map=joints)


def quantise(content: bytes, calibration: Iterable[Samples]) -> bytes:
    """Quantise the transformer's products with weights to 8 bits, with fixed ranges.

    The usual dynamic quantisation takes an activation's range from the batch at hand, so that a
    clip's result depends on its neighbours. Here the ranges are those of the calibration, for good.
    """
    source_model = onnx.load_from_string(content)
    nodes = _weighted_products(source_model)
    ranges = _activation_ranges(content, sorted({node.input[0] for node in nodes}), calibration)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "dynamic.onnx"
        # Without this mark the quantiser writes advice to stderr, on a step that this needs not.
        source_model.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
        onnx.save(source_model, source)
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=[node.name for node in nodes],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
        model = onnx.load(target)
    del model.metadata_props[:]
    _fix_ranges(model, ranges)
    make_weights_unsigned(model)
    onnx.checker.check_model(model)
    return model.SerializeToString()  # type: ignore[no-any-return]


def make_weights_unsigned(model: onnx.ModelProto) -> None:
    """Write the 8-bit weights of a graph as unsigned numbers of the same value, in place.

    On processors without VNNI (AVX2 alone), onnxruntime multiplies unsigned activations by signed
    weights in 16 bits, and overflows: scores moved by 0.02 on average there. Both unsigned, the
    sums are exact on every processor.
    """
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type == "MatMulInteger"]
    for name in {name for node in products for name in (node.input[1], node.input[3])}:
        values = numpy_helper.to_array(tensors[name])
        if values.dtype == np.int8:
            raised = (values.astype(np.int16) + 128).astype(np.uint8)
            tensors[name].CopyFrom(numpy_helper.from_array(raised, name))


def _weighted_products(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """List the products of an activation with a large matrix of weights."""
    weights = {
        tensor.name: tuple(tensor.dims)
        for tensor in model.graph.initializer
        if len(tensor.dims) == 2 and min(tensor.dims) >= 384  # the spectrum's are smaller
    }
    return [
        node for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in weights
    ]


def _activation_ranges(
    content: bytes, names: Sequence[str], calibration: Iterable[Samples]
) -> dict[str, tuple[float, float]]:
    """Return the lowest and the highest value of each tensor over the clips."""
    model = onnx.load_from_string(content)
    model.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    lowest, highest = np.zeros(len(names)), np.zeros(len(names))
    for clip in calibration:
        feeds = {"audio": clip[None], "lengths": np.array([len(clip)], np.int64)}
        for index, value in enumerate(session.run(list(names), feeds)):
            lowest[index] = min(lowest[index], float(value.min()))
            highest[index] = max(highest[index], float(value.max()))
    # Rounded, since the number of threads may change the last digits of a sum.
    ends = [
        (float(f"{low * _HEADROOM:.3g}"), float(f"{high * _HEADROOM:.3g}"))
        for low, high in zip(lowest, highest, strict=True)
    ]
    return dict(zip(names, ends, strict=True))


def _fix_ranges(model: onnx.ModelProto, ranges: dict[str, tuple[float, float]]) -> None:
    """Replace each quantisation by the batch's range by one with a constant range."""
    for node in model.graph.node:
        if node.op_type != "DynamicQuantizeLinear":
            continue
        low, high = ranges[node.input[0]]
        scale = max(high - low, 1e-6) / 255.0
        zero = int(np.clip(round(-low / scale), 0, 255))
        values: dict[str, NDArray[np.generic]] = {
            node.output[1]: np.asarray(scale, np.float32),
            node.output[2]: np.asarray(zero, np.uint8),
        }
        model.graph.initializer.extend(
            numpy_helper.from_array(value, name) for name, value in values.items()
        )
        node.op_type = "QuantizeLinear"
        node.input.extend(values)
        del node.output[1:]


def trace(module: nn.Module, example: Mapping[str, Tensor], outputs: Sequence[str]) -> bytes:
    """Export a module by tracing; the batch and, of "audio", the length are free.

    The tracing exporter takes a tenth of a second and writes LSTMs as LSTMs; the newer one takes
    half a minute for the same graph. Both are compared afterwards: neither is trusted.

    Parameters
    ----------
    module : nn.Module
    example : mapping of input name to Tensor
        In the order of the module's arguments.
    outputs : sequence of str
    """
    axes = {name: {0: "batch"} for name in (*example, *outputs)}
    if "audio" in axes:
        axes["audio"][1] = "samples"
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # of tracing: the comparison tests that
        path = Path(folder) / "traced.onnx"
        torch.onnx.export(
            module,
            tuple(example.values()),
            path,
            input_names=list(example),
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        return path.read_bytes()
