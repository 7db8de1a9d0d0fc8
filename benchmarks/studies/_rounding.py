"""Quantization error of a mobile network, layer by layer; a part of compression.py."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from _compressing import Bench, loss_rows, right, share
from _compressing_parts import Effort, as_onnx
from _shared import Figures

from oraclezoo.artifacts.model import Model
from oraclezoo.compression.int8 import graph as qdq
from oraclezoo.compression.int8 import quantize as rounding
from oraclezoo.compression.int8.scan import divergence
from oraclezoo.onnx_export.session import OnnxClassifier
from oraclezoo.quantization.options import IMAGES
from oraclezoo.receipts.receipt import Side
from oraclezoo.recipe import Recipe

Floats = npt.NDArray[np.float32]
AT_ONCE = 32
UNSURE = 0.1
"""Margin of the first over the second class below which a prediction is uncertain."""
WORST = 12
"""Number of layers to report from the scan."""


def mobile(bench: Bench, effort: Effort) -> Figures:
    """Measure a mobile network as int8 after full and short training, and the course project's."""
    plain = {"backbone.name": effort.mobile, "optimizer.lr": 0.006}
    recipes = {
        "full": bench.recipe("plain", {**plain, "budget.epochs": effort.mobile_epochs}),
        "short": bench.recipe("plain", {**plain, "budget.epochs": effort.brief_epochs}),
        "course-project": bench.recipe(
            "course-project", {**effort.course, "budget.epochs": effort.course_epochs}
        ),
    }
    rows, trainings = [], []
    for name, recipe in recipes.items():
        results = [_seed(bench, name, recipe, seed) for seed in bench.seeds]
        before, auto, full = (
            list(each) for each in zip(*(each[1] for each in results), strict=True)
        )
        if name == "full":
            words = f"{effort.mobile}, fully trained, int8"
            rows += loss_rows(words, right(before), right(auto), 0.5)
        first = results[0][0]
        kept = [each[2] for each in results]
        trainings.append(
            {
                "training": name,
                "backbone": recipe.backbone.name,
                "epochs": recipe.budget.epochs,
                "accuracy": share([each.metrics.accuracy for each in before]),
                **_confidence(before),
                "all_layers": _moved(before, full),
                "auto": {**_moved(before, auto), "kept_float": kept},
                **explain(first, bench),
            }
        )
    return {"rows": rows, "details": {"backbone": effort.mobile, "trainings": trainings}}


def _seed(
    bench: Bench, name: str, recipe: Recipe, seed: int
) -> tuple[Model, tuple[Side, Side, Side], int]:
    """Return the float model, evaluations of float, default int8 and full int8, and a count."""
    run, settings = bench.train(recipe, seed), [recipe.hash, seed]
    label = f"mobile-{name}-s{seed}"
    float_model, auto = as_onnx(bench, label, settings, run)
    _, every = as_onnx(bench, label, settings, run, sensitivity="off")
    sides = bench.side(float_model), bench.side(auto), bench.side(every)
    return float_model, sides, len(auto.card.receipts[-1].options["kept_float"])


def _confidence(sides: Sequence[Side]) -> Figures:
    """Return the median margin of the first class, and the share of uncertain predictions."""
    leads = np.concatenate([lead(each.probabilities) for each in sides])
    unsure = float((leads < UNSURE).mean())
    return {"lead_median": share([float(np.median(leads))]), "unsure": share([unsure])}


def lead(probabilities: Floats) -> Floats:
    """Return the margin between the two highest probabilities, float32 ``(N,)``."""
    ordered = np.sort(probabilities, axis=1)
    margins: Floats = ordered[:, -1] - ordered[:, -2]
    return margins


def _moved(before: Sequence[Side], after: Sequence[Side]) -> Figures:
    """Return the effect of quantization on predictions and probabilities."""
    pairs = list(zip(before, after, strict=True))
    changed = [
        lead(one.probabilities)[one.probabilities.argmax(1) != other.probabilities.argmax(1)]
        for one, other in pairs
    ]
    leads = np.concatenate(changed)
    return {
        "loss_points": share([100 * (a.correct.mean() - b.correct.mean()) for a, b in pairs]),
        "agreement": share(
            [1 - len(c) / len(a.labels) for c, (a, _) in zip(changed, pairs, strict=True)]
        ),
        "divergence": share([divergence(a.probabilities, b.probabilities) for a, b in pairs]),
        "lead_of_changed": share([float(np.median(leads))]) if len(leads) else None,
    }


@dataclass(frozen=True)
class Held:
    """A float graph prepared for partial quantization, with its reference probabilities."""

    model: Model
    prepared: rounding.Prepared
    images: npt.NDArray[np.uint8]
    reference: Floats

    def cost(self, graph: onnx.ModelProto) -> float:
        """Return the KL divergence of a graph from float in nats."""
        probabilities = opened(self.model, graph.SerializeToString()).probabilities(self.images)
        return divergence(self.reference, probabilities)


def opened(model: Model, content: bytes) -> OnnxClassifier:
    """Open a graph as a classifier with the model's preprocessing."""
    return OnnxClassifier(
        content,
        image_size=model.card.input.image_size,
        classes=len(model.classes),
        mean=model.card.preprocessing.mean,
        std=model.card.preprocessing.std,
        threads=1,
    )


def explain(model: Model, bench: Bench) -> Figures:
    """Return the divergence on validation images of parts of the network quantized alone."""
    assert model.onnx is not None
    classifier = opened(model, model.onnx)
    training = bench.dataset.split("train").images
    holdout = Held(
        model,
        rounding.prepare(model.onnx, feeds(classifier, training)),
        images := np.asarray(bench.dataset.split("validation").images),
        classifier.probabilities(images),
    )
    prepared = holdout.prepared
    others = {
        name: rounding.prepare(model.onnx, feeds(classifier, training), name)
        for name in ("percentile", "entropy")
    }
    activations = inputs(prepared.model, classifier.feed(images))
    kinds = kinds_of(prepared.model, activations)
    costs = {
        "all layers": holdout.cost(rounding.to_int8(prepared)),
        **{
            f"all layers, {name} calibration": holdout.cost(rounding.to_int8(other))
            for name, other in others.items()
        },
        "weights only": holdout.cost(with_rounded_weights(prepared.model)),
        "additions and pooling only": holdout.cost(
            rounding.to_int8(prepared, keep_float=prepared.layers)
        ),
    }
    for kind in dict.fromkeys(kinds.values()):
        names = [name for name in prepared.layers if kinds[name] == kind]
        costs[f"{kind} only"] = holdout.cost(rounding.to_int8(prepared, only=names))
    nodes = {node.name: node for node in prepared.model.graph.node}
    layers = [
        {
            "layer": name,
            "kind": kinds[name],
            "divergence": holdout.cost(rounding.to_int8(prepared, only=[name])),
            **reach(activations[nodes[name].input[0]]),
        }
        for name in prepared.layers
    ]
    ranked = sorted(layers, key=lambda layer: -layer["divergence"])
    return {
        "parts": [{"part": part, "divergence": _fine(cost)} for part, cost in costs.items()],
        "kinds": [
            {"kind": kind, "layers": len(each), **_typical(each)}
            for kind in dict.fromkeys(kinds.values())
            if (each := [layer for layer in layers if layer["kind"] == kind])
        ],
        "worst": [{**layer, "divergence": _fine(layer["divergence"])} for layer in ranked[:WORST]],
    }


def _fine(cost: float) -> float:
    return round(cost, 6) + 0.0  # avoid negative zero


def _typical(layers: Sequence[Figures]) -> Figures:
    keys = ("levels_median", "levels_tenth", "outlier")
    return {key: share([float(np.median([layer[key] for layer in layers]))]) for key in keys}


def feeds(classifier: OnnxClassifier, images: Any) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """Yield the calibration images of ``quantize``, evenly spaced over the training file."""
    count = min(IMAGES, len(images))
    rows = np.unique(np.linspace(0, len(images) - 1, count).astype(np.int64))
    for start in range(0, len(rows), AT_ONCE):
        yield classifier.feed(images[rows[start : start + AT_ONCE]])


def inputs(model: onnx.ModelProto, feed: dict[str, npt.NDArray[Any]]) -> dict[str, Floats]:
    """Return the input of each layer by tensor name."""
    import onnxruntime  # after oraclezoo, which turns its telemetry off

    graph = copy.deepcopy(model)
    names = dict.fromkeys(node.input[0] for node in qdq.layers(graph.graph))
    missing = [name for name in names if name not in feed]
    known = {each.name for each in graph.graph.output}
    for name in missing:
        if name not in known:
            graph.graph.output.append(
                onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            )
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    values = dict(zip(missing, session.run(missing, feed), strict=True))
    return {**{name: feed[name] for name in names if name in feed}, **values}


def kinds_of(model: onnx.ModelProto, activations: dict[str, Floats]) -> dict[str, str]:
    """Return the role of each layer in a mobile network, from its shape and its input's shape."""
    kinds = {}
    nodes = qdq.layers(model.graph)
    weights = _weights(model)
    spatial = [
        index
        for index, node in enumerate(nodes)
        if node.op_type == "Conv" and activations[node.input[0]].shape[2:] != (1, 1)
    ]
    for index, node in enumerate(nodes):
        group = next((item.i for item in node.attribute if item.name == "group"), 1)
        kernel = weights[node.input[1]].shape[2:]
        if node.op_type != "Conv" or index > max(spatial, default=-1):
            kinds[node.name] = "head"
        elif activations[node.input[0]].shape[2:] == (1, 1) and kernel == (1, 1):
            kinds[node.name] = "squeeze-and-excitation"
        elif group > 1:
            kinds[node.name] = "depthwise"
        else:
            kinds[node.name] = "pointwise" if kernel == (1, 1) else "full convolution"
    return kinds


def reach(values: Floats) -> Figures:
    """Return how well a layer's input uses 256 quantization levels.

    ``levels_median`` and ``levels_tenth`` are the median and the 10th percentile over channels of
    the number of levels that a channel spans. ``outlier`` is the largest absolute value divided by
    the 99.9th percentile.
    """
    step = (max(0.0, float(values.max())) - min(0.0, float(values.min()))) / 255 or 1.0
    axes = (0, *range(2, values.ndim))
    levels = (values.max(axes) - values.min(axes)) / step
    size = np.abs(values)
    usual = float(np.percentile(size, 99.9)) or 1.0
    return {
        "levels_median": round(float(np.median(levels)), 1),
        "levels_tenth": round(float(np.percentile(levels, 10)), 1),
        "outlier": round(float(size.max()) / usual, 2),
    }


def with_rounded_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the float graph with weights rounded to 8 bits, with one scale per output channel."""
    graph = copy.deepcopy(model)
    axes = {}
    for node in qdq.layers(graph.graph):
        transposed = any(item.name == "transB" and item.i for item in node.attribute)
        axes[node.input[1]] = 0 if node.op_type == "Conv" or transposed else 1
    for tensor in graph.graph.initializer:
        if tensor.name in axes:
            values = onnx.numpy_helper.to_array(tensor)
            others = tuple(d for d in range(values.ndim) if d != axes[tensor.name])
            scale = np.abs(values).max(others, keepdims=True) / 127
            scale[scale == 0] = 1
            rounded = (np.round(values / scale) * scale).astype(values.dtype)
            tensor.CopyFrom(onnx.numpy_helper.from_array(rounded, tensor.name))
    return graph


def _weights(model: onnx.ModelProto) -> dict[str, npt.NDArray[Any]]:
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
