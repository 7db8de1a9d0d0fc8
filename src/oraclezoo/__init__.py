"""oraclezoo: a model zoo and benchmark for oracle bone character recognition.

    import oraclezoo as oz

Public names are imported on first use, so that ``import oraclezoo`` is fast.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from oraclezoo._version import __version__

if TYPE_CHECKING:
    from oraclezoo.analysis.drift import drift
    from oraclezoo.analysis.evaluate import evaluate
    from oraclezoo.analysis.plot import plot
    from oraclezoo.api import leaderboard, load, predict, predictor, receipt, registry
    from oraclezoo.artifacts.model import Model
    from oraclezoo.artifacts.run import Run
    from oraclezoo.benching.bench import bench
    from oraclezoo.errors import OracleZooError
    from oraclezoo.pruning.prune import prune
    from oraclezoo.publish.reproduce import reproduce
    from oraclezoo.quantization.export import export
    from oraclezoo.quantization.onnx import quantize
    from oraclezoo.quantization.temperature import calibrate
    from oraclezoo.recipe import Recipe
    from oraclezoo.result import Result
    from oraclezoo.search.compress import compress
    from oraclezoo.sweeping.sweep import sweep
    from oraclezoo.training.train import train

# Libraries with telemetry read these variables when they are imported. Python runs this file
# before any submodule, and subprocesses inherit the environment, so this covers every process.
# Values set by the user take precedence. docs/reference/privacy.md has the list.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime 1.29 or newer, on Linux and macOS
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # huggingface_hub and hf-xet, through timm

__all__ = [
    "Model",
    "OracleZooError",
    "Recipe",
    "Result",
    "Run",
    "__version__",
    "bench",
    "calibrate",
    "compress",
    "drift",
    "evaluate",
    "export",
    "leaderboard",
    "load",
    "plot",
    "predict",
    "predictor",
    "prune",
    "quantize",
    "receipt",
    "registry",
    "reproduce",
    "sweep",
    "train",
]

_WHERE = {
    "Model": "oraclezoo.artifacts.model",
    "OracleZooError": "oraclezoo.errors",
    "Recipe": "oraclezoo.recipe",
    "Result": "oraclezoo.result",
    "Run": "oraclezoo.artifacts.run",
    "bench": "oraclezoo.benching.bench",
    "calibrate": "oraclezoo.quantization.temperature",
    "compress": "oraclezoo.search.compress",
    "drift": "oraclezoo.analysis.drift",
    "evaluate": "oraclezoo.analysis.evaluate",
    "export": "oraclezoo.quantization.export",
    "leaderboard": "oraclezoo.api",
    "load": "oraclezoo.api",
    "plot": "oraclezoo.analysis.plot",
    "predict": "oraclezoo.api",
    "predictor": "oraclezoo.api",
    "prune": "oraclezoo.pruning.prune",
    "quantize": "oraclezoo.quantization.onnx",
    "receipt": "oraclezoo.api",
    "registry": "oraclezoo.api",
    "reproduce": "oraclezoo.publish.reproduce",
    "sweep": "oraclezoo.sweeping.sweep",
    "train": "oraclezoo.training.train",
}
"""Import target of each public name, which no package may share, or it would hide the name."""


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'oraclezoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
