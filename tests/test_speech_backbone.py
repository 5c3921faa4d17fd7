"""The backbone: 8 bits with fixed ranges, taken out of a model and put into another."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper

from emovox.training.network import SpeakerHead
from emovox.training.settings import HeadConfig
from emovox.training.speech.backbone import (
    STATISTICS,
    backbone_digest,
    export_backbone,
    extract_backbone,
    merge,
    open_backbone,
    statistics_of,
    trace,
)
from emovox.training.speech.encoder import SpeechConfig, SpeechStatistics
from made_corpus import EMOTIONS, voice

CONFIG = SpeechConfig(n_layers=1, max_seconds=4.0)


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    """Give made-up voices."""
    rng = np.random.default_rng(0)
    return [voice(emotion, pitch, rng) for emotion in EMOTIONS for pitch in (110.0, 200.0)]


@pytest.fixture(scope="module")
def module() -> SpeechStatistics:
    """Give speech features with random weights."""
    torch.manual_seed(0)
    return SpeechStatistics(CONFIG, 384).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def backbone(module, clips) -> bytes:
    """Give the module as a quantised graph."""
    return export_backbone(module, clips)


def test_eight_bits_cost_little(module, backbone, clips):
    """The quantised statistics stay close to torch's, compared with how clips differ."""
    session = open_backbone(backbone)
    ours = np.stack([statistics_of(session, clip) for clip in clips])
    theirs = np.stack(
        [module(torch.from_numpy(c)[None], torch.tensor([len(c)]))[0].numpy() for c in clips]
    )
    error = np.sqrt(((ours - theirs) ** 2).mean())
    assert error < 0.25 * theirs.std(0).mean()
    kinds = {node.op_type for node in onnx.load_from_string(backbone).graph.node}
    assert "MatMulInteger" in kinds
    assert "DynamicQuantizeLinear" not in kinds


def test_eight_bits_are_exact(backbone, clips):
    """No processor's short cut through 16 bits changes a product: all of them add up exactly."""
    model = onnx.load_from_string(backbone)
    tensors = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type == "MatMulInteger"]
    tapped = [name for node in products for name in (node.input[0], node.input[2], node.output[0])]
    known = {output.name for output in model.graph.output} | tensors.keys()
    model.graph.output.extend(
        helper.make_empty_tensor_value_info(name)
        for name in dict.fromkeys(tapped)
        if name not in known
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feeds = {"audio": clips[0][None], "lengths": np.array([len(clips[0])], np.int64)}
    names = [output.name for output in session.get_outputs()]
    found = tensors | dict(zip(names, session.run(names, feeds), strict=True))
    for node in products:
        left, weights, left_zero, zeros = (found[name].astype(np.int64) for name in node.input)
        exact = (left - left_zero) @ (weights - zeros)
        np.testing.assert_array_equal(found[node.output[0]], exact)


def test_neighbours_have_no_effect(backbone, clips):
    """With fixed ranges a clip's statistics do not depend on the batch."""
    session = open_backbone(backbone)
    short, loud = clips[0], np.random.default_rng(1).normal(0, 0.3, 20_000).astype(np.float32)
    batch = np.zeros((2, len(loud)), np.float32)
    batch[0, : len(short)], batch[1] = short, loud
    feeds = {"audio": batch, "lengths": np.array([len(short), len(loud)])}
    together = session.run([STATISTICS], feeds)[0][0]
    np.testing.assert_allclose(together, statistics_of(session, short), atol=2e-3)


def test_the_same_backbone_comes_out_of_a_model(backbone, clips):
    """What is put into a model can be taken out again, with the same digest and answers."""
    torch.manual_seed(0)
    head = SpeakerHead(768, 2, HeadConfig()).eval()
    example = {
        "statistics": torch.randn(2, 768),
        "n_samples": torch.tensor([16_000, 8_000]),
        "baseline": torch.zeros(2, head.n_embedding),
    }
    model = merge(backbone, trace(head, example, ["logits", "embedding"]))
    onnx.checker.check_model(model)
    assert [node.name for node in model.graph.input] == ["audio", "lengths", "baseline"]
    again = extract_backbone(model.SerializeToString())
    assert backbone_digest(again) == backbone_digest(backbone)
    before, after = open_backbone(backbone), open_backbone(again)
    np.testing.assert_array_equal(statistics_of(before, clips[0]), statistics_of(after, clips[0]))


def test_the_export_repeats_itself(module, backbone, clips):
    """The same weights and calibration give the same backbone."""
    assert backbone_digest(export_backbone(module, clips)) == backbone_digest(backbone)
