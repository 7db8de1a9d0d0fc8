"""Add temperature scaling to an exported ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

import onnx
from onnx import helper, numpy_helper

from oraclezoo.errors import ResultError
from oraclezoo.onnx_export import onnx_file

_PASSED = ("Cast", "Identity")
"""Operators between the softmax and the output that do not change the probabilities."""


def divide_logits(content: bytes, temperature: float, card: Mapping[str, Any]) -> bytes:
    """Return an ONNX file whose logits are divided by a temperature.

    Args:
        content: The bytes of a file that oraclezoo exported or quantized.
        temperature: The temperature; must be positive.
        card: Model card that replaces the card in the file's metadata.

    Returns:
        The bytes of the file, which passes ONNX's checker and shape inference.

    Raises:
        ResultError: The graph does not end in a softmax or in logits.
    """
    model = onnx.load_from_string(content)
    graph = model.graph
    producers = {name: node for node in graph.node for name in node.output}
    output = graph.output[0].name
    if output == "logits":
        node = producers[output]
        logits = _fresh(model, f"{output}/raw")
        node.output[list(node.output).index(output)] = logits
        target = output
    else:
        node = producers[output]
        while node.op_type in _PASSED:
            node = producers[node.input[0]]
        if node.op_type != "Softmax":
            raise ResultError(f"the graph ends in {node.op_type}, not in a softmax: export again")
        logits, target = node.input[0], _fresh(model, f"{node.input[0]}/scaled")
        node.input[0] = target
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    kind = helper.tensor_dtype_to_np_dtype(types.get(logits, onnx.TensorProto.FLOAT))
    factor = numpy_helper.from_array(kind.type(1 / temperature), _fresh(model, "factor"))
    graph.initializer.append(factor)
    scaling = helper.make_node("Mul", [logits, factor.name], [target], name=_fresh(model, "scale"))
    position = list(graph.node).index(node) + (output == "logits")
    graph.node.insert(position, scaling)
    onnx_file.describe(model, card)
    return onnx_file.checked(model)


def _fresh(model: onnx.ModelProto, name: str) -> str:
    """Return a name that starts with ``name`` and is not yet used in the graph."""
    graph = model.graph
    taken = {each.name for each in (*graph.node, *graph.initializer, *graph.value_info)}
    taken |= {output for node in graph.node for output in node.output}
    return next(f"{name}{n or ''}" for n in count() if f"{name}{n or ''}" not in taken)
