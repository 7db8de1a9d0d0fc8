"""Quantize a model, with calibration on training images, and write its receipt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.onnx import with_detector, without_detector
from oraclezoo.artifacts.resolve import open_data, open_model
from oraclezoo.artifacts.run import Run, writing_model
from oraclezoo.choices import AUTO, BACKENDS, CALIBRATIONS
from oraclezoo.compression.compact import compact
from oraclezoo.compression.int8 import quantize as rounding
from oraclezoo.compression.int8 import scan
from oraclezoo.contracts import Dataset, Images
from oraclezoo.errors import UsageError
from oraclezoo.measure import hardware
from oraclezoo.onnx_export import onnx_file
from oraclezoo.onnx_export.runtime import has_fast_int8
from oraclezoo.onnx_export.session import OnnxClassifier
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.quantization.export import advise_calibration, export_model
from oraclezoo.quantization.options import (
    IMAGES,
    MAX_DIVERGENCE,
    Export,
    Fp16Report,
    Int8,
    Int8Report,
    Quantization,
    TorchTarget,
)
from oraclezoo.quantization.torch import quantize_torch
from oraclezoo.receipts.measurement import Gates, Measurement
from oraclezoo.receipts.receipt import Step, prove
from oraclezoo.receipts.timing import ROUNDS

_BATCH_SIZE = 32
"""Batch size for calibration; entropy and percentile keep all activations of a batch in memory."""


def quantize(
    model: Model | Run | str | Path,
    out: str | Path | None = None,
    *,
    precision: str = "int8",
    backend: str = "onnxruntime",
    device: str | None = None,
    compile: str | None = None,
    calibration: str = AUTO,
    images: int = IMAGES,
    sensitivity: str = "auto",
    max_divergence: float = MAX_DIVERGENCE,
    keep_float: str | Sequence[str] = (),
    reduce_range: bool = False,
    max_drop: float | None = None,
    max_limit: float | None = None,
    split: str = "validation",
    track: str | None = None,
    data_dir: str | Path | None = None,
    results: str | Path = "results",
    timed: bool = True,
    rounds: int = ROUNDS,
    settings: Sequence[tuple[int, int]] | None = None,
    registry: Registry | None = None,
    progress: Callable[[str], None] | None = None,
) -> Model:
    """Quantize a model for ONNX Runtime or PyTorch, and add a receipt that compares it with float.

    For ONNX Runtime, ``int8`` means static quantization with uint8 activations and per-channel int8
    weights, and ``fp16`` converts weights and arithmetic to 16-bit floats. Preprocessing and
    softmax stay in float32. A model without an ONNX file is exported first.

    For PyTorch, the weights are stored in float32, and the card specifies the precision in which
    the model runs: ``bf16``, ``fp16`` or ``int8`` (torchao's dynamic quantization of linear
    layers). The receipt compares the model with float32 in PyTorch on the same device. The returned
    model is on the CPU.

    Args:
        model: A model, a run, the folder of either, or a model's name.
        out: Folder to write the model to.
        precision: int8 or fp16; with backend torch also bf16.
        backend: onnxruntime or torch. Options that are meant for the other backend are rejected.
        device: Device to run on, for backend torch; by default auto.
        compile: Whether to use torch.compile, for backend torch: auto (only on CUDA), on or off.
        calibration: Method for choosing the range of an activation: minmax, entropy or percentile;
            auto tries all three and keeps the one with the lowest divergence on validation images.
        images: Number of training images for calibration.
        sensitivity: When to measure each layer's sensitivity: auto (if int8 diverges by more than
            ``max_divergence``), always, or off, which keeps only ``keep_float`` in float.
        max_divergence: Maximum accepted mean divergence of the probabilities, in nats. If int8
            diverges more, the most sensitive layers stay in float.
        keep_float: One or several shell-style patterns for names of layers that stay in float.
        reduce_range: Use 7-bit weights, for processors on which sums of 8-bit products can
            saturate.
        max_drop: Maximum accepted drop in accuracy, in percentage points.
        max_limit: Maximum accepted one-sided 95% confidence limit of the drop in accuracy, in
            percentage points.
        split: Split for the receipt's measurements: validation or test.
        track: Data set; by default the model's training data set.
        data_dir: Folder with the data set's files.
        results: Folder with the ledger, which records test-set evaluations.
        timed: Whether to measure latency.
        rounds: Number of timing rounds.
        settings: Pairs of batch size and number of threads to time.
        registry: Registry of components; by default one with all installed plugins.
        progress: Called with one line of text per event.

    Returns:
        The quantized model with its receipt.

    Raises:
        UsageError: An option is invalid, or the model is already quantized.
        VerificationError: The drop in accuracy exceeds a limit; nothing is written.

    Example:
        >>> small = oz.quantize("exported", "small", max_drop=0.5)
    """
    registry = registry or build_registry()
    gates = Gates(max_drop, max_limit)
    measurement = Measurement(
        track, data_dir, split, results, timed, rounds, tuple(settings or ()) or None
    )
    patterns = (keep_float,) if isinstance(keep_float, str) else tuple(keep_float)
    int8 = Int8(calibration, images, sensitivity, max_divergence, patterns, reduce_range)
    if backend == "torch":
        _reject(backend, int8.changed())
        target = TorchTarget(precision, device or "auto", compile or "auto")
        return quantize_torch(model, out, target, measurement, gates, registry, progress)
    if backend not in BACKENDS:
        raise UsageError(f"backend is '{backend}'; it must be one of {', '.join(BACKENDS)}")
    torch_only = {"device": device, "compile": compile}
    _reject(backend, [name for name, value in torch_only.items() if value is not None])
    quantization = Quantization(precision, int8, gates, measurement)
    return quantize_onnx(model, out, quantization, registry, progress)


@writing_model
def quantize_onnx(
    model: Model | Run | str | Path,
    out: str | Path | None,
    options: Quantization,
    registry: Registry,
    progress: Callable[[str], None] | None = None,
) -> Model:
    """Quantize a model for ONNX Runtime like :func:`quantize`, with options in one data class."""
    measurement = options.measurement
    opened = open_model(model, registry).as_float()
    if opened.precision != "fp32":
        raise UsageError(
            f"this model is already {opened.precision}: quantize the float model instead"
        )
    if opened.onnx is None:
        data_only = Measurement(measurement.track, measurement.data_dir, timed=False)
        opened = export_model(opened, None, Export(), data_only, registry, progress)
    dataset = open_data(
        opened, registry, track=measurement.track, data_dir=measurement.data_dir, progress=progress
    )
    bare = without_detector(opened)  # the detector for unknown characters stays in float
    report: Fp16Report | Int8Report
    if options.precision == "fp16":
        assert bare.onnx is not None
        graph, report = rounding.to_fp16(bare.onnx), Fp16Report()
    else:
        report = _to_int8(bare, dataset, options.int8, progress)
        graph = report.chosen.model
    quantized = _with_graph(bare, graph, options.precision)
    if opened.detector is not None and opened.card.unknown is not None:
        quantized = with_detector(quantized, opened.detector, opened.card.unknown)
    step = Step("quantize", opened, quantized, report)
    receipt = prove(step, dataset, measurement, progress)
    receipt = receipt.with_notes(last=tuple(_notes(report)))
    options.gates.check(receipt)
    quantized = quantized.with_receipt(options.gates.passed(receipt))
    if out is not None:
        quantized.save(out)
        advise_calibration(quantized, out, progress)
    return quantized


def _reject(backend: str, names: Sequence[str]) -> None:
    """Raise UsageError if any options are set that ``backend`` does not use."""
    if names:
        raise UsageError(f"backend {backend} does not support {', '.join(names)}")


def _to_int8(
    model: Model, dataset: Dataset, int8: Int8, progress: Callable[[str], None] | None
) -> Int8Report:
    """Calibrate the model, choose the layers that stay in float, and quantize all others."""
    if progress:
        progress(f"calibrating on {int8.images} training images")
    assert model.onnx is not None
    classifier = model.onnx_classifier()
    training = dataset.split("train").images
    validation = np.asarray(dataset.split("validation").images)
    reference = classifier.probabilities(validation)

    def classify(graph: onnx.ModelProto) -> npt.NDArray[np.float32]:
        return _reopened(model, graph).probabilities(validation)

    candidates = {
        name: rounding.prepare(model.onnx, _feeds(classifier, training, int8.images), name)
        for name in (CALIBRATIONS if int8.calibration == AUTO else (int8.calibration,))
    }
    keep_float = rounding.matching(next(iter(candidates.values())).layers, int8.keep_float)
    divergences = scan.divergences(
        candidates, reference, classify, keep_float=keep_float, reduce_range=int8.reduce_range
    )
    calibration = min(divergences, key=divergences.__getitem__)
    prepared = candidates[calibration]
    limits = scan.Limits(int8.max_divergence, int8.sensitivity, keep_float, int8.reduce_range)
    chosen = scan.choose(prepared, reference, classify, limits, progress)
    return Int8Report(int8, calibration, divergences, len(prepared.layers), chosen)


def _feeds(
    classifier: OnnxClassifier, images: Images, count: int
) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """Yield batches of ``count`` evenly spaced images, since files are often sorted by class."""
    rows = np.unique(np.linspace(0, len(images) - 1, min(count, len(images))).astype(np.int64))
    for start in range(0, len(rows), _BATCH_SIZE):
        yield classifier.feed(images[rows[start : start + _BATCH_SIZE]])


def _reopened(model: Model, graph: onnx.ModelProto) -> OnnxClassifier:
    return _with_bytes(model, graph.SerializeToString(), "int8").onnx_classifier()


def _with_graph(model: Model, graph: onnx.ModelProto, precision: str) -> Model:
    """Return the model with a new graph, which is compacted and checked first."""
    compact(graph.graph)
    onnx_file.describe(graph, model.card.metadata())
    return _with_bytes(model, onnx_file.checked(graph), precision)


def _with_bytes(model: Model, content: bytes, precision: str) -> Model:
    entry = model.card.onnx
    assert entry is not None
    return model.with_onnx(
        content,
        precision=precision,
        opset=entry.opset,
        input=entry.input,
        versions={**entry.versions, "onnxruntime": hardware.libraries()["onnxruntime"]},
    )


def _notes(report: Fp16Report | Int8Report) -> Iterator[str]:
    if isinstance(report, Fp16Report):
        return
    keep_float, limit = report.chosen.keep_float, report.int8.max_divergence
    if keep_float:
        yield f"{len(keep_float)} of {report.layers} layers stay in float: {', '.join(keep_float)}"
    if report.chosen.divergence > limit:
        yield (
            f"probabilities diverge by {report.chosen.divergence:.3g} nats, more than the limit "
            f"of {limit:g}"
        )
    if has_fast_int8() is False and not report.int8.reduce_range:
        yield (
            "this processor has no 8-bit dot product: oraclezoo uses slower kernels here, which do "
            "not saturate; other programs must ask ONNX Runtime for them, or use --reduce-range"
        )
