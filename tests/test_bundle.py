"""The model file: a graph and a card, and nothing that is almost one."""

import dataclasses
import json
import os
import re
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
from emovox.training.export import with_card

KEYS = [field.name for field in dataclasses.fields(Card)]
WRONG = {"schema": 1.5, "rate": "16000", "window_s": "4", "temperature": True, "threshold": None}
CORPUS = {"name": "a", "title": "A", "licence": "free", "utterances": 3, "speakers": 2}
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
FLOAT, LONG = TensorProto.FLOAT, TensorProto.INT64


@pytest.fixture(scope="module")
def card(model_file) -> Card:
    """Give the card of the tiny model."""
    return Model.load(model_file).card


def refused(card: Card, **changes: object) -> str:
    """Change keys of a card's JSON, and return why it is refused."""
    data = {**json.loads(card.to_json()), **changes}
    with pytest.raises(ModelError) as caught:
        Card.from_json(json.dumps(data))
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestCard:
    """Every key is needed, checked, and no other is allowed."""

    def test_round_trip(self, card):
        """A card reads back the same from its JSON."""
        assert Card.from_json(card.to_json()) == card

    @pytest.mark.parametrize("key", KEYS)
    def test_missing_key(self, card, key):
        """A missing key is named."""
        data = json.loads(card.to_json())
        del data[key]
        with pytest.raises(ModelError, match=f"the model card lacks {key}"):
            Card.from_json(json.dumps(data))

    def test_unknown_key(self, card):
        """An unknown key is named: a newer version may mean something by it."""
        assert "unknown keys: gain" in refused(card, gain=3)

    def test_odd_key(self, card):
        """An unknown key cannot break the line, nor make it endless."""
        reason = refused(card, **{"a\nb\x1b": 1, "c" * 9_999: 2})
        assert r"unknown keys: a\nb\x1b, ccc" in reason
        assert len(reason) < 300

    @pytest.mark.parametrize("key", KEYS)
    @pytest.mark.parametrize("value", [None, True, {"a": []}, [[]], [None], [True]])
    def test_wrong_type(self, card, key, value):
        """A value of the wrong type is named, whatever the key."""
        if key == "features" and isinstance(value, dict):
            return  # these may hold anything but what is no number
        assert "corpus" in (reason := refused(card, **{key: value})) or key in reason

    @pytest.mark.parametrize(("key", "value"), WRONG.items())
    def test_wrong_kind_of_number(self, card, key, value):
        """A number that is a text, a boolean, nothing, or not whole is refused."""
        assert f"{key} is of the wrong type" in refused(card, **{key: value})

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"schema": 1}, "expected a card of schema 2, got 1"),
            ({"schema": 3}, "expected a card of schema 2, got 3"),
            ({"rate": 8_000}, "expected a model for 16000 Hz"),
            ({"labels": []}, "at least two different labels"),
            ({"labels": ["sad"]}, "at least two different labels"),
            ({"labels": ["sad", "sad"]}, "at least two different labels"),
            ({"labels": ["sad", "blue"]}, "expected labels of"),
            ({"temperature": 0}, "temperature: expected 0.01 to 100"),
            ({"temperature": 1e-320}, "temperature: expected 0.01 to 100, got 1e-320"),
            ({"temperature": 1e300}, "temperature: expected 0.01 to 100"),
            ({"window_s": 1e308}, "window_s: expected 0.1 to 3600"),
            ({"baseline": [0.0, -1e308]}, "baseline: expected numbers up to 1e+06, got 1e+308"),
            ({"features": json.loads("[" * 900 + "]" * 900)}, "more than 16 deep"),
            ({"features": {"kind": {"gain": float("inf")}}}, "features is of the wrong type"),
            ({"features": {"kind": ["a", 10**400]}}, "features is of the wrong type"),
            ({"temperature": float("inf")}, "temperature is of the wrong type"),
            ({"temperature": float("nan")}, "temperature is of the wrong type"),
            ({"temperature": 10**400}, "temperature is of the wrong type"),
            ({"threshold": -0.1}, "threshold: expected 0 to 1"),
            ({"threshold": 1.1}, "threshold: expected 0 to 1"),
            ({"window_s": 0}, "window_s: expected 0.1 to 3600"),
            ({"window_s": 1e-9}, "window_s: expected 0.1 to 3600"),
            ({"baseline": [float("nan")] * 59}, "baseline is of the wrong type"),
            ({"baseline_seconds": 0}, "baseline_seconds: expected more than 0"),
            ({"baseline_seconds": -4.0}, "baseline_seconds: expected more than 0"),
            ({"figures": {"uar": "high"}}, "figures is of the wrong type"),
            ({"corpora": [{}]}, "name, title, licence, utterances, speakers"),
            ({"corpora": [CORPUS | {"more": 1}]}, "name, title, licence, utterances, speakers"),
            ({"corpora": [CORPUS | {"speakers": "2"}]}, "speakers of a corpus"),
            ({"corpora": [CORPUS | {"title": 2}]}, "title of a corpus"),
        ],
    )
    def test_wrong_value(self, card, changes, reason):
        """A value that would silently give wrong answers is refused."""
        assert reason in refused(card, **changes)

    @pytest.mark.parametrize("text", ["", "{", "nonsense", "[" * 100_000, '{"a": 1,}', "\udcff"])
    def test_not_json(self, text):
        """What is not JSON is no card."""
        with pytest.raises(ModelError, match="not JSON"):
            Card.from_json(text)

    @pytest.mark.parametrize("text", ["[]", "3", "null", '"card"'])
    def test_other_json(self, text):
        """JSON without keys is no card."""
        with pytest.raises(ModelError, match="expected a model card with keys"):
            Card.from_json(text)

    @settings(max_examples=200, deadline=None)
    @given(key=st.sampled_from(KEYS), value=st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5,
    ))  # fmt: skip
    def test_any_value(self, card, key, value):
        """Any JSON under any key is taken or a ModelError."""
        data = {**json.loads(card.to_json()), key: value}
        try:
            read = Card.from_json(json.dumps(data))
        except ModelError:
            return
        assert Card.from_json(read.to_json()) == read


class TestCaution:
    """Who uses a model is told where its figures promise too much."""

    @pytest.mark.parametrize(
        ("changes", "caution"),
        [
            ({}, ""),
            ({"protocol": "all"}, ""),
            ({"protocol": "random"}, "measured on voices it had learned from .protocol random"),
            ({"protocol": "sentence"}, "voices it had learned from .protocol sentence"),
            ({"corpora": (CORPUS,)}, "tiny learned from 2 speakers alone"),
            ({"corpora": (CORPUS | {"speakers": 1},)}, "tiny learned from one speaker alone"),
        ],
    )
    def test_caution(self, card, changes, caution):
        """The caution names what is wrong, in one line, and is empty where nothing is."""
        found = dataclasses.replace(card, **changes).caution
        assert bool(found) == bool(caution)
        assert re.search(caution, found)
        assert "\n" not in found

    @pytest.mark.parametrize("name", shipped_models())
    def test_shipped(self, name):
        """The models that come with emovox have heard many voices."""
        assert Model.load(name).card.caution == ""


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

    @settings(max_examples=40, deadline=None)
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
