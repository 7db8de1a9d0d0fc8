"""Imports what jobs need, for the process from which tests fork them; it computes nothing."""

from __future__ import annotations

import functools
from typing import Any

import oraclezoo  # before onnxruntime: turns telemetry off
import oraclezoo.measure.hardware
import oraclezoo.measure.repeats

_repeat = oraclezoo.measure.repeats.repeat


@functools.wraps(_repeat)
def _repeat_briefly(*arguments: Any, **options: Any) -> dict[str, float | int]:
    """Time the least number of calls, not as many as there are in a second."""
    return _repeat(*arguments, **{**options, "budget_s": 0.0})


def _calibrate(device: object) -> float:
    """Return a constant: the fixed workload takes two seconds, and tests/measure/ covers it."""
    return 0.01


# before other modules import these functions
oraclezoo.measure.hardware.calibrate = _calibrate
oraclezoo.measure.repeats.repeat = _repeat_briefly

import onnx  # noqa: E402, F401
import onnxruntime  # noqa: E402, F401
import scipy.stats  # noqa: E402, F401
import timm  # noqa: E402, F401
import torch._dynamo  # noqa: E402
import torch.onnx  # noqa: E402, F401

import oraclezoo.artifacts.score  # noqa: E402
import oraclezoo.benching.actions  # noqa: E402
import oraclezoo.benching.compressed  # noqa: E402
import oraclezoo.training.stacked  # noqa: E402
import oraclezoo.training.train  # noqa: E402
