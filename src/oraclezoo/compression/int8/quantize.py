"""Quantize an ONNX graph to int8 weights and activations, or convert it to fp16."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process

from oraclezoo.choices import CALIBRATIONS
from oraclezoo.compression.int8 import graph as qdq
from oraclezoo.errors import UsageError

Feed = Mapping[str, npt.NDArray[Any]]
Probabilities = npt.NDArray[np.float32]
Classify = Callable[[onnx.ModelProto], Probabilities]

_METHODS = dict(
    zip(
        CALIBRATIONS,
        (CalibrationMethod.MinMax, CalibrationMethod.Entropy, CalibrationMethod.Percentile),
        strict=True,
    )
)

OPERATORS = ("Conv", "Gemm", "MatMul", "Add", "MaxPool", "AveragePool", "GlobalAveragePool")
"""Operators to run in integer arithmetic: layers, and the operators between them."""

PERCENTILE = 99.99
"""Percentage of an activation's values that lie within the range of percentile calibration."""


@dataclass(frozen=True)
class Prepared:
    """A float graph ready for quantization: with inferred shapes, folded norms and named nodes.

    ``ranges`` holds the ranges of the activations on the calibration images, ``outside`` the names
    of the nodes that always stay in float, and ``layers`` the names of the nodes with weights, in
    graph order.
    """

    model: onnx.ModelProto
    ranges: Any
    outside: tuple[str, ...]
    layers: tuple[str, ...]


def prepare(content: bytes, feeds: Iterable[Feed], calibration: str = "minmax") -> Prepared:
    """Calibrate and prepare a float ONNX file for quantization.

    Args:
        content: The bytes of the file.
        feeds: Batches of calibration images.
        calibration: How to choose the range of an activation: ``minmax`` covers all observed
            values, ``percentile`` covers all but the outermost 0.01%, and ``entropy`` minimizes the
            Kullback-Leibler divergence (Migacz, "8-bit inference with TensorRT", GTC 2017).

    Raises:
        UsageError: The calibration is unknown, or the graph has no layers.
    """
    if calibration not in CALIBRATIONS:
        known = ", ".join(CALIBRATIONS)
        raise UsageError(f"calibration is '{calibration}'; it must be one of {known}")
    with tempfile.TemporaryDirectory(prefix="oraclezoo-quantize-") as folder, quietly():
        model = _simplified(content, Path(folder))
        path = Path(folder) / "float.onnx"
        onnx.save(model, path)
        layers = qdq.layers(model.graph)
        if not layers:
            raise UsageError("the graph has no convolution or matrix product to quantize")
        options: dict[str, Any] = {"symmetric": False}
        if calibration == "percentile":
            options["percentile"] = PERCENTILE
        calibrator = create_calibrator(
            path,
            list(OPERATORS),
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=_METHODS[calibration],
            extra_options=options,
        )
        for feed in feeds:  # one at a time: histograms need equal batch sizes in each call
            calibrator.collect_data(_Reader([feed]))
        ranges = calibrator.compute_data()
    names = tuple(node.name for node in layers)
    return Prepared(model, ranges, tuple(qdq.outside(model.graph)), names)


def to_int8(
    prepared: Prepared,
    *,
    keep_float: Sequence[str] = (),
    only: Sequence[str] | None = None,
    reduce_range: bool = False,
) -> onnx.ModelProto:
    """Return the graph with QDQ nodes, uint8 activations and int8 weights (per output channel).

    The quantization scheme is from Jacob et al. 2018, arXiv:1712.05877.

    Args:
        prepared: The calibrated float graph.
        keep_float: Names of layers to keep in float, together with the nodes that only feed them.
        only: Names of the layers to quantize; None for all layers.
        reduce_range: Use 7-bit weights, for processors that sum 8-bit products in 16 bits.
    """
    before = qdq.serving(prepared.model.graph, keep_float)
    excluded = {*prepared.outside, *keep_float, *before}
    selected = [name for name in prepared.layers if name in only] if only is not None else []
    with quietly():
        quantizer = QDQQuantizer(
            copy.deepcopy(prepared.model),
            True,  # per-channel weights
            reduce_range,
            QuantType.QInt8,
            QuantType.QUInt8,
            prepared.ranges,
            selected,
            sorted(excluded),
            list(OPERATORS),
            {"ActivationSymmetric": False, "WeightSymmetric": True},
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
        model = quantizer.model.model
    qdq.unround_ends(model.graph, prepared.outside)
    assert isinstance(model, onnx.ModelProto)
    return model


def to_fp16(content: bytes) -> onnx.ModelProto:
    """Return the graph with fp16 weights and arithmetic from the first to the last layer.

    Inputs and outputs keep their types; preprocessing and softmax stay in float32.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with tempfile.TemporaryDirectory(prefix="oraclezoo-quantize-") as folder, quietly():
        model = _simplified(content, Path(folder))
        around = qdq.outside(model.graph)
        half = ONNXModel(
            convert_float_to_float16(model, keep_io_types=True, node_block_list=around)
        )
        half.topological_sort()
        del half.model.graph.value_info[:]  # it still lists the float32 types
    assert isinstance(half.model, onnx.ModelProto)
    return half.model


def _simplified(content: bytes, folder: Path) -> onnx.ModelProto:
    """Infer shapes, fold constants and batch norm, and name every node."""
    source, target = folder / "given.onnx", folder / "simplified.onnx"
    source.write_bytes(content)  # quant_pre_process corrupts a model that is passed in memory
    quant_pre_process(str(source), str(target), skip_symbolic_shape=True)
    model = onnx.load(target)
    qdq.name_nodes(model.graph)
    return model


def matching(names: Iterable[str], patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the names that match shell-style patterns. Raises UsageError if one matches none."""
    from fnmatch import fnmatchcase

    every = list(names)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in every):
            raise UsageError(f"no layer matches '{pattern}'; the layers are {', '.join(every)}")
    return tuple(n for n in every if any(fnmatchcase(n, pattern) for pattern in patterns))


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # the package ships no types
    def __init__(self, feeds: Iterable[Feed]) -> None:
        self.feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        """Return the next batch, or None after the last."""
        return next(self.feeds, None)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Suppress the advice that ONNX Runtime's quantization tools print and log."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    onnxruntime.set_default_logger_severity(3)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
        onnxruntime.set_default_logger_severity(2)
