"""Typed records of a receipt and their JSON form, which ``model.json`` holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

SCHEMA = "oraclezoo/receipt/1"


class StepOptions(Protocol):
    """The options and findings of one step, such as pruning, as its receipt lists them."""

    def to_json(self) -> dict[str, Any]:
        """Return the entry ``options`` of the receipt."""
        ...


@dataclass(frozen=True)
class NoOptions:
    """Options of a step that has none."""

    def to_json(self) -> dict[str, Any]:
        """Return an empty entry."""
        return {}


NO_OPTIONS = NoOptions()


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

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """Parse a row that a timing process reported. Raises KeyError."""
        return cls(**{each.name: row[each.name] for each in dataclasses.fields(cls)})

    @property
    def setting_text(self) -> str:
        """The batch size and the threads in words."""
        return setting_text(self.batch_size, self.threads)


@dataclass(frozen=True)
class LatencySummary(LatencyRow):
    """The fastest of several rounds, with the median of each round and the throughput."""

    p50_ms_rounds: tuple[float, ...]
    images_per_s: float

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON data."""
        return {**dataclasses.asdict(self), "p50_ms_rounds": list(self.p50_ms_rounds)}


@dataclass(frozen=True)
class Metrics:
    """Size, accuracy and latency of a model on one side of a step.

    ``accuracy`` is a fraction, ``loss`` the cross-entropy in nats, ``macs`` the
    multiply-accumulates of one image. ``not_run`` gives the reason why a runtime could not run the
    model. Memory is the peak by runtime, in bytes: resident memory of the process, and memory of
    the device. ``compile_s`` is the compilation time by runtime.
    """

    form: str
    precision: str
    accuracy: float
    loss: float
    parameters: int
    macs: int
    file: str
    size_bytes: int
    latency: tuple[LatencySummary, ...] = ()
    peak_memory_bytes: Mapping[str, int] = field(default_factory=dict)
    not_run: Mapping[str, str] = field(default_factory=dict)
    peak_device_memory_bytes: Mapping[str, int] = field(default_factory=dict)
    compile_s: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the entry ``before`` or ``after`` of a receipt."""
        entry = {
            each.name: getattr(self, each.name)
            for each in dataclasses.fields(self)
            if each.name not in ("peak_device_memory_bytes", "compile_s")
        }
        entry |= {
            "latency": [row.to_json() for row in self.latency],
            "peak_memory_bytes": dict(self.peak_memory_bytes),
            "not_run": dict(self.not_run),
        }
        if self.peak_device_memory_bytes:
            entry["peak_device_memory_bytes"] = dict(self.peak_device_memory_bytes)
        if self.compile_s:
            entry["compile_s"] = dict(self.compile_s)
        return entry


@dataclass(frozen=True)
class Change:
    """Change of accuracy, paired over images, as fractions.

    ``ci95`` is the two-sided 95% confidence interval, ``loss_limit95`` the one-sided 95% limit of
    the loss; ``lost`` and ``gained`` count predictions that became wrong and right.
    """

    difference: float
    ci95: tuple[float, float]
    loss_limit95: float
    over: str
    lost: int
    gained: int

    def to_json(self) -> dict[str, Any]:
        """Return the entry ``accuracy`` of a receipt."""
        return {**dataclasses.asdict(self), "ci95": list(self.ci95)}


@dataclass(frozen=True)
class Parity:
    """Agreement of the probabilities before and after.

    ``agreement`` is the fraction of images with the same top class. Of the ``disagreeing`` images,
    ``ties`` had two classes of nearly equal probability before. ``largest_difference`` and
    ``mean_difference`` are over all probabilities.
    """

    agreement: float
    disagreeing: int
    ties: int
    largest_difference: float
    mean_difference: float


@dataclass(frozen=True)
class Speedup:
    """Ratio of the latencies before and after; ``low`` and ``high`` are over rounds."""

    runtime: str
    from_runtime: str
    batch_size: int
    threads: int
    speedup: float
    low: float
    high: float

    @property
    def setting_text(self) -> str:
        """The batch size and the threads in words."""
        return setting_text(self.batch_size, self.threads)


@dataclass(frozen=True)
class Ratios:
    """Each figure before divided by that after; None if the figure after is zero."""

    parameters: float | None
    macs: float | None
    size_bytes: float | None


@dataclass(frozen=True)
class GateEntry:
    """The gates that a step had to pass, in percentage points of accuracy."""

    max_drop: float | None
    max_limit: float | None


@dataclass(frozen=True)
class Receipt:
    """What a step did to a model, measured before and after on the same images.

    ``learned`` says that the model was trained on these images, ``synthetic`` that they are
    generated characters.
    """

    step: str
    created: str
    oraclezoo: str
    options: StepOptions
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
    notes: tuple[str, ...] = ()
    gates: GateEntry | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the receipt as JSON data, in the order in which ``model.json`` has it."""
        entry = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        entry |= {
            "options": self.options.to_json(),
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "accuracy": self.accuracy.to_json(),
            "parity": dataclasses.asdict(self.parity),
            "ratios": dataclasses.asdict(self.ratios),
            "speedups": [dataclasses.asdict(row) for row in self.speedups],
            "hardware": dict(self.hardware),
            "libraries": dict(self.libraries),
            "notes": list(self.notes),
            "gates": dataclasses.asdict(self.gates) if self.gates else None,
        }
        if self.gates is None:
            del entry["gates"]
        return {"schema": SCHEMA, **entry}

    def with_notes(self, *, first: tuple[str, ...] = (), last: tuple[str, ...] = ()) -> Receipt:
        """Return a copy with further notes before and after the present ones."""
        return dataclasses.replace(self, notes=(*first, *self.notes, *last))


def setting_text(batch_size: int, threads: int) -> str:
    """Describe a latency setting in words.

    >>> setting_text(1, 1)
    'batch 1, 1 thread'
    """
    return f"batch {batch_size}, {threads} thread{'s' if threads != 1 else ''}"
