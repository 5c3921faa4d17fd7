"""The model file: a graph and a card, and nothing that is almost one."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from emovox.audio import load_audio
from emovox.card import Card
from emovox.errors import ConfigError, ModelError
from emovox.model import INPUTS, METADATA_KEY, OUTPUTS, Model, find_model, shipped_models

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
FLOAT, LONG = TensorProto.FLOAT, TensorProto.INT64


class TestOpen:
    """A model file opens, or says why not."""

    def test_round_trip(self, model_file, card):
        """A file opens with the card it was written with, and its own fingerprint."""
        model = Model.load(str(model_file))
        assert model.card == card
        assert model.card.name == "tiny"
        assert len(model.fingerprint) == 16
        assert int(model.fingerprint, 16) >= 0
        assert model.fingerprint == Model.load(model_file).fingerprint

    def test_threads_do_not_matter(self, model_file, voice):
        """One thread or two: the same answers."""
        feeds = {
            "audio": voice[None],
            "lengths": np.array([len(voice)], np.int64),
            "baseline": np.zeros((1, 59), np.float32),
        }
        one, two = (Model.load(model_file, n_threads=n)._session.run(None, feeds) for n in (1, 2))
        np.testing.assert_allclose(one[0], two[0], atol=1e-5)

    def test_missing(self, tmp_path):
        """A missing file is named, and so are the models there are."""
        with pytest.raises(ModelError, match=r"none\.onnx: no such model file; models that come"):
            Model.load(tmp_path / "none.onnx")

    @pytest.mark.parametrize("name", ["", "x" * 5_000, "a\0b", "."])
    def test_impossible_names(self, name):
        """What can be no file is a ModelError, too."""
        with pytest.raises(ModelError):
            Model.load(name)

    def test_folder(self, tmp_path):
        """A folder is no model."""
        with pytest.raises(ModelError, match="expected a model file"):
            Model.load(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"text", b"\x00" * 1000, b"RIFF\x24\x00\x00\x00WAVE"])
    def test_other_content(self, tmp_path, content):
        """A file that is no ONNX model is named in one line."""
        path = tmp_path / "model.onnx"
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"model\.onnx: ") as caught:
            Model.load(path)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.99])
    def test_truncated(self, model_file, tmp_path, share):
        """A model file cut off anywhere is refused."""
        content = model_file.read_bytes()
        path = tmp_path / "cut.onnx"
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ModelError, match=r"cut\.onnx"):
            Model.load(path)

    @settings(max_examples=40)
    @given(st.integers(0, 2**32))
    def test_corrupt(self, model_file, tmp_path_factory, seed):
        """Random bytes in the graph or the card are a ModelError, or change nothing of the form."""
        rng = np.random.default_rng(seed)
        content = bytearray(model_file.read_bytes())
        for place in rng.integers(0, len(content), 20):
            content[place] = rng.integers(256)
        path = tmp_path_factory.getbasetemp() / "corrupt.onnx"
        path.write_bytes(content)
        try:
            model = Model.load(path)
        except ModelError as error:
            assert "\n" not in str(error)
        else:
            assert model.card.rate == 16_000

    @pytest.mark.parametrize("name", [b"logits", b"lengths"])
    def test_graph_with_a_name_that_is_no_text(self, model_file, tmp_path, name):
        """A graph whose inputs or outputs have names that are no UTF-8 is refused."""
        content = model_file.read_bytes().replace(name, name[:-1] + b"\xd5")
        (tmp_path / "a.onnx").write_bytes(content)
        with pytest.raises(ModelError, match=r"a\.onnx: the model is damaged: a name"):
            Model.load(tmp_path / "a.onnx")

    def test_card_that_is_no_text(self, model_file, tmp_path):
        """A card with bytes that are no UTF-8 is refused."""
        content = model_file.read_bytes()
        assert content.count(b'"schema"') == 1
        (tmp_path / "a.onnx").write_bytes(content.replace(b'"schema"', b'"sch\xd5ma"'))
        with pytest.raises(ModelError, match="the model card is damaged"):
            Model.load(tmp_path / "a.onnx")

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
    def test_no_permission(self, tmp_path):
        """A file that may not be read says so."""
        (tmp_path / "a.onnx").touch(mode=0)
        with pytest.raises(ModelError, match="cannot read the model: Permission denied"):
            Model.load(tmp_path / "a.onnx")


def graph_file(
    folder: Path,
    card: Card | None,
    *,
    inputs: tuple[str, ...] = INPUTS,
    outputs: tuple[str, ...] = OUTPUTS,
    audio_type: int = FLOAT,
    widths: tuple[int, int] = (7, 59),
    audio_axes: int = 2,
    nodes: Sequence[onnx.NodeProto] = (),
) -> Path:
    """Write a graph that looks like a model of emovox, but for what is asked.

    Without `nodes` the outputs are zeros.
    """
    shapes = {"audio": [None] * audio_axes, "lengths": [None], "baseline": [None, widths[1]]}
    types = {"audio": audio_type, "lengths": LONG, "baseline": FLOAT}
    given_inputs = [
        helper.make_tensor_value_info(name, types.get(known, FLOAT), shapes.get(known, [None]))
        for name, known in zip(inputs, INPUTS, strict=False)
    ]
    produced, made = [], []
    for name, width in zip(outputs, widths, strict=False):
        produced.append(helper.make_tensor_value_info(name, FLOAT, [1, width]))
        value = helper.make_tensor(f"{name}_value", FLOAT, [1, width], [0.0] * width)
        made.append(helper.make_node("Constant", [], [name], value=value))
    graph = helper.make_graph(list(nodes) or made, "made", given_inputs, produced)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if card is not None:
        entry = model.metadata_props.add()
        entry.key, entry.value = METADATA_KEY, card.to_json()
    path = folder / "made.onnx"
    onnx.save(model, path)
    return path


class TestGraph:
    """The graph must be one of emovox, and fit its card."""

    def test_the_made_graph_is_good(self, card, tmp_path):
        """Unchanged, the graph of these tests is taken."""
        assert Model.load(graph_file(tmp_path, card)).card == card

    def test_no_card(self, tmp_path):
        """Somebody else's ONNX file has no card."""
        with pytest.raises(
            ModelError, match=r"made\.onnx: an ONNX file, but not a model of emovox"
        ):
            Model.load(graph_file(tmp_path, None))

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"inputs": ("input", "lengths", "baseline")}, "expected inputs audio, lengths"),
            ({"inputs": ("audio", "lengths")}, "expected inputs audio, lengths"),
            ({"inputs": ()}, "expected inputs audio, lengths"),
            ({"outputs": ("logits",)}, "expected outputs logits, embedding, got logits"),
            ({"outputs": ("scores", "embedding")}, "expected outputs logits, embedding"),
            ({"audio_type": TensorProto.DOUBLE}, r"input audio as tensor\(float\)"),
            ({"audio_axes": 3}, "with 2 axes, got .* with 3"),
            ({"audio_axes": 1}, "with 2 axes, got .* with 1"),
            ({"widths": (6, 59)}, "expected 7 numbers in the output logits, .* got 6"),
            ({"widths": (7, 58)}, "expected 59 numbers in the input baseline, .* got 58"),
        ],
    )
    def test_other_graph(self, card, tmp_path, changes, reason):
        """Another graph with a good card is refused when opened, not when used."""
        with pytest.raises(ModelError, match=reason) as caught:
            Model.load(graph_file(tmp_path, card, **changes))
        assert "made.onnx: " in str(caught.value)

    def test_bad_card_in_a_good_file(self, model_file, tmp_path):
        """A bad card is told with the name of the file."""
        model = onnx.load(model_file)
        model.metadata_props[0].value = "{}"
        onnx.save(model, tmp_path / "bad.onnx")
        with pytest.raises(ModelError, match=r"bad\.onnx: the model card lacks baseline"):
            Model.load(tmp_path / "bad.onnx")


def constant(name: str, value: object, dtype: type = np.int64) -> onnx.NodeProto:
    """Make a node that gives a fixed array."""
    tensor = numpy_helper.from_array(np.array(value, dtype))
    return helper.make_node("Constant", [], [name], value=tensor)


def answers(*logits: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Make the nodes of a model that gives these logits, and the baseline as embedding."""
    return [*logits, helper.make_node("Identity", ["baseline"], ["embedding"])]


def endless() -> list[onnx.NodeProto]:
    """Make the nodes of a model that loops 2 ** 62 times."""
    truth = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("c", "d")]
    step = helper.make_tensor_value_info("i", LONG, [])
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"])], "b", [step, truth[0]], truth[1:]
    )
    return answers(
        constant("n", 2**62),
        constant("yes", True, bool),
        helper.make_node("Loop", ["n", "yes"], [], body=body),
        constant("logits", [[0.0] * 7], np.float32),
    )


class TestForeignGraph:
    """A graph that somebody else made cannot hang, crash or give other shapes."""

    @pytest.mark.parametrize(
        ("nodes", "reason"),
        [
            (endless(), "standard operators without loops or branches, got Loop"),
            (
                answers(helper.make_node("Evil", ["audio"], ["logits"], domain="evil.com")),
                "standard operators without loops or branches, got evil.com.Evil",
            ),
        ],
    )
    def test_operators(self, card, tmp_path, nodes, reason):
        """Loops, which may never end, and operators that are not ONNX's own are refused at once."""
        with pytest.raises(ModelError, match=reason):
            Model.load(graph_file(tmp_path, card, nodes=nodes))

    @pytest.mark.parametrize(
        ("logits", "reason"),
        [
            (
                [helper.make_node("Identity", ["audio"], ["logits"])],
                r"promised outputs of shape \(1, 7\), and gave \(1, 16000\)",
            ),
            (
                [constant("none", np.zeros((0, 7)), np.float32),
                 helper.make_node("Identity", ["none"], ["logits"])],
                r"gave \(0, 7\)",
            ),
            (
                [constant("s", [1 << 22, 1 << 22, 7]), constant("one", [[1.0]], np.float32),
                 helper.make_node("Expand", ["one", "s"], ["huge"]),
                 helper.make_node("ReduceMean", ["huge"], ["logits"], axes=[0], keepdims=0)],
                "the model tiny fails on 1.0 s of sound: ",
            ),
        ],
    )  # fmt: skip
    def test_outputs(self, card, tmp_path, voice, logits, reason):
        """Outputs of other shapes than the graph tells, and what fails in it, are a ModelError."""
        path = graph_file(tmp_path, card, nodes=answers(*logits))
        with pytest.raises(ModelError, match=reason) as caught:
            Model.load(path).infer(voice)
        assert "\n" not in str(caught.value)

    @pytest.mark.skipif(os.name == "nt", reason="no such files there")
    def test_files_without_end(self, tmp_path):
        """A device or a pipe is refused, and so is what is far larger than a model."""
        os.mkfifo(tmp_path / "pipe.onnx")
        (tmp_path / "zero.onnx").symlink_to("/dev/zero")
        with (tmp_path / "huge.onnx").open("wb") as file:
            file.truncate(1 << 40)
        regular, small = "not a regular file", "larger than 500 MB"
        for name, reason in (("pipe", regular), ("zero", regular), ("huge", small)):
            with pytest.raises(ModelError, match=f"cannot read the model: {reason}"):
                Model.load(tmp_path / f"{name}.onnx")


@pytest.mark.parametrize("n_threads", [0, -1, 10**9, "2", True, 1.5, None])
def test_impossible_threads(model_file, n_threads):
    """A number of threads that cannot be is refused, and not taken for the runtime's own choice."""
    with pytest.raises(ConfigError, match="n_threads: expected"):
        Model.load(model_file, n_threads=n_threads)


class TestShipped:
    """The models that come with emovox."""

    def test_all_open(self):
        """Each opens by its name, and its card says what it can and cannot do."""
        for name in shipped_models():
            model = Model.load(name)
            assert model.card.notes
            assert model.card.corpora
            assert model.card.figures

    @pytest.mark.parametrize(("name", "tolerance"), [("speech", 0.05), ("acoustic", 1e-4)])
    def test_batches(self, name, tolerance):
        """In a batch the logits are those of each clip alone, up to the documented tolerance."""
        model = Model.load(name)
        clips = [load_audio(file) for file in sorted(EXAMPLES.glob("*.flac"))]
        lengths = np.array([len(clip) for clip in clips], np.int64)
        audio = np.stack([np.pad(clip, (0, lengths.max() - len(clip))) for clip in clips])
        baselines = np.tile(np.array(model.card.baseline, np.float32), (len(clips), 1))
        feeds = dict(zip(INPUTS, (audio, lengths, baselines), strict=True))
        together, _ = model._session.run(None, feeds)
        alone = np.stack([model.infer(clip)[0] for clip in clips])
        np.testing.assert_allclose(together, alone, rtol=0, atol=tolerance)

    def test_a_path_wins_nothing_over_a_name(self, model_file):
        """A path of its own is found as it is."""
        assert find_model(model_file) == model_file


def test_lengths_are_not_remembered(model_file):
    """The runtime keeps no plan of its memory for each length heard: live, that would never end."""
    assert not Model.load(model_file)._session.get_session_options().enable_mem_pattern
