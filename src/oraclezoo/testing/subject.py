"""The component under test, and exceptions that end a check."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import torch

from oraclezoo.engine.checkpoint import load_state, save_state
from oraclezoo.plugins.registry import Entry, Registry

SEED = 20260000
"""Random seed for all checks; the value is arbitrary."""


class ViolationError(Exception):
    """Raised if a component violates its contract, with a one-line description."""


class SkippedError(Exception):
    """Raised if a check does not apply to a component, with a one-line reason."""


def fail(reason: str) -> NoReturn:
    """End a check with the verdict "fail"."""
    raise ViolationError(reason)


def skip(reason: str) -> NoReturn:
    """End a check with the verdict "skip"."""
    raise SkippedError(reason)


class Subject:
    """The registry entry under test, whose component is built on demand.

    ``data_dir`` is the folder with a data set's files, or None.
    """

    def __init__(self, registry: Registry, entry: Entry, data_dir: Path | None = None) -> None:
        self.registry, self.entry, self.data_dir = registry, entry, data_dir
        self.spec, self.facts = entry.spec, entry.spec.facts
        self.changes: list[str] = []
        """Process-wide settings that the component changed so far when it was imported or built."""
        self.kept: dict[str, Any] = {}
        """State that the checks of the component share."""

    def create(self, *args: Any, **kwargs: Any) -> Any:
        """Build the component with ``Registry.create`` and a fixed seed."""
        torch.manual_seed(kwargs.pop("seed", SEED))
        return self.registry.create(self.spec.kind, self.entry.qualified, *args, **kwargs)

    @cached_property
    def dataset(self) -> Any:
        """The data set, which is created on first use."""
        return self.create(data_dir=self.data_dir)


def through_checkpoint(state: Any) -> Any:
    """Write a state tree to a checkpoint, read it back, and return the result."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_state(path, state)
        return load_state(path)


def listed(names: list[str]) -> str:
    """Format up to three names, followed by the number of remaining names."""
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
