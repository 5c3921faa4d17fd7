"""Export: torch and ONNX agree, the card travels, nothing half-made is left."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from emovox.archive.heads import Head, cut_head
from emovox.card import SCHEMA, Card
from emovox.errors import ModelError, TrainingError
from emovox.model import Model, find_model
from emovox.recognizer import Recognizer
from emovox.training.acoustic.features import AcousticFeatures
from emovox.training.export import (
    check_agreement,
    export_head,
    export_model,
    simplified,
    with_card,
)
from emovox.training.network import EmotionNetwork, SpeakerHead, WaveformModel
from emovox.training.settings import AcousticConfig, HeadConfig, NetworkConfig
from emovox.training.speech.backbone import extract_backbone, open_backbone, statistics_of

CARD = Card(
    schema=SCHEMA,
    name="test",
    labels=("angry", "happy", "sad"),
    features={"kind": "acoustic"},
    rate=16_000,
    window_s=10.0,
    temperature=1.5,
    threshold=0.5,
    baseline=(0.0,) * 59,
    baseline_seconds=4.0,
    corpora=(),
    protocol="random",
    figures={},
    notes="",
    licence="",
    emovox_version="0",
    code_revision="",
)


@pytest.fixture(scope="module")
def model() -> WaveformModel:
    """Give a small model with fixed weights."""
    torch.manual_seed(3)
    network = EmotionNetwork(59, 3, NetworkConfig(channels=(8, 8), n_lstm=4))
    network.standardise_by(torch.full((59,), -5.0), torch.full((59,), 12.0))
    return WaveformModel(AcousticFeatures(AcousticConfig()), network).eval()


def test_onnx_agrees_with_torch(model, tmp_path):
    """On several lengths and batches the model file gives torch's logits and embeddings."""
    export_model(model, CARD, tmp_path / "model.onnx")
    assert check_agreement(model, (tmp_path / "model.onnx").read_bytes(), 59) < 1e-4
    assert Model.load(tmp_path / "model.onnx").card == CARD
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_disagreement_leaves_no_file(model, tmp_path):
    """A graph that is not the network's is refused."""
    export_model(model, CARD, tmp_path / "model.onnx")
    torch.manual_seed(4)
    other = WaveformModel(
        AcousticFeatures(AcousticConfig()),
        EmotionNetwork(59, 3, NetworkConfig(channels=(8, 8), n_lstm=4)),
    ).eval()
    with pytest.raises(TrainingError, match="torch and ONNX differ"):
        check_agreement(other, (tmp_path / "model.onnx").read_bytes(), 59)


def test_a_card_that_does_not_fit_leaves_no_file(model, tmp_path):
    """A model whose card does not fit its graph never gets its name."""
    wrong = dataclasses.replace(CARD, labels=("angry", "happy"))
    with pytest.raises(ModelError, match=r"^expected 2 numbers in the output logits"):
        export_model(model, wrong, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_changed_card_leaves_the_graph(model, tmp_path):
    """Figures can be written into the card afterwards; the answers stay the same."""
    path = tmp_path / "model.onnx"
    export_model(model, CARD, path)
    before = onnx.load(path).graph.SerializeToString()
    with_card(path, figures={"test_uar": 0.5})
    assert Model.load(path).card == dataclasses.replace(CARD, figures={"test_uar": 0.5})
    assert onnx.load(path).graph.SerializeToString() == before


def test_a_file_without_a_card(model, tmp_path):
    """Where there is no card there is none to be changed."""
    path = tmp_path / "model.onnx"
    export_model(model, CARD, path)
    graph = onnx.load(path)
    del graph.metadata_props[:]
    onnx.save(graph, path)
    with pytest.raises(ModelError, match=r"model\.onnx: .*holds no model card"):
        with_card(path, name="other")


@pytest.mark.parametrize("name", ["speech", "acoustic"])
def test_simplified_answers_are_the_same(name, voice, tmp_path):
    """A shipped graph gives the same after simplifying, and can still be divided."""
    content = find_model(name).read_bytes()
    simple = simplified(content)
    feeds = {
        "audio": np.stack([voice, voice[::-1]]),
        "lengths": np.array([len(voice), 5_000]),
        "baseline": np.zeros((2, len(Model.load(name).card.baseline)), np.float32),
    }
    before, after = (open_backbone(graph).run(None, feeds) for graph in (content, simple))
    for left, right in zip(before, after, strict=True):
        np.testing.assert_array_equal(left, right)
    assert len(onnx.load_from_string(simplified(simple)).graph.node) <= len(
        onnx.load_from_string(simple).graph.node
    )
    if name == "speech":
        pair = [open_backbone(extract_backbone(graph)) for graph in (content, simple)]
        of_voice = [statistics_of(session, voice) for session in pair]
        np.testing.assert_array_equal(*of_voice)


@pytest.fixture(scope="module")
def speech_file(tmp_path_factory) -> Path:
    """Give a speech model whose head has random weights and a certainty."""
    torch.manual_seed(3)
    backbone = extract_backbone(find_model("speech").read_bytes())
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    n_statistics = len(statistics_of(open_backbone(backbone), noise))
    head = SpeakerHead(n_statistics, 3, HeadConfig()).eval()
    for weights in (head.itself, head.difference):
        torch.nn.init.normal_(weights, std=0.1)
    head.certainty.copy_(torch.tensor([0.1, 0.8, -0.3]))
    path = tmp_path_factory.mktemp("speech") / "model.onnx"
    export_head(backbone, head, dataclasses.replace(CARD, baseline=(0.0,) * 8), path)
    return path


def test_archives_judge_again_as_heard_again(speech_file, voice):
    """Stored embeddings and any baseline give what the whole graph gives with the audio."""
    model, content = Recognizer.load(speech_file), cut_head(speech_file)
    assert content is not None
    baseline = model.enrol("someone", [voice], 16_000)
    alone, stored = model.hear(voice)
    expected, windows = model.hear(voice, baseline)
    prediction, heard = Head(content, model).hear(stored, baseline)
    assert dict(expected.scores) != pytest.approx(dict(alone.scores), abs=1e-3)
    assert dict(prediction.scores) == pytest.approx(dict(expected.scores), abs=1e-5)
    for one, other in zip(heard, windows, strict=True):
        np.testing.assert_allclose(one.embedding, other.embedding, rtol=0, atol=1e-5)


def test_a_speech_model_knows_how_long_a_clip_is(speech_file, voice):
    """The brevity in the embedding is that of the clip's samples, not of padding behind it."""
    session = open_backbone(speech_file.read_bytes())
    feeds = {
        "audio": np.stack([voice, voice]),
        "lengths": np.array([len(voice), 8_000]),
        "baseline": np.zeros((2, 8), np.float32),
    }
    _, embedding = session.run(None, feeds)
    expected = np.log1p(16_000 / feeds["lengths"])
    np.testing.assert_allclose(embedding[:, 6], expected, rtol=1e-5)
    np.testing.assert_array_equal(embedding[:, 7], 1.0)


def test_any_runtime_can_use_the_graph(model, tmp_path):
    """The graph has the documented inputs and outputs, and only operators of standard ONNX."""
    path: Path = tmp_path / "model.onnx"
    export_model(model, CARD, path)
    graph = onnx.load(path)
    onnx.checker.check_model(graph)
    assert [node.name for node in graph.graph.input] == ["audio", "lengths", "baseline"]
    assert [node.name for node in graph.graph.output] == ["logits", "embedding"]
    assert {node.domain for node in graph.graph.node} == {""}
    assert [(opset.domain, opset.version) for opset in graph.opset_import] == [("", 17)]
    session = Model.load(path)._session
    feeds = {
        "audio": np.zeros((1, 100), np.float32),
        "lengths": np.array([100]),
        "baseline": np.zeros((1, 59), np.float32),
    }
    logits, embedding = session.run(None, feeds)
    assert logits.shape == (1, 3)
    assert embedding.shape == (1, 59)


class TestWithCard:
    """The card of a finished file can be changed; the graph stays."""

    def test_change(self, model_file, tmp_path, voice):
        """Changed keys are changed, the others and the answers are not."""
        path = tmp_path / "copy.onnx"
        path.write_bytes(model_file.read_bytes())
        with_card(path, figures={"test_uar": 0.75}, notes="é")
        before, after = Model.load(model_file), Model.load(path)
        assert after.card == dataclasses.replace(before.card, figures={"test_uar": 0.75}, notes="é")
        assert after.fingerprint != before.fingerprint
        graphs = [onnx.load(file).graph.SerializeToString() for file in (model_file, path)]
        assert graphs[0] == graphs[1]

    def test_wrong_change(self, model_file, tmp_path):
        """A card that would not open again is not written."""
        path = tmp_path / "copy.onnx"
        path.write_bytes(model_file.read_bytes())
        with pytest.raises(ModelError):
            with_card(path, temperature=0.0)
        assert path.read_bytes() == model_file.read_bytes()
