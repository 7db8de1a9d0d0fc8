"""Events that benchmark jobs send to the parent process."""

from __future__ import annotations

from dataclasses import dataclass

from oraclezoo.card.receipt import LatencyRow
from oraclezoo.engine.records import Epoch


@dataclass(frozen=True)
class EpochDone:
    """Metrics of an epoch; ``seed`` is None if the job trains only one seed."""

    epoch: Epoch
    seed: int | None = None


@dataclass(frozen=True)
class StepDone:
    """Completed fraction of a training run, from 0 to 1, sent a few times per second at most.

    ``seeds`` are the seeds of a stack; empty if the job trains only one seed.
    """

    share: float
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class SeedScored:
    """One seed of a stack has been trained and scored."""

    seed: int


@dataclass(frozen=True)
class SeedDiverged:
    """One seed of a stack has diverged."""

    seed: int
    message: str


@dataclass(frozen=True)
class NotStacked:
    """The seeds cannot be stacked and must be trained one by one."""

    reason: str


@dataclass(frozen=True)
class ModelSize:
    """Number of parameters, multiply-accumulates per image, and size of a model in bytes."""

    parameters: int
    macs: int
    size_bytes: int


@dataclass(frozen=True)
class Measured:
    """Size and latency of a model."""

    model: ModelSize
    latency: tuple[LatencyRow, ...]
