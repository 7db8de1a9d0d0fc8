"""Requests for benchmark jobs, which :mod:`oraclezoo.benching.actions` runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from oraclezoo.engine.execution import Execution
from oraclezoo.recipe import Recipe


@dataclass(frozen=True)
class Scoring:
    """Settings for the scoring of a finished run.

    Attributes:
        results: Folder for the results, which contains the ledger of test-set evaluations.
        robust: Whether to score corrupted test images too.
        timed: Whether times are reported; machine speed is then measured before training.
    """

    results: Path
    robust: bool = False
    timed: bool = True


@dataclass(frozen=True)
class Training:
    """Request to train and score a recipe with one seed.

    Attributes:
        recipe: The resolved recipe.
        seed: The seed.
        runs: Folder for run folders.
        resume: Whether to resume from a checkpoint.
        execution: Device and execution settings.
        scoring: Scoring settings.
        processes: Number of training jobs that run concurrently; None for one at a time.
    """

    ACTION: ClassVar[str] = "oraclezoo.benching.actions:train_and_score"
    INCIDENTAL: ClassVar[tuple[str, ...]] = ("resume", "processes")

    recipe: Recipe
    seed: int
    runs: Path
    resume: bool
    execution: Execution
    scoring: Scoring
    processes: int | None = None


@dataclass(frozen=True)
class Stacked:
    """Request to train a recipe with several seeds as a stack, and score each seed.

    Attributes:
        recipe: The resolved recipe.
        seeds: The seeds.
        resume: Seeds that are resumed from a checkpoint.
        stack_size: Number of seeds per stack; None for as many as fit into memory.
        runs: Folder for run folders.
        execution: Device and execution settings.
        scoring: Scoring settings.
    """

    ACTION: ClassVar[str] = "oraclezoo.benching.actions:train_stacked_and_score"

    recipe: Recipe
    seeds: tuple[int, ...]
    resume: tuple[int, ...]
    stack_size: int | None
    runs: Path
    execution: Execution
    scoring: Scoring


@dataclass(frozen=True)
class Compression:
    """Request to compress a finished run and score the variant.

    Attributes:
        run: Folder of the run.
        recipe: The resolved recipe, with ``[compress]``.
        seed: Seed of the run.
        runs: Folder for variant folders.
        resume: Whether to resume an unfinished variant.
        execution: Device and execution settings.
        scoring: Scoring settings.
    """

    ACTION: ClassVar[str] = "oraclezoo.benching.actions:compress_and_score"
    INCIDENTAL: ClassVar[tuple[str, ...]] = ("resume",)

    run: Path
    recipe: Recipe
    seed: int
    runs: Path
    resume: bool
    execution: Execution
    scoring: Scoring


@dataclass(frozen=True)
class Measurement:
    """Request to measure the size, operations and latency of a model.

    Attributes:
        folder: Folder of the model.
        device: Name of the device.
        timed: Whether to measure latency.
        exported: Whether to measure the ONNX export of a run's model too.
    """

    ACTION: ClassVar[str] = "oraclezoo.benching.actions:measure"

    folder: Path
    device: str
    timed: bool = True
    exported: bool = False
