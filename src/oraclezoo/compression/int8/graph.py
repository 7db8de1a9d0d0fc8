"""Select the nodes of an ONNX graph to quantize to int8 or to keep in float."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

WEIGHTED = ("Conv", "Gemm", "MatMul")
"""Operators with weights, which account for nearly all of the arithmetic."""


def layers(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes of :data:`WEIGHTED` operators with constant weights, in graph order."""
    constants = {tensor.name for tensor in graph.initializer}
    return [
        node
        for node in graph.node
        if node.op_type in WEIGHTED and any(name in constants for name in node.input[1:2])
    ]


def outside(graph: onnx.GraphProto) -> list[str]:
    """Return the names of the nodes before the first layer or after the last, such as softmax."""
    weighted = {node.name for node in layers(graph)}
    after = _reached(graph.node, weighted, forwards=True)
    before = _reached(list(reversed(graph.node)), weighted, forwards=False)
    return [node.name for node in graph.node if node.name not in (after & before) | weighted]


def serving(graph: onnx.GraphProto, names: Iterable[str]) -> list[str]:
    """Return the names of nodes without weights whose outputs reach only the layers ``names``.

    If these layers stay in float, there is no benefit in quantizing such nodes.
    """
    weighted, selected = {node.name for node in layers(graph)}, set(names)
    next_layers: dict[str, set[str]] = {}  # the next layer after each tensor, on every path
    nodes = []
    for node in reversed(graph.node):
        next_names = set().union(*(next_layers.get(name, set()) for name in node.output))
        if node.name not in weighted and next_names and next_names <= selected:
            nodes.append(node.name)
        for name in node.input:
            following = {node.name} if node.name in weighted else next_names
            next_layers.setdefault(name, set()).update(following)
    return nodes


def _reached(nodes: Iterable[onnx.NodeProto], start: set[str], *, forwards: bool) -> set[str]:
    """Return the names of the nodes that follow, or with ``forwards=False`` precede, ``start``.

    ``nodes`` must be in the same direction: graph order, or reversed graph order.
    """
    tensors: set[str] = set()
    names = set()
    for node in nodes:
        sources, targets = (node.input, node.output) if forwards else (node.output, node.input)
        if any(name in tensors for name in sources):
            names.add(node.name)
            tensors.update(targets)
        elif node.name in start:
            tensors.update(targets)
    return names


def name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node a unique name, so that it can be excluded."""
    used: set[str] = set()
    for number, node in enumerate(graph.node):
        if not node.name or node.name in used:
            node.name = f"{node.op_type}_{number}"
        used.add(node.name)


def unround_ends(graph: onnx.GraphProto, names: Iterable[str]) -> None:
    """Remove the quantization of layer outputs that are read only by the nodes in ``names``.

    The graph is changed in place. Outputs of the network, such as logits, keep the precision in
    which they were computed, since no later node benefits from int8.
    """
    outside_names = set(names)
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for first in [node for node in graph.node if node.op_type == "QuantizeLinear"]:
        seconds = readers.get(first.output[0], [])
        consumers = [end for second in seconds for end in readers.get(second.output[0], [])]
        if not consumers or any(node.op_type != "DequantizeLinear" for node in seconds):
            continue
        if any(end.name not in outside_names for end in consumers) or not _is_from_layer(
            graph, first
        ):
            continue
        for second in seconds:
            for end in readers[second.output[0]]:
                for position, name in enumerate(end.input):
                    if name == second.output[0]:
                        end.input[position] = first.input[0]
            graph.node.remove(second)
        graph.node.remove(first)


def _is_from_layer(graph: onnx.GraphProto, rounding: onnx.NodeProto) -> bool:
    maker = next((node for node in graph.node if rounding.input[0] in node.output), None)
    return maker is not None and maker.op_type in WEIGHTED
