"""Quantize, scan: what rounding each layer alone does to the probabilities, and which it spares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from oraclezoo.compression.int8.quantize import Classify, Prepared, Probabilities, to_int8

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Layer:
    """A layer, its operator, and the divergence in nats that rounding it alone brings about."""

    name: str
    operator: str
    divergence: float


@dataclass(frozen=True)
class Chosen:
    """A quantized graph, the layers that it leaves in float, and its divergence from float.

    ``layers`` is the scan, the most sensitive first; empty where none was needed.
    """

    model: onnx.ModelProto
    keep_float: tuple[str, ...]
    divergence: float
    layers: tuple[Layer, ...]


def divergence(before: Probabilities, after: Probabilities) -> float:
    """Mean over images of the Kullback-Leibler divergence of ``after`` from ``before``, in nats."""
    p, q = (np.maximum(side.astype(np.float64), 1e-9) for side in (before, after))
    return float((p * (np.log(p) - np.log(q))).sum(1).mean())


def held_apart(
    candidates: Mapping[str, Prepared],
    reference: Probabilities,
    classify: Classify,
    *,
    keep_float: Sequence[str] = (),
    reduce_range: bool = False,
) -> dict[str, float]:
    """The divergence from ``reference``, in nats, that each brings about with its layers rounded.

    All layers but ``keep_float``; the other arguments are those of :func:`scan`.
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
    """Each layer quantized alone, the most sensitive first.

    ``reference`` holds the float graph's probabilities, ``classify`` gives those of a graph for the
    same images.
    """
    operators = {node.name: node.op_type for node in prepared.model.graph.node}
    found = []
    for number, name in enumerate(prepared.layers):
        if progress:
            progress(f"rounding layer {number + 1} of {len(prepared.layers)} alone: {name}")
        model = to_int8(prepared, only=[name], reduce_range=reduce_range)
        found.append(Layer(name, operators[name], divergence(reference, classify(model))))
    return tuple(sorted(found, key=lambda layer: -layer.divergence))


def choose(
    prepared: Prepared,
    reference: Probabilities,
    classify: Classify,
    *,
    max_divergence: float,
    sensitivity: str = "auto",
    keep_float: Sequence[str] = (),
    reduce_range: bool = False,
    progress: Progress | None = None,
) -> Chosen:
    """Quantize all layers but ``keep_float``; where that costs too much, spare the worst ones.

    Too much is a divergence above ``max_divergence`` nats. Then the layers are scanned, and the
    fewest of the most sensitive stay in float that bring it down, found by bisection; all but
    one if none do. ``sensitivity``: ``auto`` as said; ``always`` scans in any case; ``off`` spares
    none.
    """

    def attempt(spared: Sequence[str]) -> tuple[onnx.ModelProto, float]:
        model = to_int8(prepared, keep_float=spared, reduce_range=reduce_range)
        return model, divergence(reference, classify(model))

    kept = list(keep_float)
    model, cost = attempt(kept)
    enough = cost <= max_divergence
    if sensitivity == "off" or (enough and sensitivity == "auto"):
        return Chosen(model, tuple(kept), cost, ())
    layers = scan(prepared, reference, classify, reduce_range=reduce_range, progress=progress)
    if enough:
        return Chosen(model, tuple(kept), cost, layers)
    order = [layer.name for layer in layers if layer.name not in kept]
    low, high = 0, len(order) - 1  # one layer at least is quantized
    best: tuple[onnx.ModelProto, float] | None = None
    while low < high:
        middle = (low + 1 + high) // 2 if high - low > 1 else high
        if progress:
            progress(f"leaving the {middle} most sensitive layers in float")
        found = attempt([*kept, *order[:middle]])
        if found[1] <= max_divergence:
            best, high = found, middle
            if middle - low == 1:
                break
        else:
            low = middle
    if best is None:
        best = attempt([*kept, *order[:high]])
    return Chosen(best[0], (*kept, *order[:high]), best[1], layers)
