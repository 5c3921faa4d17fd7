"""For benchmarks/fuzz.py: model files, model cards and baselines that are almost right.

They are refused with an EmovoxError, or work: then all scores are finite and add up to 1.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from emovox import Baseline, Recognizer
from emovox.audio import load_audio
from emovox.card import Card
from emovox.errors import BaselineError, EmovoxError, ModelError
from emovox.model import METADATA_KEY, find_model
from fuzz_formats import wrong_bytes
from fuzz_json import encoded, mutated_json
from fuzz_tally import Note, same
from machine import REPOSITORY

SLOW_S = 20.0  # within which a file is opened, and answers or is refused
SHARES = {"card": 0.55, "baseline": 0.3, "made": 0.1, "shipped": 0.05}
ENDLESS = 0.001  # of the changes to a model: it never comes to an end
N_EMBEDDING = 4
LABELS = ["angry", "happy", "neutral"]
NUMBERS = (0.0, 1.0, -1.0, 1e-30, 1e30, 3e38, -3e38, float("nan"), float("inf"), float("-inf"))


@dataclass(frozen=True)
class Bench:
    """What the cases begin with: an open model, its card and content, and something to hear."""

    recognizer: Recognizer
    card: dict[str, Any]
    content: bytes  # of the shipped model's file
    made: onnx.ModelProto  # the smallest model there can be
    voice: Any  # mono float32 at 16 kHz
    path: Path  # where model files are put


def cases() -> Callable[[Random, Note], None]:
    """Open a model, and return what makes other ones of it, and opens and judges them."""
    recognizer = Recognizer.load("acoustic")
    card = json.loads(recognizer.card.to_json())
    voice = load_audio(REPOSITORY / "examples" / "even.flac")[4_000:12_000]
    path = Path(tempfile.mkdtemp()) / "model.onnx"
    content = find_model("acoustic").read_bytes()
    bench = Bench(recognizer, card, content, _made(card), voice, path)

    def one_case(rng: Random, note: Note) -> None:
        kind = rng.choices(list(SHARES), list(SHARES.values()))[0]
        note.sent()
        with note.timed(SLOW_S):
            KINDS[kind](bench, rng, note)

    return one_case


def _refused(note: Note, kind: str, call: Callable[[], Any], expected: type[EmovoxError]) -> Any:
    """Return what a call gives; None where it is refused as it should be, or a fault."""
    try:
        return call()
    except expected as error:
        note.answer(f"{kind}: {type(error).__name__}")
        if "\n" in str(error) or not str(error).strip():
            note.fault(f"{kind}: an error that is not one line")
    except Exception as error:  # noqa: BLE001 (it is what is looked for)
        note.fault(f"{kind}: {type(error).__name__}: {same(str(error))}")
    return None


def _card(bench: Bench, rng: Random, note: Note) -> None:
    """Read a card; what is taken reads back the same."""
    text = mutated_json(rng, bench.card)
    card = _refused(note, "card", lambda: Card.from_json(text), ModelError)
    if card is None:
        return
    note.answer("card: taken")
    again = _refused(note, "card, again", lambda: Card.from_json(card.to_json()), ModelError)
    if again != card:
        note.fault("card: taken, and does not read back")


def _baseline(bench: Bench, rng: Random, note: Note) -> None:
    """Read a baseline from its file; with what is taken, the model's answers are sound."""
    honest = json.loads(bench.recognizer.new_baseline("x").to_json()) | {"seconds": 9.0}
    bench.path.write_bytes(encoded(mutated_json(rng, honest)))
    found = _refused(note, "baseline", lambda: Baseline.load(bench.path), BaselineError)
    if found is None:
        return
    note.answer("baseline: taken")
    _refused(note, "baseline, saved", lambda: found.save(bench.path), EmovoxError)
    _hear(bench.recognizer, bench, note, "baseline", found)


def _made_model(bench: Bench, rng: Random, note: Note) -> None:
    """Change the parts of the smallest model."""
    model = onnx.ModelProto()
    model.CopyFrom(bench.made)
    for _ in range(rng.randrange(1, 3)):
        change = rng.choice(CHANGES) if rng.random() > ENDLESS else _endless
        change(model, bench, rng)
    content = model.SerializeToString()
    _open(wrong_bytes(content, rng) if rng.random() < 0.3 else content, bench, note, "made model")


def _shipped_model(bench: Bench, rng: Random, note: Note) -> None:
    """Flip bytes of the shipped model's file, put another card into it, or cut it."""
    content = bytearray(bench.content)
    kind = rng.random()
    if kind < 0.7:
        for _ in range(rng.randrange(1, 20)):
            at = rng.randrange(len(content) if kind < 0.4 else 60_000)
            at = at if kind < 0.55 else len(content) - 1 - at  # weights lie in the middle
            content[at] ^= 1 << rng.randrange(8)
    elif kind < 0.8:
        del content[rng.randrange(len(content)) :]
    else:
        at = content.index(METADATA_KEY.encode())
        content[at:] = wrong_bytes(bytes(content[at:]), rng)
    _open(bytes(content), bench, note, "shipped model")


KINDS: dict[str, Callable[[Bench, Random, Note], None]] = {
    "card": _card,
    "baseline": _baseline,
    "made": _made_model,
    "shipped": _shipped_model,
}


def _open(content: bytes, bench: Bench, note: Note, kind: str) -> None:
    bench.path.write_bytes(content)
    found = _refused(note, kind, lambda: Recognizer.load(bench.path), ModelError)
    if found is not None:
        note.answer(f"{kind}: taken")
        _hear(found, bench, note, kind, None)


def _hear(
    recognizer: Recognizer, bench: Bench, note: Note, kind: str, baseline: Baseline | None
) -> None:
    """Let a model answer and learn; its scores are finite and add up to 1."""
    heard = _refused(
        note, f"{kind}, at work", lambda: recognizer.hear(bench.voice, baseline), EmovoxError
    )
    if heard is None:
        return
    scores = list(heard[0].scores.values())
    if not np.isfinite(scores).all() or abs(sum(scores) - 1) > 1e-6:
        note.fault(f"{kind}: scores that are not finite or do not add up to 1")
    note.answer(f"{kind}: at work")


# The smallest model, and what can be wrong with it


def _made(card: dict[str, Any]) -> onnx.ModelProto:
    """Make a model: the mean of the sound, times a weight for each label."""
    long, floats = TensorProto.INT64, TensorProto.FLOAT
    values = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["audio"], ["mean"], axes=[1], keepdims=1),
            helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
            helper.make_node("Identity", ["baseline"], ["embedding"]),
        ],
        "smallest",
        [values("audio", floats, ["b", "n"]), values("lengths", long, ["b"]),
         values("baseline", floats, ["b", N_EMBEDDING])],
        [values("logits", floats, ["b", len(LABELS)]),
         values("embedding", floats, ["b", N_EMBEDDING])],
        [numpy_helper.from_array(np.ones((1, len(LABELS)), np.float32), "weights")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    small = {**card, "labels": LABELS, "baseline": [0.0] * N_EMBEDDING}
    helper.set_model_props(model, {METADATA_KEY: json.dumps(small)})
    return model


def _other_card(model: onnx.ModelProto, bench: Bench, rng: Random) -> None:
    honest = json.loads(bench.made.metadata_props[0].value)
    text = mutated_json(rng, honest).encode("utf-8", "replace").decode()
    helper.set_model_props(model, {METADATA_KEY: text})


def _other_weights(model: onnx.ModelProto, bench: Bench, rng: Random) -> None:
    shape = rng.choice(
        ((1, len(LABELS)), (1, len(LABELS)), (1, 2), (2, 3), (3,), (1, 1, 3), (0, 3))
    )
    weights = np.full(shape, rng.choice(NUMBERS), rng.choice((np.float32, np.float64)))
    del model.graph.initializer[:]
    model.graph.initializer.append(numpy_helper.from_array(weights, "weights"))


def _other_shape(model: onnx.ModelProto, bench: Bench, rng: Random) -> None:
    values = [*model.graph.input, *model.graph.output]
    value = rng.choice(values)
    tensor = value.type.tensor_type
    if rng.random() < 0.3:
        tensor.elem_type = rng.randrange(20)
    elif rng.random() < 0.3 or not tensor.shape.dim:
        value.name = rng.choice(("audio", "logits", "x", "", "mean"))
    elif rng.random() < 0.5:
        tensor.shape.dim.pop()
    else:
        rng.choice(tensor.shape.dim).dim_value = rng.choice((0, 1, 3, 4, -1, 2**31, 2**62))


def _other_node(model: onnx.ModelProto, bench: Bench, rng: Random) -> None:
    nodes = model.graph.node
    if not nodes:
        return
    node = rng.choice(nodes)
    kind = rng.randrange(5)
    if kind == 0:
        node.op_type = rng.choice(
            ("Add", "Loop", "Expand", "Reshape", "NonZero", "Shape", "x", "Exp", "Log")
        )
    elif kind == 1 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(
            ("audio", "lengths", "baseline", "logits", "x")
        )
    elif kind == 2 and node.attribute:
        node.attribute[0].ints[:] = [rng.choice((0, -1, 2, 2**40))]
    elif kind == 3:
        nodes.remove(node)
    else:
        node.output[0] = rng.choice(("logits", "x", "mean", "audio"))


def _behind(
    *nodes: onnx.NodeProto, **numbers: Any
) -> Callable[[onnx.ModelProto, Bench, Random], None]:
    """Return a change that puts nodes behind the logits, which are then called `before`."""

    def change(model: onnx.ModelProto, bench: Bench, rng: Random) -> None:
        for node in model.graph.node:
            node.output[:] = ["before" if name == "logits" else name for name in node.output]
        model.graph.node.extend(nodes)
        for name, value in numbers.items():
            model.graph.initializer.append(numpy_helper.from_array(value, name))

    return change


def _other_versions(model: onnx.ModelProto, bench: Bench, rng: Random) -> None:
    if rng.random() < 0.5:
        model.ir_version = rng.choice((0, 1, 3, 99, 2**40))
    else:
        model.opset_import[0].version = rng.choice((0, 1, 13, 18, 999, -1))


def _endless(model: onnx.ModelProto, bench: Bench, rng: Random) -> None:
    """Put a loop behind the logits that goes round for years."""
    values, floats = helper.make_tensor_value_info, TensorProto.FLOAT
    truth = TensorProto.BOOL
    body = helper.make_graph(
        [NODE("Identity", ["go"], ["on"]), NODE("Neg", ["x"], ["y"])], "body",
        [values("i", TensorProto.INT64, []), values("go", truth, []), values("x", floats, None)],
        [values("on", truth, []), values("y", floats, None)],
    )  # fmt: skip
    loop = NODE("Loop", ["most", "yes", "before"], ["logits"], body=body)
    _behind(loop, most=np.array(2**62), yes=np.array(True))(model, bench, rng)


HUGE = np.array([1, 4_000_000_000], np.int64)
NODE = helper.make_node
CHANGES = (
    _other_card, _other_card, _other_weights, _other_weights, _other_shape, _other_node,
    _other_versions,
    _behind(NODE("Log", ["before"], ["logits"])),
    _behind(NODE("Shape", ["audio"], ["s"]), NODE("Expand", ["mean", "s"], ["logits"])),
    _behind(NODE("Slice", ["before", "z", "z", "z"], ["logits"]), z=np.zeros(1, np.int64)),
    _behind(NODE("Expand", ["mean", "many"], ["e"]), NODE("ReduceMean", ["e"], ["m"], keepdims=1),
            NODE("Add", ["before", "m"], ["logits"]), many=HUGE),
    _behind(NODE("ConstantOfShape", ["many"], ["c"]), NODE("ReduceMean", ["c"], ["m"], keepdims=1),
            NODE("Add", ["before", "m"], ["logits"]), many=HUGE),
)  # fmt: skip
