"""Interfaces shared by the rows of a benchmark: settings, position and job type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from oraclezoo.artifacts.record import Provenance
from oraclezoo.artifacts.run import Run
from oraclezoo.benching.progress import Progress
from oraclezoo.engine.execution import Execution
from oraclezoo.jobs import Request
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe


@dataclass(frozen=True)
class Shared:
    """Settings shared by all jobs of a benchmark.

    Attributes:
        registry: Registry of components.
        execution: Device and execution settings.
        results: Folder for the results.
        runs: Folder for run folders.
        overwrite: Whether to ignore finished runs.
        robust: Whether to score corrupted test images too.
        concurrency: Number of seeds to train concurrently; None to choose it automatically.
        command: Command recorded in the results.
        report: Called with each event.
        elsewhere: Whether jobs run on other machines, whose hardware is not known here.
    """

    registry: Registry
    execution: Execution
    results: Path
    runs: Path
    overwrite: bool
    robust: bool
    concurrency: int | None
    command: str
    report: Callable[[Progress], None]
    elsewhere: bool = False

    @property
    def execution_here(self) -> Execution:
        """The execution settings, with a device that this machine has."""
        return replace(self.execution, device="cpu") if self.elsewhere else self.execution


@dataclass(frozen=True)
class Position:
    """Position of a row in the benchmark: the number of jobs before it, and the total."""

    offset: int
    total: int


class JobKind(Protocol):
    """The jobs of a row: one per seed, each of which writes a run folder."""

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe."""

    @property
    def epochs(self) -> int:
        """Number of epochs per job, for progress reports."""

    def run(self, seed: int) -> Run:
        """Return the run of a seed; its folder may not exist yet."""

    def provenance(self, seed: int) -> Provenance:
        """Return the provenance that an existing run must have to be reused."""

    def request(self, seed: int, *, resume: bool, processes: int | None = None) -> Request:
        """Return the request for a job.

        Args:
            seed: The seed.
            resume: Whether to resume from a checkpoint.
            processes: Number of concurrent jobs; None for one at a time.
        """
