"""The operators of an ONNX file, told without running it."""

import onnx
import pytest
from onnx import TensorProto, helper

from emovox.model import find_model, shipped_models
from emovox.operators import operators


def model(*nodes: onnx.NodeProto, **more: object) -> bytes:
    """Make a model file of nodes, which need not fit together."""
    graph = helper.make_graph(list(nodes), "g", [], [])
    content: bytes = helper.make_model(graph, **more).SerializeToString()
    return content


def loop() -> onnx.NodeProto:
    """Make a loop."""
    truth = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    body = helper.make_graph([helper.make_node("Not", ["c"], ["d"])], "body", [truth], [truth])
    return helper.make_node("Loop", ["m", "c"], ["x"], body=body)


def shift(text: bytes) -> bytes:
    """Give a field of an operator's name whose length takes two bytes where one would do."""
    return b"\x22" + bytes([len(text) | 0x80, 0]) + text


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models(name):
    """They are those that the onnx package finds."""
    content = find_model(name).read_bytes()
    assert operators(content) == {node.op_type for node in onnx.load(find_model(name)).graph.node}


def test_subgraphs_and_functions():
    """Operators in the branches of others, at any depth, and in functions are found as well."""
    inner = helper.make_graph([loop()], "branch", [], [])
    branch = helper.make_node("If", ["c"], ["x"], then_branch=inner, else_branch=inner)
    opset = [helper.make_opsetid("", 17)]
    function = helper.make_function(
        "own", "F", ["a"], ["b"], [helper.make_node("Scan", [], [])], opset
    )
    assert operators(model(branch, functions=[function])) == {"If", "Loop", "Not", "Scan"}


def test_other_domains():
    """Operators that are not ONNX's own are told by their domain."""
    nodes = [helper.make_node("Conv", [], [], domain=name) for name in ("", "ai.onnx", "evil.com")]
    assert operators(model(*nodes)) == {"Conv", "evil.com.Conv"}


def test_unusual_bytes():
    """A name is found however its length is written."""
    node = shift(b"Loop")
    graph = b"\x0a" + bytes([len(node)]) + node
    assert operators(b"\x3a" + bytes([len(graph)]) + graph) == {"Loop"}


@pytest.mark.parametrize(
    "content", [b"\x3a", b"\x3a\x05\x0a", b"\x80" * 11, b"\x0b\x0c", b"\x09\x00"]
)
def test_other_bytes(content):
    """What is no protocol buffer is refused."""
    with pytest.raises(ValueError, match=r"a field|a number"):
        operators(content)
