"""The component under test, and the results of checks."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import torch

from oraclezoo.engine.checkpoint import load_state, save_state
from oraclezoo.plugins.registry import Entry, Registry

SEED = 20260000
"""Seed of the checks; arbitrary."""


class ViolationError(Exception):
    """Contract violation, with a one-line description."""


class SkippedError(Exception):
    """Check that does not apply, with a one-line reason."""


def fail(reason: str) -> NoReturn:
    """End a check with the verdict "fail"."""
    raise ViolationError(reason)


def skip(reason: str) -> NoReturn:
    """End a check with the verdict "skip"."""
    raise SkippedError(reason)


class Subject:
    """Registry entry under test, built on demand.

    ``data_dir`` is the folder of a data set's files, or None.
    """

    def __init__(self, registry: Registry, entry: Entry, data_dir: Path | None = None) -> None:
        self.registry, self.entry, self.data_dir = registry, entry, data_dir
        self.spec, self.facts = entry.spec, entry.spec.facts
        self.changes: list[str] = []
        """What it changed in the process so far, when imported or built."""
        self.kept: dict[str, Any] = {}
        """State shared by the checks of one component."""

    def create(self, *args: Any, **kwargs: Any) -> Any:
        """Build the component with ``Registry.create`` and a fixed seed."""
        torch.manual_seed(kwargs.pop("seed", SEED))
        return self.registry.create(self.spec.kind, self.entry.qualified, *args, **kwargs)

    @cached_property
    def dataset(self) -> Any:
        """The data set, created once."""
        return self.create(data_dir=self.data_dir)


def through_checkpoint(state: Any) -> Any:
    """Return a state tree after writing and reading it as a checkpoint."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_state(path, state)
        return load_state(path)


def listed(names: list[str]) -> str:
    """Format up to three names and the number of further ones."""
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
