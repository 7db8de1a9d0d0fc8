"""Compact: a graph without what only its making needed; small nets are half names otherwise."""

from __future__ import annotations

import onnx


def compact(graph: onnx.GraphProto) -> None:
    """Drop inner shapes and unread constants, keep one of equal constants, and give short names.

    Works in place. Inputs, outputs and nodes keep their names; so does everything in a graph whose
    nodes hold graphs of their own, which may read it by name.
    """
    del graph.value_info[:]
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        return
    _drop_unread(graph)
    _merge_constants(graph)
    _shorten(graph)


def _drop_unread(graph: onnx.GraphProto) -> None:
    """Leave out constants that nothing reads."""
    read = {name for node in graph.node for name in node.input}
    read |= {output.name for output in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _merge_constants(graph: onnx.GraphProto) -> None:
    """Read the first of equal constants wherever one of them is read.

    8-bit weights and their zero points are left alone: where signed weights would saturate, ONNX
    Runtime makes them unsigned, and fails if two layers share a tensor.
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
    instead: dict[str, str] = {}
    kept = []
    for tensor in graph.initializer:
        if tensor.name in separate:
            kept.append(tensor)
            continue
        nameless = onnx.TensorProto()
        nameless.CopyFrom(tensor)
        nameless.name = ""
        content = nameless.SerializeToString(deterministic=True)
        instead[tensor.name] = first.setdefault(content, tensor.name)
        if instead[tensor.name] == tensor.name:
            kept.append(tensor)
    outputs = {output.name for output in graph.output}
    if outputs & set(instead):
        return
    _rename(graph, instead)
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _shorten(graph: onnx.GraphProto) -> None:
    ends = {end.name for end in (*graph.input, *graph.output)}
    made = [tensor.name for tensor in graph.initializer]
    made += [name for node in graph.node for name in node.output]
    inner = [name for name in made if name and name not in ends]
    short = (f"t{number:x}" for number in range(len(inner) + len(ends)))
    names = dict(zip(inner, (name for name in short if name not in ends), strict=False))
    _rename(graph, names)
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for node in graph.node:
        for place in (node.input, node.output):
            for number, name in enumerate(place):
                place[number] = names.get(name, name)
