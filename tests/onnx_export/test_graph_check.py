"""ONNX files from strangers: refused before ONNX Runtime opens them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from oraclezoo.errors import ResultError
from oraclezoo.onnx_export import graph_check
from oraclezoo.onnx_export.graph_check import check_graph
from oraclezoo.onnx_export.session import OnnxClassifier

SIZE, CLASSES = 6, 3


def model(nodes: Sequence[onnx.NodeProto], *tensors: onnx.TensorProto) -> onnx.ModelProto:
    """A graph with the signature of an exported classifier."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [None, SIZE, SIZE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, CLASSES])],
        list(tensors),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def classifier(graph: onnx.ModelProto) -> OnnxClassifier:
    """The graph's session."""
    return OnnxClassifier(
        graph.SerializeToString(), image_size=SIZE, classes=CLASSES, mean=0.5, std=0.5, where="it"
    )


def constant(values: object) -> onnx.ModelProto:
    """A graph that returns the same value for any images."""
    tensor = numpy_helper.from_array(np.array(values, np.float32), "values")
    return model([helper.make_node("Identity", ["values"], ["probabilities"])], tensor)


IMAGES = np.zeros((3, SIZE, SIZE), np.uint8)


@pytest.mark.parametrize(
    "values",
    [
        [[1, 0, 0]] * 6,  # six rows for three images
        [[1, 0, 0]],
        [[float("nan"), 0, 1]] * 3,
        [[-0.5, 0.5, 1]] * 3,
        [[0.2, 0.2, 0.2]] * 3,
        [[1e30, -1e30, 1]] * 3,
    ],
)
def test_output_that_is_not_probabilities_is_refused(values: object) -> None:
    """Every user of the classifier is protected, in torch or without it."""
    with pytest.raises(ResultError, match="it: the model's outputs are not probabilities"):
        classifier(constant(values)).probabilities(IMAGES)


def test_probabilities_pass() -> None:
    """One row per image, in [0, 1], with sum 1."""
    found = classifier(constant([[0.25, 0.25, 0.5]] * 3)).probabilities(IMAGES)
    assert found.tolist() == [[0.25, 0.25, 0.5]] * 3


def test_a_graph_that_fails_at_run_time_is_an_error_with_the_files_name() -> None:
    """Shapes that do not fit show up with images only."""
    shape = numpy_helper.from_array(np.array([7, CLASSES], np.int64), "shape")
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["floats", "shape"], ["probabilities"]),
    ]
    with pytest.raises(ResultError, match="it failed in ONNX Runtime"):
        classifier(model(nodes, shape)).probabilities(IMAGES)


def external(name: str) -> onnx.TensorProto:
    """A tensor whose values are in another file."""
    tensor = numpy_helper.from_array(np.zeros((1, CLASSES), np.float32), name)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    tensor.ClearField("raw_data")
    return tensor


def test_weights_in_another_file_are_refused_wherever_they_are_named() -> None:
    """As an initializer or as a node's attribute."""
    identity = helper.make_node("Identity", ["w"], ["probabilities"])
    with pytest.raises(ResultError, match=r"it is refused: .*external data"):
        classifier(model([identity], external("w")))
    node = helper.make_node("Constant", [], ["probabilities"], value=external("w"))
    with pytest.raises(ValueError, match="external data"):
        check_graph(model([node]).SerializeToString())


def test_a_loop_is_refused_even_in_a_branch() -> None:
    """It could go on forever: there is nothing to wait for."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, [])],
    )
    loop = helper.make_node("Loop", ["", "yes"], ["x"], body=body)
    branch = helper.make_graph([loop], "branch", [], [])
    choice = helper.make_node("If", ["yes"], ["probabilities"], then_branch=branch)
    yes = numpy_helper.from_array(np.array(True), "yes")
    for node in (loop, choice):
        with pytest.raises(ResultError, match=r"it is refused: its graph has a loop \(Loop\)"):
            classifier(model([node], yes))


def test_every_field_that_onnx_can_nest_is_visited() -> None:
    """The table of field numbers has all messages of onnx.proto that hold tensors or nodes."""
    kinds = {
        "model": onnx.ModelProto,
        "graph": onnx.GraphProto,
        "function": onnx.FunctionProto,
        "node": onnx.NodeProto,
        "attribute": onnx.AttributeProto,
        "sparse": onnx.SparseTensorProto,
        "tensor": onnx.TensorProto,
    }
    names = {message.DESCRIPTOR.full_name: kind for kind, message in kinds.items()}
    for kind, message in kinds.items():
        nested = {
            field.number: names[field.message_type.full_name]
            for field in message.DESCRIPTOR.fields
            if field.message_type is not None and field.message_type.full_name in names
        }
        assert graph_check._PARTS[kind] == nested, kind
    numbers = onnx.TensorProto.DESCRIPTOR.fields_by_name
    assert numbers["external_data"].number == graph_check._EXTERNAL_DATA
    assert numbers["data_location"].number == graph_check._DATA_LOCATION
    assert onnx.NodeProto.DESCRIPTOR.fields_by_name["op_type"].number == graph_check._OPERATOR


@pytest.mark.parametrize("content", [b"no model", b"\x00" * 50, b"\xff" * 1000])
def test_bytes_that_are_not_onnx_are_refused(content: bytes) -> None:
    """With the file's name."""
    with pytest.raises(ResultError, match=r"^it "):
        OnnxClassifier(content, image_size=6, classes=3, mean=0.5, std=0.5, where="it")
