"""Requests of the benchmark's jobs, whose functions are in :mod:`oraclezoo.benching.actions`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from oraclezoo.engine.execution import Execution
from oraclezoo.recipe import Recipe


@dataclass(frozen=True)
class Scoring:
    """How a finished run is scored.

    Attributes:
        results: Folder of the results, with the ledger of test-set evaluations.
        robust: Whether corrupted test images are scored too.
        timed: Whether times are reported, so that the machine's speed is measured first.
    """

    results: Path
    robust: bool = False
    timed: bool = True


@dataclass(frozen=True)
class Training:
    """Request to train a resolved recipe at one seed and score it.

    ``processes`` is the number of such jobs that run concurrently, None for one at a time.
    """

    ACTION: ClassVar[str] = "oraclezoo.benching.actions:train_and_score"

    recipe: Recipe
    seed: int
    runs: Path
    resume: bool
    execution: Execution
    scoring: Scoring
    processes: int | None = None


@dataclass(frozen=True)
class Stacked:
    """Request to train a resolved recipe at several seeds as a stack, and score each.

    ``resume`` are the seeds that continue from a checkpoint; ``at_once`` is the size of a stack,
    None for as many as fit into memory.
    """

    ACTION: ClassVar[str] = "oraclezoo.benching.actions:train_stacked_and_score"

    recipe: Recipe
    seeds: tuple[int, ...]
    resume: tuple[int, ...]
    at_once: int | None
    runs: Path
    execution: Execution
    scoring: Scoring


@dataclass(frozen=True)
class Compression:
    """Request to compress the finished run in the folder ``run``, and score the variant."""

    ACTION: ClassVar[str] = "oraclezoo.benching.actions:compress_and_score"

    run: Path
    recipe: Recipe
    seed: int
    runs: Path
    resume: bool
    execution: Execution
    scoring: Scoring


@dataclass(frozen=True)
class Measurement:
    """Request to measure size, arithmetic and latency of the model in ``folder``.

    Latency is measured if ``timed``; ``exported`` measures the ONNX export of a run as well.
    """

    ACTION: ClassVar[str] = "oraclezoo.benching.actions:measure"

    folder: Path
    device: str
    timed: bool = True
    exported: bool = False
