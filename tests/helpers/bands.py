"""A hand-written deployed model that classifies the tiny data set without training."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE, CLASSES = 16, 4
CARD: dict[str, Any] = {
    "schema": "oraclezoo/model/1",
    "backbone": {"name": "oraclezoo:lenet5", "options": {}},
    "input": {"in_chans": 1, "num_classes": CLASSES, "image_size": SIZE},
    "preprocessing": {"mean": 0.2, "std": 0.3},
    "classes": ["first", "second", "third", "fourth"],
    "glyphs": ["一", "二", "三", "四"],
    "receipts": [],
    "provenance": {},
}


def band_graph(
    size: int = SIZE, classes: int = CLASSES, output: str = "probabilities", dtype: int = 2
) -> onnx.ModelProto:
    """Softmax over how bright each of ``classes`` bands of rows is, on average."""
    rows = np.zeros((size, classes), np.float32)
    for label in range(classes):
        rows[label * size // classes : (label + 1) * size // classes, label] = 0.1
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "rows"], ["logits"]),
        helper.make_node("Softmax", ["logits"], [output], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "bands",
        [helper.make_tensor_value_info("images", dtype, ["n", size, size])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", classes])],
        [
            numpy_helper.from_array(np.array([2]), "axes"),
            numpy_helper.from_array(rows, "rows"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def write_model(
    folder: Path,
    content: bytes | None = None,
    onnx_entry: dict[str, Any] | None = None,
    **card: Any,
) -> Path:
    """A model folder of ``content`` (the band model by default), with changes to its card."""
    content = band_graph().SerializeToString() if content is None else content
    entry = {
        "file": "model.onnx",
        "sha256": hashlib.sha256(content).hexdigest(),
        "opset": 20,
        "precision": "fp32",
        "input": "uint8",
        **(onnx_entry or {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    document = {**CARD, "onnx": entry, **card}
    (folder / "model.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def drawn(label: int, height: int = SIZE, width: int = SIZE, seed: int = 0) -> Any:
    """uint8 ``(height, width)``: a bright bar in the band of ``label`` on dark, with noise."""
    gray = np.random.default_rng(seed).integers(0, 60, (height, width), dtype=np.uint8)
    top = label * height // CLASSES
    gray[top : top + height // CLASSES, width // 8 : width - width // 8] = 230
    return gray
