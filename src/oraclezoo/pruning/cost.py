"""Cost of a pruned network relative to the unpruned network."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from oraclezoo.artifacts.model import Model
from oraclezoo.choices import PRUNING_RUNTIMES
from oraclezoo.errors import UsageError
from oraclezoo.measure import latency, size
from oraclezoo.receipts.timing import Setting

Cost = Callable[[nn.Module], float]

BUDGET_S = 0.4
"""Seconds to time each network; the unpruned network is timed again with each pruned one."""


def cost(model: Model, quantity: str, runtime: str, setting: Setting) -> Cost:
    """Return a function that computes a pruned network's cost as a fraction of the model's cost.

    Args:
        model: The model before pruning.
        quantity: The kind of cost: ``macs``, ``params`` or ``latency``.
        runtime: Runtime for the latency measurement: ``onnxruntime`` or ``eager``.
        setting: Batch size and number of threads for the latency measurement. The latency is the
            median over passes on the CPU.

    Raises:
        UsageError: The runtime is unknown.
    """
    shape = model.card.input.image
    if quantity == "macs":
        macs = size.macs(model.module, **shape)
        return lambda net: size.macs(net, **shape) / macs
    if quantity == "params":
        parameters = size.parameters(model.module)
        return lambda net: size.parameters(net) / parameters
    if runtime == "eager":
        return lambda net: _eager_ms(net, shape, setting) / _eager_ms(model.module, shape, setting)
    if runtime == "onnxruntime":
        return _onnxruntime_cost(model, setting)
    raise UsageError(f"runtime is '{runtime}'; it must be one of {', '.join(PRUNING_RUNTIMES)}")


def _eager_ms(net: nn.Module, shape: dict[str, int], setting: Setting) -> float:
    rows = latency.eager(
        copy.deepcopy(net),  # timing changes the memory layout
        **shape,
        device=torch.device("cpu"),
        settings=[setting],
        budget_s=BUDGET_S,
    )
    return rows[0].p50_ms


def _onnxruntime_cost(model: Model, setting: Setting) -> Cost:
    from oraclezoo.artifacts.onnx import graph_of
    from oraclezoo.measure import ort

    before = graph_of(model)

    def p50_ms(graph: bytes) -> float:
        with tempfile.TemporaryDirectory(prefix="oraclezoo-cost-") as folder:
            path = Path(folder) / "model.onnx"
            path.write_bytes(graph)
            rows = ort.onnx(
                path,
                image_size=model.card.input.image_size,
                precision="fp32",
                settings=[setting],
                budget_s=BUDGET_S,
            )
        return rows[0].p50_ms

    return lambda net: p50_ms(graph_of(Model(net, model.card))) / p50_ms(before)
