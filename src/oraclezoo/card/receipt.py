"""Records that make up a receipt in ``model.json``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from oraclezoo.codec import Document, decode, encode

SCHEMA = "oraclezoo/receipt/1"


@dataclass(frozen=True)
class LatencyRow:
    """Latency of a model at one batch size and number of threads, in milliseconds per batch."""

    runtime: str
    precision: str
    device: str
    threads: int
    batch_size: int
    repeats: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @property
    def setting_text(self) -> str:
        """Describe the batch size and number of threads."""
        return setting_text(self.batch_size, self.threads)


@dataclass(frozen=True)
class LatencySummary(LatencyRow):
    """Latency in the fastest of several rounds, median latency of each round, and throughput."""

    p50_ms_rounds: tuple[float, ...]
    images_per_s: float


@dataclass(frozen=True)
class Metrics:
    """Size, accuracy and latency of a model before or after a step.

    ``accuracy`` is a fraction, ``loss`` the cross-entropy in nats, and ``macs`` the number of
    multiply-accumulates per image. ``not_run`` states why a runtime could not run the model. Memory
    is the peak in bytes for each runtime, both the resident memory of the process and the memory of
    the device. ``compile_s`` is the compilation time for each runtime, in seconds.
    """

    form: str
    precision: str
    accuracy: float
    loss: float
    parameters: int
    macs: int
    file: str
    size_bytes: int
    latency: tuple[LatencySummary, ...]
    peak_memory_bytes: Mapping[str, int]
    not_run: Mapping[str, str]
    peak_device_memory_bytes: Mapping[str, int] = field(default_factory=dict)
    compile_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """Change in accuracy, paired over images, as fractions.

    ``ci95`` is the two-sided 95% confidence interval, ``loss_limit95`` the one-sided 95% upper
    confidence limit of the drop in accuracy; ``lost`` and ``gained`` count predictions that became
    wrong or right.
    """

    difference: float
    ci95: tuple[float, float]
    loss_limit95: float
    over: str
    lost: int
    gained: int


@dataclass(frozen=True)
class Parity:
    """Agreement between the probabilities before and after a step.

    ``agreement`` is the fraction of images with the same top class. Of the ``disagreeing`` images,
    ``ties`` had two classes of nearly equal probability before the step. ``largest_difference`` and
    ``mean_difference`` are computed over all probabilities.
    """

    agreement: float
    disagreeing: int
    ties: int
    largest_difference: float
    mean_difference: float


@dataclass(frozen=True)
class Speedup:
    """Latency before over latency after; ``low`` and ``high`` are the extremes over rounds."""

    runtime: str
    from_runtime: str
    batch_size: int
    threads: int
    speedup: float
    low: float
    high: float

    @property
    def setting_text(self) -> str:
        """Describe the batch size and number of threads."""
        return setting_text(self.batch_size, self.threads)


@dataclass(frozen=True)
class Ratios:
    """Ratio of each figure before a step to that after it; None if one of the two is zero."""

    parameters: float | None
    macs: float | None
    size_bytes: float | None

    def __post_init__(self) -> None:
        for name in ("parameters", "macs", "size_bytes"):
            ratio = getattr(self, name)
            if ratio is not None and not 0 < ratio < float("inf"):
                raise ValueError(f"ratio of {name} is {ratio}, not a positive number")


@dataclass(frozen=True)
class GateEntry:
    """Accuracy limits that a step was required to meet, in percentage points."""

    max_drop: float | None
    max_limit: float | None


@dataclass(frozen=True)
class Receipt:
    """Effect of a step on a model, measured before and after the step on the same images.

    ``options`` is the JSON of the step's options and findings. ``learned`` is true if the model was
    trained on these images, ``synthetic`` if the images are synthetic.
    """

    step: str
    created: str
    oraclezoo: str
    options: Document
    track: str
    synthetic: bool
    split: str
    images: int
    learned: bool
    before: Metrics
    after: Metrics
    accuracy: Change
    parity: Parity
    ratios: Ratios
    speedups: tuple[Speedup, ...]
    hardware: Mapping[str, str | int | None]
    libraries: Mapping[str, str]
    notes: tuple[str, ...]
    gates: GateEntry | None = None
    schema: str = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"receipt has schema {self.schema}, not {SCHEMA}")
        if "device" not in self.hardware:
            raise ValueError("hardware of the receipt has no device")

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Parse an item of ``receipts`` in a card. Raises KeyError, TypeError or ValueError."""
        return decode(cls, document)

    def to_json(self) -> dict[str, Any]:
        """Return the item of ``receipts`` in a card."""
        return {**encode(self)}

    def with_notes(self, *, first: tuple[str, ...] = (), last: tuple[str, ...] = ()) -> Receipt:
        """Return a copy with notes added before and after the existing notes."""
        return dataclasses.replace(self, notes=(*first, *self.notes, *last))


def setting_text(batch_size: int, threads: int) -> str:
    """Describe the setting of a latency measurement in words.

    >>> setting_text(1, 1)
    'batch 1, 1 thread'
    """
    return f"batch {batch_size}, {threads} thread{'s' if threads != 1 else ''}"
