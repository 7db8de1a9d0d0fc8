"""Compact an ONNX graph; names and shapes make up half of a small model's file."""

from __future__ import annotations

import onnx


def compact(graph: onnx.GraphProto) -> None:
    """Remove intermediate shapes and unused constants, merge equal constants, and shorten names.

    The graph is changed in place. Inputs, outputs and nodes keep their names. If the graph contains
    subgraphs, which may refer to its tensors by name, only the shapes are removed.
    """
    del graph.value_info[:]
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        return
    _drop_unread(graph)
    _merge_constants(graph)
    _shorten(graph)


def _drop_unread(graph: onnx.GraphProto) -> None:
    """Remove constants that no node reads."""
    inputs = {name for node in graph.node for name in node.input}
    inputs |= {output.name for output in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in inputs]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _merge_constants(graph: onnx.GraphProto) -> None:
    """Replace each set of equal constants by a single one.

    8-bit weights and their zero points are not merged: where products of signed weights would
    saturate, ONNX Runtime converts the weights to unsigned, which fails if two layers share a
    tensor.
    """
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    separate = {
        name
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in kinds
        for name in node.input
        if kinds.get(name) == onnx.TensorProto.INT8
    }
    first: dict[bytes, str] = {}
    replacements: dict[str, str] = {}
    kept = []
    for tensor in graph.initializer:
        if tensor.name in separate:
            kept.append(tensor)
            continue
        nameless = onnx.TensorProto()
        nameless.CopyFrom(tensor)
        nameless.name = ""
        content = nameless.SerializeToString(deterministic=True)
        replacements[tensor.name] = first.setdefault(content, tensor.name)
        if replacements[tensor.name] == tensor.name:
            kept.append(tensor)
    outputs = {output.name for output in graph.output}
    if outputs & set(replacements):
        return
    _rename(graph, replacements)
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _shorten(graph: onnx.GraphProto) -> None:
    fixed = {end.name for end in (*graph.input, *graph.output)}
    tensors = [tensor.name for tensor in graph.initializer]
    tensors += [name for node in graph.node for name in node.output]
    inner = [name for name in tensors if name and name not in fixed]
    short = (f"t{number:x}" for number in range(len(inner) + len(fixed)))
    names = dict(zip(inner, (name for name in short if name not in fixed), strict=False))
    _rename(graph, names)
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for node in graph.node:
        for tensors in (node.input, node.output):
            for index, name in enumerate(tensors):
                tensors[index] = names.get(name, name)
