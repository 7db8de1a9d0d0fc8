"""Cost: what a net takes, as a share of what it took before, for pruning to go by."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from oraclezoo.artifacts.model import Model
from oraclezoo.errors import UsageError
from oraclezoo.measure import latency, size

Cost = Callable[[nn.Module], float]

RUNTIMES = ("onnxruntime", "eager")
"""By which latency is measured."""

BUDGET_S = 0.4
"""Seconds for which each net is timed; the net before is timed anew beside each."""


def cost(model: Model, what: str, runtime: str, setting: tuple[int, int]) -> Cost:
    """``what`` (macs, params or latency) of a cut net, the model's own being 1.

    Latency is the median of a pass at ``setting``, batch size and threads, on the CPU.
    """
    given = model.card["input"]
    shape = {"in_chans": given["in_chans"], "image_size": given["image_size"]}
    if what == "macs":
        macs = size.macs(model.module, **shape)
        return lambda net: size.macs(net, **shape) / macs
    if what == "params":
        parameters = size.parameters(model.module)
        return lambda net: size.parameters(net) / parameters
    if runtime == "eager":
        return lambda net: _eager_ms(net, shape, setting) / _eager_ms(model.module, shape, setting)
    if runtime == "onnxruntime":
        return _in_onnxruntime(model, setting)
    raise UsageError(f"runtime is '{runtime}'; it must be one of {', '.join(RUNTIMES)}")


def _eager_ms(net: nn.Module, shape: dict[str, int], setting: tuple[int, int]) -> float:
    rows = latency.eager(
        copy.deepcopy(net),  # it is left in another memory layout
        **shape,
        device=torch.device("cpu"),
        settings=[setting],
        budget_s=BUDGET_S,
    )
    return float(rows[0]["p50_ms"])


def _in_onnxruntime(model: Model, setting: tuple[int, int]) -> Cost:
    from oraclezoo.artifacts.onnx import graph_of
    from oraclezoo.measure import ort

    before = graph_of(model)

    def p50_ms(graph: bytes) -> float:
        with tempfile.TemporaryDirectory(prefix="oraclezoo-cost-") as place:
            path = Path(place) / "model.onnx"
            path.write_bytes(graph)
            rows = ort.onnx(
                path,
                image_size=model.card["input"]["image_size"],
                precision="fp32",
                settings=[setting],
                budget_s=BUDGET_S,
            )
        return float(rows[0]["p50_ms"])

    return lambda net: p50_ms(graph_of(Model(net, model.card))) / p50_ms(before)
