"""Quantize, graph: which nodes are the net, and which stand around it and stay in float."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

WEIGHTED = ("Conv", "Gemm", "MatMul")
"""Operators that carry weights and nearly all of the arithmetic."""


def layers(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes of :data:`WEIGHTED` operators whose weights are constants, in the graph's order."""
    constants = {tensor.name for tensor in graph.initializer}
    return [
        node
        for node in graph.node
        if node.op_type in WEIGHTED and any(name in constants for name in node.input[1:2])
    ]


def outside(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes that are not between two layers: preprocessing, softmax and the like."""
    carrying = {node.name for node in layers(graph)}
    after = _reached(graph.node, carrying, forwards=True)
    before = _reached(list(reversed(graph.node)), carrying, forwards=False)
    return [node.name for node in graph.node if node.name not in (after & before) | carrying]


def serving(graph: onnx.GraphProto, names: Iterable[str]) -> list[str]:
    """Names of the nodes without weights whose results only the layers ``names`` are made from.

    What such a node hands on reaches no other layer first; to round it would gain nothing.
    """
    weighted, chosen = {node.name for node in layers(graph)}, set(names)
    next_layers: dict[str, set[str]] = {}  # of a tensor: the first ones on each way on
    found = []
    for node in reversed(graph.node):
        reached = set().union(*(next_layers.get(name, set()) for name in node.output))
        if node.name not in weighted and reached and reached <= chosen:
            found.append(node.name)
        for name in node.input:
            behind = {node.name} if node.name in weighted else reached
            next_layers.setdefault(name, set()).update(behind)
    return found


def _reached(nodes: Iterable[onnx.NodeProto], start: set[str], *, forwards: bool) -> set[str]:
    """Nodes that come after one of ``start``, or before one; ``nodes`` are in that order."""
    tensors: set[str] = set()
    found = set()
    for node in nodes:
        given, made = (node.input, node.output) if forwards else (node.output, node.input)
        if any(name in tensors for name in given):
            found.add(node.name)
            tensors.update(made)
        elif node.name in start:
            tensors.update(made)
    return found


def name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node a name of its own, by which it can be left out."""
    taken: set[str] = set()
    for number, node in enumerate(graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{number}"
        taken.add(node.name)


def unround_ends(graph: onnx.GraphProto, names: Iterable[str]) -> None:
    """Take out the rounding of tensors that only nodes of ``names`` read.

    Works in place. What leaves the net, such as logits, so keeps the precision that it was
    computed with; nothing behind it gains from fewer bits.
    """
    around = set(names)
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for first in [node for node in graph.node if node.op_type == "QuantizeLinear"]:
        seconds = readers.get(first.output[0], [])
        ends = [end for second in seconds for end in readers.get(second.output[0], [])]
        if not ends or any(node.op_type != "DequantizeLinear" for node in seconds):
            continue
        if any(end.name not in around for end in ends) or not _made_by_layer(graph, first):
            continue
        for second in seconds:
            for end in readers[second.output[0]]:
                for place, name in enumerate(end.input):
                    if name == second.output[0]:
                        end.input[place] = first.input[0]
            graph.node.remove(second)
        graph.node.remove(first)


def _made_by_layer(graph: onnx.GraphProto, rounding: onnx.NodeProto) -> bool:
    maker = next((node for node in graph.node if rounding.input[0] in node.output), None)
    return maker is not None and maker.op_type in WEIGHTED
