"""Measure each layer's sensitivity to int8, and select the layers that stay in float."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from oraclezoo.compression.int8.quantize import Classify, Prepared, Probabilities, to_int8

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Layer:
    """A layer, its operator, and the divergence (in nats) if only this layer is quantized."""

    name: str
    operator: str
    divergence: float


@dataclass(frozen=True)
class Limits:
    """Limits on int8 quantization.

    If the probabilities diverge by more than ``max_divergence`` nats, the most sensitive layers
    stay in float. If ``sensitivity`` is ``always``, the layers are scanned in any case; if it is
    ``off``, they are not scanned and only the layers in ``keep_float`` stay in float.
    ``reduce_range`` selects 7-bit weights.
    """

    max_divergence: float
    sensitivity: str = "auto"
    keep_float: tuple[str, ...] = ()
    reduce_range: bool = False


@dataclass(frozen=True)
class Chosen:
    """A quantized graph, the layers that it keeps in float, and its divergence in nats.

    ``layers`` is the result of the scan, with the most sensitive layer first; it is empty if the
    layers were not scanned.
    """

    model: onnx.ModelProto
    keep_float: tuple[str, ...]
    divergence: float
    layers: tuple[Layer, ...]


def divergence(before: Probabilities, after: Probabilities) -> float:
    """Return the mean Kullback-Leibler divergence of ``after`` from ``before``, in nats."""
    p, q = (np.maximum(side.astype(np.float64), 1e-9) for side in (before, after))
    return float((p * (np.log(p) - np.log(q))).sum(1).mean())


def divergences(
    candidates: Mapping[str, Prepared],
    reference: Probabilities,
    classify: Classify,
    *,
    keep_float: Sequence[str] = (),
    reduce_range: bool = False,
) -> dict[str, float]:
    """Return the divergence in nats of each candidate after quantizing all but ``keep_float``.

    The other arguments are the same as for :func:`scan`.
    """
    return {
        name: divergence(
            reference,
            classify(to_int8(prepared, keep_float=keep_float, reduce_range=reduce_range)),
        )
        for name, prepared in candidates.items()
    }


def scan(
    prepared: Prepared,
    reference: Probabilities,
    classify: Classify,
    *,
    reduce_range: bool = False,
    progress: Progress | None = None,
) -> tuple[Layer, ...]:
    """Quantize one layer at a time, and return the layers with the most sensitive first.

    Args:
        prepared: The float graph.
        reference: Class probabilities from the float graph, float32 ``(N, C)``.
        classify: Returns the class probabilities from a graph for the same images.
        reduce_range: Use 7-bit weights.
        progress: Called with one line of text for each layer.
    """
    operators = {node.name: node.op_type for node in prepared.model.graph.node}
    layers = []
    for number, name in enumerate(prepared.layers):
        if progress:
            progress(f"quantizing layer {number + 1} of {len(prepared.layers)} alone: {name}")
        model = to_int8(prepared, only=[name], reduce_range=reduce_range)
        layers.append(Layer(name, operators[name], divergence(reference, classify(model))))
    return tuple(sorted(layers, key=lambda layer: -layer.divergence))


def choose(
    prepared: Prepared,
    reference: Probabilities,
    classify: Classify,
    limits: Limits,
    progress: Progress | None = None,
) -> Chosen:
    """Quantize a graph, and keep the most sensitive layers in float if it diverges too much.

    Bisection finds the smallest number of float layers with which the divergence is within the
    limit. If no number suffices, all but the least sensitive layer stay in float. The other
    arguments are the same as for :func:`scan`.
    """

    def attempt(keep_float: Sequence[str]) -> tuple[onnx.ModelProto, float]:
        model = to_int8(prepared, keep_float=keep_float, reduce_range=limits.reduce_range)
        return model, divergence(reference, classify(model))

    kept = list(limits.keep_float)
    model, cost = attempt(kept)
    enough = cost <= limits.max_divergence
    if limits.sensitivity == "off" or (enough and limits.sensitivity == "auto"):
        return Chosen(model, tuple(kept), cost, ())
    layers = scan(
        prepared, reference, classify, reduce_range=limits.reduce_range, progress=progress
    )
    if enough:
        return Chosen(model, tuple(kept), cost, layers)
    order = [layer.name for layer in layers if layer.name not in kept]
    low, high = 0, len(order) - 1  # at least one layer is quantized
    best: tuple[onnx.ModelProto, float] | None = None
    while low < high:
        middle = (low + 1 + high) // 2 if high - low > 1 else high
        if progress:
            progress(f"keeping the {middle} most sensitive layers in float")
        result = attempt([*kept, *order[:middle]])
        if result[1] <= limits.max_divergence:
            best, high = result, middle
            if middle - low == 1:
                break
        else:
            low = middle
    if best is None:
        best = attempt([*kept, *order[:high]])
    return Chosen(best[0], (*kept, *order[:high]), best[1], layers)
