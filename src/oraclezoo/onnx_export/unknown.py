"""Add the detector for unknown characters to an exported ONNX file, or remove it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from oraclezoo.onnx_export import onnx_file
from oraclezoo.onnx_export.detector import POOLED, Detector, packed, reduction

OUTPUT = "unknown"
_PREFIX = "unknown/"


def attach(
    content: bytes, detector: Detector, *, mean: float, std: float, card: Mapping[str, Any]
) -> bytes:
    """Return an ONNX file with the output ``unknown``, float32 ``(N,)``: the detector's scores.

    A detector that is already in the file is replaced. The detector's weights are stored in int8,
    but computation is in float32.

    Args:
        content: The bytes of a file that oraclezoo exported or quantized.
        detector: The detector.
        mean: Mean of the training images; used if the graph takes standardized images.
        std: Standard deviation of the training images; used like ``mean``.
        card: Model card that replaces the card in the file's metadata.

    Raises:
        VerificationError: The file does not pass ONNX's checker.
    """
    model = onnx.load_from_string(content)
    _remove(model.graph)
    graph = _Builder(model.graph)
    source = model.graph.input[0]
    edge = source.type.tensor_type.shape.dim[-1].dim_value
    if source.type.tensor_type.elem_type == TensorProto.UINT8:
        image = graph.add("Cast", [source.name], to=TensorProto.FLOAT)
        image = graph.add("Unsqueeze", [image, graph.constant(np.array([1], np.int64))])
        image = graph.add("Mul", [image, graph.constant(np.float32(1 / 255))])
    else:
        image = graph.add("Mul", [source.name, graph.constant(np.float32(std))])
        image = graph.add("Add", [image, graph.constant(np.float32(mean))])
    q = _network(graph, image, detector, edge)
    last = graph.constant(np.array(detector.head.out_features - 1, np.int64))
    graph.add("Gather", [q, last], output=OUTPUT, axis=1)
    batch = model.graph.output[0].type.tensor_type.shape.dim[0].dim_param or "batch"
    model.graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [batch]))
    onnx_file.describe(model, card)
    return onnx_file.checked(model)


def detach(content: bytes, card: Mapping[str, Any]) -> bytes:
    """Return an ONNX file without the output ``unknown``; a file without it is not changed."""
    model = onnx.load_from_string(content)
    if not _remove(model.graph):
        return content
    onnx_file.describe(model, card)
    return onnx_file.checked(model)


def _remove(graph: onnx.GraphProto) -> bool:
    """Remove the detector's nodes, weights and output in place; return whether there were any."""
    outputs = [each for each in graph.output if each.name == OUTPUT]
    for each in outputs:
        graph.output.remove(each)
    removed = [node for node in graph.node if node.name.startswith(_PREFIX)]
    for node in removed:
        graph.node.remove(node)
    created = {name for node in removed for name in node.output}
    read = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
        graph.initializer.remove(tensor)
    for value in [value for value in graph.value_info if value.name in created]:
        graph.value_info.remove(value)
    return bool(outputs)


def _network(graph: _Builder, image: str, detector: Detector, edge: int) -> str:
    factor = reduction(edge)
    x = image
    if factor > 1:
        x = graph.add("AveragePool", [x], kernel_shape=[factor] * 2, strides=[factor] * 2)
    for number, conv in enumerate(detector.convs):
        weights = [graph.weight(conv.weight), graph.bias(conv.bias)]
        x = graph.add("Conv", [x, *weights], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        x = graph.add("Relu", [x])
        if number < POOLED:
            x = graph.add("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
    pooled = [graph.add(kind, [x]) for kind in ("GlobalMaxPool", "GlobalAveragePool")]
    vector = graph.add("Flatten", [graph.add("Concat", pooled, axis=1)], axis=1)
    head = [graph.weight(detector.head.weight), graph.bias(detector.head.bias)]
    return graph.add("Softmax", [graph.add("Gemm", [vector, *head], transB=1)], axis=1)


class _Builder:
    """Adds nodes and constants to a graph, with names that start with :data:`_PREFIX`."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.count = 0

    def add(self, kind: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        name = self._name(kind)
        self.graph.node.append(
            helper.make_node(kind, inputs, [output or name], name=name, **attributes)
        )
        return output or name

    def constant(self, value: npt.NDArray[Any] | np.float32) -> str:
        """Add a constant and return its name."""
        name = self._name("constant")
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weight(self, tensor: Any) -> str:
        """Add a layer's weights in int8; return the name of the dequantized float32 tensor."""
        whole, factors = packed(tensor)
        floats = self.add("Cast", [self.constant(whole.numpy())], to=TensorProto.FLOAT)
        return self.add("Mul", [floats, self.constant(factors.numpy())])

    def bias(self, tensor: Any) -> str:
        """Add a layer's bias and return the name of the tensor."""
        return self.constant(tensor.detach().cpu().float().numpy())

    def _name(self, kind: str) -> str:
        self.count += 1
        return f"{_PREFIX}{kind}_{self.count}"
