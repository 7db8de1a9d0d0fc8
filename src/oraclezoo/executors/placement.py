"""Placement of jobs: the resolved name and options of an executor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from oraclezoo.contracts import Executor
from oraclezoo.plugins.registry import Registry
from oraclezoo.specs import Value


@dataclass(frozen=True)
class Placement:
    """Executor that runs the jobs, and its options.

    Attributes:
        executor: Qualified name of the executor.
        options: All its options.
        leave: Whether to return once everything is submitted, if jobs outlive the process.
    """

    executor: str
    options: Mapping[str, Value]
    leave: bool = False

    @classmethod
    def of(
        cls, name: str, options: Mapping[str, object], registry: Registry, *, leave: bool
    ) -> Placement:
        """Resolve the name and the options of an executor. Raises UsageError."""
        return cls(*registry.resolve("executor", name, options), leave)

    @property
    def elsewhere(self) -> bool:
        """Whether jobs run on other machines, or with a different number of threads."""
        return self.executor != "oraclezoo:local" or self.options["threads"] is not None

    def create(self, registry: Registry, folder: Path) -> Executor:
        """Connect to the executor. Raises OracleZooError."""
        folder.mkdir(parents=True, exist_ok=True)
        executor: Executor = registry.create(
            "executor", self.executor, folder=folder.resolve(), **self.options
        )
        return executor
