"""Imports what jobs need, for the process from which tests fork them; it computes nothing."""

from __future__ import annotations

import itertools
import time
from types import SimpleNamespace

import onnx  # noqa: F401
import onnxruntime  # noqa: F401
import scipy.stats  # noqa: F401
import timm  # noqa: F401
import torch._dynamo
import torch.onnx  # noqa: F401

import oraclezoo.artifacts.score
import oraclezoo.benching.actions
import oraclezoo.benching.compressed
import oraclezoo.measure.hardware
import oraclezoo.measure.repeats
import oraclezoo.training.stacked
import oraclezoo.training.train


def _calibrate(device: object) -> float:
    """Return a constant: the fixed workload takes two seconds, and tests/measure/ covers it."""
    return 0.01


oraclezoo.measure.hardware.calibrate = _calibrate
# a second passes whenever a timing loop asks: it repeats a call as often as it must, and ends
oraclezoo.measure.repeats.time = SimpleNamespace(
    monotonic=itertools.count().__next__, perf_counter=time.perf_counter
)
