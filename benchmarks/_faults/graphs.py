"""ONNX files and model cards of a stranger, made from a sound model folder."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from _faults.lab import edit

INT64_MAX = 2**63 - 1


def forged(source: Path, target: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    """Copy a model folder with a changed ONNX file, whose digest its card states."""
    shutil.copytree(source, target)
    graph = onnx.load(target / "model.onnx")
    change(graph)
    (target / "model.onnx").write_bytes(graph.SerializeToString())
    return seal(target)


def seal(folder: Path) -> Path:
    """Write the digest of a folder's ONNX file into its card."""
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()

    def state(card: dict[str, Any]) -> None:
        card["onnx"]["sha256"] = digest

    edit(folder / "model.json", state)
    return folder


def _append(model: onnx.ModelProto, operator: str, *operands: Any, **attributes: Any) -> None:
    """Apply an operator to the graph's output, whose name stays."""
    graph = model.graph
    name = graph.output[0].name
    for node in graph.node:
        node.output[:] = [f"{name}_true" if out == name else out for out in node.output]
    inputs = [f"{name}_true"]
    for number, operand in enumerate(operands):
        if isinstance(operand, str):
            inputs.append(operand)
            continue
        graph.initializer.append(numpy_helper.from_array(np.asarray(operand), f"forged_{number}"))
        inputs.append(f"forged_{number}")
    graph.node.append(helper.make_node(operator, inputs, [name], **attributes))


def twice(model: onnx.ModelProto) -> None:
    """Give two rows for each image."""
    _append(model, "Concat", f"{model.graph.output[0].name}_true", axis=0)


def scaled(factor: float) -> Callable[[onnx.ModelProto], None]:
    """Return a change that multiplies the output."""
    return lambda model: _append(model, "Mul", np.float32(factor))


def shifted(by: float) -> Callable[[onnx.ModelProto], None]:
    """Return a change that adds to the output."""
    return lambda model: _append(model, "Add", np.float32(by))


def out_of_range(model: onnx.ModelProto) -> None:
    """Fail at run time: take a row that does not exist."""
    _append(model, "Gather", np.array([10_000], np.int64), axis=0)


def endless(model: onnx.ModelProto) -> None:
    """Run a loop of 2^63 - 1 rounds before the output."""
    graph = model.graph
    rounds = helper.make_tensor_value_info("round", TensorProto.INT64, [])
    go = helper.make_tensor_value_info("go", TensorProto.BOOL, [])
    value = helper.make_tensor_value_info("value", TensorProto.FLOAT, [])
    go_on = helper.make_tensor_value_info("go_on", TensorProto.BOOL, [])
    next_value = helper.make_tensor_value_info("next_value", TensorProto.FLOAT, [])
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Sin", ["value"], ["next_value"]),
        ],
        "body",
        [rounds, go, value],
        [go_on, next_value],
    )
    for name, array in (
        ("loop_rounds", np.array(INT64_MAX, np.int64)),
        ("loop_go", np.array(True)),
        ("loop_start", np.array(0.5, np.float32)),
    ):
        graph.initializer.append(numpy_helper.from_array(array, name))
    loop = helper.make_node(
        "Loop", ["loop_rounds", "loop_go", "loop_start"], ["loop_end"], body=body
    )
    graph.node.append(loop)
    graph.node.append(helper.make_node("Mul", ["loop_end", "loop_end"], ["loop_square"]))
    _append(model, "Add", "loop_square")


def external(source: Path, target: Path, location: str) -> Path:
    """Copy a model folder and move its ONNX weights to an external file."""
    shutil.copytree(source, target)
    graph = onnx.load(target / "model.onnx")
    for tensor in graph.graph.initializer:
        array = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    onnx.save_model(
        graph,
        str(target / "model.onnx"),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location="weights.bin",
        size_threshold=128,
        convert_attribute=False,
    )
    if location != "weights.bin":
        moved = onnx.load(target / "model.onnx", load_external_data=False)
        (target / "weights.bin").rename((target / location).resolve())
        for tensor in moved.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = location
        (target / "model.onnx").write_bytes(moved.SerializeToString())
    return seal(target)
