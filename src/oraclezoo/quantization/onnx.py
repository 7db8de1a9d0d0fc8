"""Quantize: a model with fewer bits, calibrated on training images, with its receipt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from oraclezoo.artifacts.model import Model
from oraclezoo.artifacts.resolve import open_data, open_model
from oraclezoo.artifacts.run import Run
from oraclezoo.card import metadata
from oraclezoo.compression.compact import compact
from oraclezoo.compression.int8 import quantize as rounding
from oraclezoo.compression.int8 import scan
from oraclezoo.contracts import Dataset, Images
from oraclezoo.errors import UsageError
from oraclezoo.measure import hardware
from oraclezoo.onnx_export import onnx_file
from oraclezoo.onnx_export.session import OnnxClassifier
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.quantization.export import export
from oraclezoo.quantization.torch import quantize_torch
from oraclezoo.receipts.receipt import gate, prove
from oraclezoo.receipts.timing import ROUNDS

BACKENDS = ("onnxruntime", "torch")
PRECISIONS = ("int8", "fp16")
SENSITIVITIES = ("auto", "always", "off")
AUTO = "auto"
"""Calibration by each way there is, of which the one is kept that moves probabilities least."""
IMAGES = 512
"""Training images that ranges of activations are taken from."""
MAX_DIVERGENCE = 0.01
"""Nats, averaged over validation images, that rounding may move the probabilities by."""
_AT_ONCE = 32
"""Calibration images in a batch; entropy and percentile hold all activations of one."""


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
    keep_float: Sequence[str] = (),
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
    """Quantize a model for ONNX Runtime or torch, and add the receipt against float.

    ``int8``: static, uint8 activations, int8 weights by output channel, ranges from ``images``
    training images by ``calibration`` (minmax, entropy or percentile; auto is the one of them by
    which probabilities of validation images diverge least). Where they diverge by more than
    ``max_divergence`` nats, the most sensitive layers stay in float (``sensitivity``: auto; always
    scans; off spares none), as do those whose names fit a pattern of ``keep_float``. ``fp16``
    halves the bits of float. Preprocessing and softmax are not rounded. A model without an ONNX
    file is exported first.

    With ``backend`` torch, torch runs the model in ``bf16``, ``fp16`` or ``int8`` (torchao's, in
    linear layers alone) on ``device`` (by default auto), compiled if ``compile`` (auto, on, off)
    says so; nothing is calibrated, and those options are refused. Its loss and speed are held
    against float32 in torch on that device. The result is on the CPU; ``to`` moves it.

    The result, written to the folder ``out`` if one is given, keeps the float weights beside the
    ONNX file, or alone; an entry in the card is all that a form for torch adds. Raises
    VerificationError if accuracy falls by more than ``max_drop`` points, or the one-sided 95% limit
    of that loss is more than ``max_limit``; then nothing is written.
    """
    registry = registry or build_registry()
    given: dict[str, Any] = {"track": track, "data_dir": data_dir}
    measuring: dict[str, Any] = {
        "split": split,
        "results": results,
        "timed": timed,
        "rounds": rounds,
        "settings": settings,
    }
    others = {
        "calibration": calibration != AUTO,
        "images": images != IMAGES,
        "sensitivity": sensitivity != "auto",
        "max_divergence": max_divergence != MAX_DIVERGENCE,
        "keep_float": bool(keep_float),
        "reduce_range": reduce_range,
    }
    if backend == "torch":
        _refuse(backend, others)
        return quantize_torch(
            model,
            out,
            precision=precision,
            device=device or "auto",
            compile=compile or "auto",
            max_drop=max_drop,
            max_limit=max_limit,
            registry=registry,
            progress=progress,
            **given,
            **measuring,
        )
    _refuse(backend, {"device": device is not None, "compile": compile is not None})
    _check(backend, precision, sensitivity, images, max_divergence)
    opened = open_model(model, registry).as_float()
    if opened.precision != "fp32":
        raise UsageError(
            f"this model is {opened.precision} already: export it anew, and quantize that"
        )
    if opened.onnx is None:
        opened = export(opened, timed=False, registry=registry, progress=progress, **given)
    dataset = open_data(opened, registry, progress=progress, **given)
    options: dict[str, Any] = {"precision": precision}
    if precision == "fp16":
        assert opened.onnx is not None
        graph = rounding.to_fp16(opened.onnx)
    else:
        options |= {"calibration": calibration, "images": images, "reduce_range": reduce_range}
        options |= {"sensitivity": sensitivity, "max_divergence": max_divergence}
        graph, found = _to_int8(opened, dataset, options, keep_float, progress)
        options |= found
    done = _with_graph(opened, graph, precision)
    made = prove(
        "quantize",
        options,
        opened,
        done,
        dataset,
        track=track,
        progress=progress,
        **measuring,
    )
    made["notes"] += _remarks(options)
    gate(made, max_drop=max_drop, max_limit=max_limit)
    made["gates"] = {"max_drop": max_drop, "max_limit": max_limit}
    done = done.with_receipt(made)
    if out is not None:
        done.save(out)
    return done


def _refuse(backend: str, given: dict[str, bool]) -> None:
    """Raise UsageError if an option is given that this backend has no use for."""
    found = [name for name, is_given in given.items() if is_given]
    if found:
        raise UsageError(f"backend {backend} does not take {', '.join(found)}: leave it out")


def _check(
    backend: str, precision: str, sensitivity: str, images: int, max_divergence: float
) -> None:
    if backend == "onnxruntime" and precision == "bf16":
        raise UsageError("bf16 is torch's: say backend torch, or take int8 or fp16")
    for what, value, known in (
        ("backend", backend, BACKENDS),
        ("precision", precision, PRECISIONS),
        ("sensitivity", sensitivity, SENSITIVITIES),
    ):
        if value not in known:
            raise UsageError(f"{what} is '{value}'; it must be one of {', '.join(known)}")
    if images < 1 or not max_divergence >= 0:
        raise UsageError("images must be 1 or more, max_divergence 0 or more")


def _to_int8(
    model: Model,
    dataset: Dataset,
    options: dict[str, Any],
    keep_float: Sequence[str],
    progress: Callable[[str], None] | None,
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """The quantized graph, and what the receipt says of how it came about."""
    if progress:
        progress(f"calibrating on {options['images']} training images")
    assert model.onnx is not None
    classifier = model.onnx_classifier()
    training = dataset.split("train").images
    validation = np.asarray(dataset.split("validation").images)
    reference = classifier.probabilities(validation)

    def classify(graph: onnx.ModelProto) -> npt.NDArray[np.float32]:
        return _reopened(model, graph).probabilities(validation)

    asked, reduced = options["calibration"], options["reduce_range"]
    candidates = {
        name: rounding.prepare(model.onnx, _feeds(classifier, training, options["images"]), name)
        for name in (rounding.CALIBRATIONS if asked == AUTO else (asked,))
    }
    kept = rounding.matching(next(iter(candidates.values())).layers, keep_float)
    tried = scan.held_apart(candidates, reference, classify, keep_float=kept, reduce_range=reduced)
    calibration = min(tried, key=tried.__getitem__)
    prepared = candidates[calibration]
    found = scan.choose(
        prepared,
        reference,
        classify,
        max_divergence=options["max_divergence"],
        sensitivity=options["sensitivity"],
        keep_float=kept,
        reduce_range=reduced,
        progress=progress,
    )
    scanned = [
        {"layer": layer.name, "operator": layer.operator, "divergence": layer.divergence}
        for layer in found.layers
    ]
    told = {
        "calibration": calibration,
        "calibrations": tried,
        "layers": len(prepared.layers),
        "kept_float": list(found.keep_float),
        "divergence": found.divergence,
        "scan": scanned,
    }
    return found.model, told


def _feeds(
    classifier: OnnxClassifier, images: Images, count: int
) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """Batches of so many images, evenly spread over all, since files are often sorted by class."""
    rows = np.unique(np.linspace(0, len(images) - 1, min(count, len(images))).astype(np.int64))
    for start in range(0, len(rows), _AT_ONCE):
        yield classifier.feed(images[rows[start : start + _AT_ONCE]])


def _reopened(model: Model, graph: onnx.ModelProto) -> OnnxClassifier:
    return _with_bytes(model, graph.SerializeToString(), "int8").onnx_classifier()


def _with_graph(model: Model, graph: onnx.ModelProto, precision: str) -> Model:
    """The model with a graph in place of its own, described and checked."""
    compact(graph.graph)
    onnx_file.describe(graph, metadata(model.card))
    return _with_bytes(model, onnx_file.checked(graph), precision)


def _with_bytes(model: Model, content: bytes, precision: str) -> Model:
    entry = {k: v for k, v in model.card["onnx"].items() if k not in ("file", "sha256")}
    versions = {**entry.pop("versions", {}), "onnxruntime": hardware.libraries()["onnxruntime"]}
    return model.with_onnx(content, **{**entry, "precision": precision, "versions": versions})


def _remarks(options: dict[str, Any]) -> Iterator[str]:
    """What a reader of an int8 model's figures must not overlook."""
    if options["precision"] != "int8":
        return
    kept, layers = options["kept_float"], options["layers"]
    if kept:
        yield f"{len(kept)} of {layers} layers stay in float: {', '.join(kept)}"
    if options["divergence"] > options["max_divergence"]:
        yield (
            f"probabilities diverge by {options['divergence']:.3g} nats, more than the "
            f"{options['max_divergence']:g} asked for"
        )
    if rounding.has_fast_int8() is False and not options["reduce_range"]:
        yield (
            "this processor has no 8-bit dot product: sums of products may saturate, and accuracy "
            "on others differ; --reduce-range avoids that"
        )
