"""Options for export and quantization, and the reports that receipts contain."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from oraclezoo.choices import (
    AUTO,
    CALIBRATIONS,
    EXPORT_FORMATS,
    ONNX_PRECISIONS,
    SENSITIVITIES,
)
from oraclezoo.compression.int8.scan import Chosen
from oraclezoo.compression.torch_form import Form
from oraclezoo.errors import UsageError
from oraclezoo.onnx_export.onnx_file import OPSET
from oraclezoo.receipts.measurement import Gates, Measurement

IMAGES = 512
"""Default number of training images for calibration."""
MAX_DIVERGENCE = 0.01
"""Default limit, in nats, on the mean divergence of the probabilities due to quantization."""
TOLERANCE = 1e-4
"""Default limit on the difference between the exported file's and eager mode's probabilities."""


@dataclass(frozen=True)
class Export:
    """Options for an export; see :func:`oraclezoo.export`. Raises UsageError for unknown formats.

    With ``preprocess``, the graph includes standardization and softmax.
    """

    format: str = "onnx"
    preprocess: bool = True
    opset: int = OPSET
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        _check("format", self.format, EXPORT_FORMATS)


@dataclass(frozen=True)
class OnnxReport:
    """The options of an ONNX export, for the receipt."""

    export: Export

    def to_json(self) -> dict[str, Any]:
        """Return the entry ``options`` of the receipt."""
        return {
            "format": self.export.format,
            "preprocess": self.export.preprocess,
            "tolerance": self.export.tolerance,
            "opset": self.export.opset,
        }


@dataclass(frozen=True)
class ProgramReport:
    """The options and the file of a PT2 export, for the receipt."""

    export: Export
    file: str
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """Return the entry ``options`` of the receipt."""
        return {
            "format": self.export.format,
            "preprocess": self.export.preprocess,
            "tolerance": self.export.tolerance,
            "file": self.file,
            "sha256": self.sha256,
        }


@dataclass(frozen=True)
class Int8:
    """Options for static int8 quantization with ONNX Runtime; see :func:`oraclezoo.quantize`.

    Raises:
        UsageError: A name is unknown, or a number is out of range.
    """

    calibration: str = AUTO
    images: int = IMAGES
    sensitivity: str = "auto"
    max_divergence: float = MAX_DIVERGENCE
    keep_float: tuple[str, ...] = ()
    reduce_range: bool = False

    def __post_init__(self) -> None:
        _check("calibration", self.calibration, (AUTO, *CALIBRATIONS))
        _check("sensitivity", self.sensitivity, SENSITIVITIES)
        if self.images < 1 or not self.max_divergence >= 0:
            raise UsageError("images must be at least 1 and max_divergence at least 0")

    def changed(self) -> list[str]:
        """Return the names of the options that differ from their defaults."""
        return [
            each.name
            for each in dataclasses.fields(self)
            if getattr(self, each.name) != each.default
        ]


@dataclass(frozen=True)
class Quantization:
    """Options for quantization with ONNX Runtime; ``int8`` is used only for precision int8."""

    precision: str = "int8"
    int8: Int8 = field(default_factory=Int8)
    gates: Gates = field(default_factory=Gates)
    measurement: Measurement = field(default_factory=Measurement)

    def __post_init__(self) -> None:
        if self.precision == "bf16":
            raise UsageError("bf16 requires backend torch; for ONNX Runtime choose int8 or fp16")
        _check("precision", self.precision, ONNX_PRECISIONS)


@dataclass(frozen=True)
class Fp16Report:
    """The options of a conversion to fp16, for the receipt."""

    def to_json(self) -> dict[str, Any]:
        """Return the entry ``options`` of the receipt."""
        return {"precision": "fp16"}


@dataclass(frozen=True)
class Int8Report:
    """The options and results of int8 quantization, for the receipt.

    ``calibration`` is the selected calibration method, ``calibrations`` holds the divergence of
    each method that was tried, and ``layers`` is the number of layers with weights.
    """

    int8: Int8
    calibration: str
    calibrations: dict[str, float]
    layers: int
    chosen: Chosen

    def to_json(self) -> dict[str, Any]:
        """Return the entry ``options`` of the receipt."""
        return {
            "precision": "int8",
            "calibration": self.calibration,
            "images": self.int8.images,
            "reduce_range": self.int8.reduce_range,
            "sensitivity": self.int8.sensitivity,
            "max_divergence": self.int8.max_divergence,
            "calibrations": self.calibrations,
            "layers": self.layers,
            "kept_float": list(self.chosen.keep_float),
            "divergence": self.chosen.divergence,
            "scan": [
                {"layer": layer.name, "operator": layer.operator, "divergence": layer.divergence}
                for layer in self.chosen.layers
            ],
        }


@dataclass(frozen=True)
class TorchTarget:
    """Precision, device and use of torch.compile for a model that runs in PyTorch."""

    precision: str
    device: str = "auto"
    compile: str = "auto"


@dataclass(frozen=True)
class Coverage:
    """The part of a model that PyTorch's int8 covers: its linear layers."""

    layers: int
    int8_layers: int
    int8_macs: int
    int8_macs_share: float


@dataclass(frozen=True)
class TorchReport:
    """The options and results of quantization for PyTorch, for the receipt."""

    device: str
    form: Form
    compiled: bool
    coverage: Coverage | None

    def to_json(self) -> dict[str, Any]:
        """Return the entry ``options`` of the receipt."""
        return {
            "backend": "torch",
            "device": self.device,
            **self.form.to_json(),
            "compiled": self.compiled,
            **(dataclasses.asdict(self.coverage) if self.coverage else {}),
        }


def _check(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{name} is '{value}'; it must be one of {', '.join(choices)}")
