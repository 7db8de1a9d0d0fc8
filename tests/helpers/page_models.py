"""A model whose graph has a detector of unknown characters, for the drawing page."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import onnx
from onnx import TensorProto, helper


def add_unknown(source: Path, folder: Path, threshold: float) -> Path:
    """Copy a model folder; add the output ``unknown``: one minus the highest probability.

    A threshold of 0 makes every character unknown.
    """
    model = onnx.load_model(source / "model.onnx")
    graph = model.graph
    axes = helper.make_tensor("unknown_axes", TensorProto.INT64, [1], [1])
    one = helper.make_tensor("unknown_one", TensorProto.FLOAT, [], [1.0])
    graph.initializer.extend([axes, one])
    reduce = helper.make_node(
        "ReduceMax", ["probabilities", "unknown_axes"], ["unknown_best"], keepdims=0
    )
    graph.node.extend(
        [reduce, helper.make_node("Sub", ["unknown_one", "unknown_best"], ["unknown"])]
    )
    graph.output.append(helper.make_tensor_value_info("unknown", TensorProto.FLOAT, ["batch"]))
    folder.mkdir(parents=True)
    content = model.SerializeToString()
    (folder / "model.onnx").write_bytes(content)
    card = json.loads((source / "model.json").read_text(encoding="utf-8"))
    card["onnx"]["sha256"] = hashlib.sha256(content).hexdigest()
    card["unknown"] = {
        "method": "one minus the highest probability",
        "threshold": threshold,
        "file": "model.onnx",
        "sha256": card["onnx"]["sha256"],
    }
    (folder / "model.json").write_text(json.dumps(card), encoding="utf-8")
    return folder
