"""Compacted graphs compute bit-identical outputs."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from oraclezoo.compression.compact import compact


def graph() -> onnx.ModelProto:
    """Return y = (x + a) * b + c, where a and b are equal and d is unused."""
    values = {"a": 2.0, "b": 2.0, "c": 3.0, "d": 5.0}
    constants = [
        numpy_helper.from_array(np.array([value], np.float32), name)
        for name, value in values.items()
    ]
    nodes = [
        helper.make_node("Add", ["x", "a"], ["a_long_name_of_a_sum"], name="sum"),
        helper.make_node("Mul", ["a_long_name_of_a_sum", "b"], ["product"], name="product"),
        helper.make_node("Add", ["product", "c"], ["y"], name="last"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    shape = helper.make_tensor_value_info("product", TensorProto.FLOAT, ["n"])
    result = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants, value_info=[shape])
    opset = helper.make_opsetid("", 20)
    return helper.make_model(result, opset_imports=[opset], ir_version=10)


def run(model: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    actual: np.ndarray = session.run(None, {"x": np.arange(4, dtype=np.float32)})[0]
    return actual


def test_it_computes_the_same_with_fewer_constants() -> None:
    """Equal constants are merged, unused ones dropped.

    Inputs, outputs and nodes keep their names.
    """
    before, after = graph(), graph()
    compact(after.graph)
    onnx.checker.check_model(after, full_check=True)
    assert np.array_equal(run(before), run(after))
    assert sorted(float(numpy_helper.to_array(t)[0]) for t in after.graph.initializer) == [2, 3]
    assert [node.name for node in after.graph.node] == ["sum", "product", "last"]
    assert (after.graph.input[0].name, after.graph.output[0].name) == ("x", "y")
    assert not after.graph.value_info
    assert after.ByteSize() < before.ByteSize() - 60


def test_graphs_within_a_graph_are_left_alone() -> None:
    """They may refer to outer tensors by name."""
    model = graph()
    inner = helper.make_graph(
        [helper.make_node("Identity", ["product"], ["same"])],
        "inner",
        [],
        [helper.make_tensor_value_info("same", TensorProto.FLOAT, ["n"])],
    )
    yes = numpy_helper.from_array(np.array(True), "yes")
    model.graph.initializer.append(yes)
    model.graph.node[2].input[0] = "chosen"
    model.graph.node.insert(
        2, helper.make_node("If", ["yes"], ["chosen"], then_branch=inner, else_branch=inner)
    )
    before = run(model)
    compact(model.graph)
    assert np.array_equal(run(model), before)
    assert "a_long_name_of_a_sum" in {name for node in model.graph.node for name in node.output}
