"""Names that options accept, shared by recipes, the command line and the code that uses them."""

from __future__ import annotations

IMPORTANCES = ("magnitude", "bn-scale", "taylor", "lamp", "random")
"""Importance measures for ranking channels in pruning."""

SCOPES = ("uniform", "global", "isomorphic")
"""Scopes: sets of layers within which channels are ranked."""

PRUNING_RUNTIMES = ("onnxruntime", "eager")
"""Runtimes that can measure the latency of a pruned model."""

EXPORT_FORMATS = ("onnx", "pt2")

BACKENDS = ("onnxruntime", "torch")
"""Runtimes that a model can be quantized for."""

ONNX_PRECISIONS = ("int8", "fp16")
TORCH_PRECISIONS = ("bf16", "fp16", "int8")
PRECISIONS = ("int8", "fp16", "bf16")
"""Precisions of any backend."""

COMPILE = ("auto", "on", "off")
"""When to use torch.compile; ``auto`` compiles on CUDA only."""

AUTO = "auto"
CALIBRATIONS = ("minmax", "entropy", "percentile")
"""Methods for deriving the range of an activation from calibration images."""

SENSITIVITIES = ("auto", "always", "off")
"""When to measure the sensitivity of each layer to int8."""
