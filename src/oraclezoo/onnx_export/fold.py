"""Fold batch norm after max-pooling into the preceding convolution, where this is exact."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

Floats = npt.NDArray[np.float32]


def fold_scales_before_pooling(model: onnx.ModelProto) -> int:
    """Fold Conv -> MaxPool -> BatchNormalization into Conv -> MaxPool; return the number of folds.

    The model is changed in place. For positive scales, ``s * max(x) + b`` equals
    ``max(s * x + b)``; a batch norm with a negative or zero scale is not folded. Runtimes can fold
    a batch norm directly after a convolution, but not across pooling.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    chains = list(_chains(graph, weights))
    for conv, pool, norm in chains:
        _fold(graph, weights, conv, pool, norm)
    used = {name for node in graph.node for name in node.input}
    used |= {output.name for output in graph.output}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
    return len(chains)


def _chains(
    graph: onnx.GraphProto, weights: dict[str, onnx.TensorProto]
) -> Iterator[tuple[onnx.NodeProto, onnx.NodeProto, onnx.NodeProto]]:
    """Yield chains of convolution, pooling and norm whose intermediate tensors are not reused."""
    maker = {output: node for node in graph.node for output in node.output}
    readers: dict[str, int] = {}
    for name in [name for node in graph.node for name in node.input]:
        readers[name] = readers.get(name, 0) + 1
    for name in [output.name for output in graph.output]:
        readers[name] = readers.get(name, 0) + 1
    for norm in graph.node:
        pool = maker.get(norm.input[0]) if norm.op_type == "BatchNormalization" else None
        conv = maker.get(pool.input[0]) if pool is not None and pool.op_type == "MaxPool" else None
        if pool is None or conv is None or conv.op_type != "Conv":
            continue
        between = (conv.output[0], pool.output[0], conv.input[1], *conv.input[2:])
        known = all(name in weights for name in (*conv.input[1:], *norm.input[1:]))
        if known and len(pool.output) == 1 and all(readers[name] == 1 for name in between):
            scale, _ = _affine(norm, weights)
            if (scale > 0).all():
                yield conv, pool, norm


def _affine(
    norm: onnx.NodeProto, weights: dict[str, onnx.TensorProto]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the scale and shift per channel that a norm applies in evaluation mode."""
    gain, bias, mean, variance = (
        numpy_helper.to_array(weights[name]).astype(np.float64) for name in norm.input[1:5]
    )
    epsilon = next((each.f for each in norm.attribute if each.name == "epsilon"), 1e-5)
    scale = gain / np.sqrt(variance + epsilon)
    return scale, bias - mean * scale


def _fold(
    graph: onnx.GraphProto,
    weights: dict[str, onnx.TensorProto],
    conv: onnx.NodeProto,
    pool: onnx.NodeProto,
    norm: onnx.NodeProto,
) -> None:
    scale, shift = _affine(norm, weights)
    kernel = weights[conv.input[1]]
    values = numpy_helper.to_array(kernel).astype(np.float64)
    scaled = values * scale.reshape(-1, *(1,) * (values.ndim - 1))
    if len(conv.input) > 2:
        shift = shift + scale * numpy_helper.to_array(weights[conv.input[2]]).astype(np.float64)
    kernel.CopyFrom(numpy_helper.from_array(scaled.astype(np.float32), kernel.name))
    bias = numpy_helper.from_array(shift.astype(np.float32), f"{kernel.name}.folded_bias")
    graph.initializer.append(bias)
    weights[bias.name] = bias
    kept = list(conv.input[:2])
    del conv.input[:]
    conv.input.extend([*kept, bias.name])
    pool.output[0] = norm.output[0]
    graph.node.remove(norm)
