"""Events that the benchmark's jobs send to their parent process."""

from __future__ import annotations

from dataclasses import dataclass

from oraclezoo.card.receipt import LatencyRow
from oraclezoo.engine.records import Epoch


@dataclass(frozen=True)
class EpochDone:
    """Metrics of an epoch; ``seed`` is None if the job trains one seed."""

    epoch: Epoch
    seed: int | None = None


@dataclass(frozen=True)
class SeedScored:
    """A seed of a stack was trained and scored."""

    seed: int


@dataclass(frozen=True)
class SeedDiverged:
    """A seed of a stack diverged."""

    seed: int
    message: str


@dataclass(frozen=True)
class NotStacked:
    """The seeds cannot be stacked and must be trained one by one."""

    reason: str


@dataclass(frozen=True)
class ModelSize:
    """Parameters, multiply-accumulates per image, and size in bytes of a model."""

    parameters: int
    macs: int
    size_bytes: int


@dataclass(frozen=True)
class Measured:
    """Size and latency of a model."""

    model: ModelSize
    latency: tuple[LatencyRow, ...]
