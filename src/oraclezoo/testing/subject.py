"""Subject: the component that checks look at, and what they say of it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import torch

from oraclezoo.engine.checkpoint import load_state, save_state
from oraclezoo.plugins.registry import Entry, Registry

SEED = 20260000
"""What a check starts from; any number would do."""


class BrokenError(Exception):
    """The component does not keep its contract: in what, in one line."""


class SkippedError(Exception):
    """The check has nothing to say here: why, in one line."""


def broken(reason: str) -> NoReturn:
    """End a check with the verdict "fail"."""
    raise BrokenError(reason)


def skip(reason: str) -> NoReturn:
    """End a check with the verdict "skip"."""
    raise SkippedError(reason)


class Subject:
    """An entry of a registry, built when a check asks for it.

    ``data_dir`` is where a data set's files are, or None.
    """

    def __init__(self, registry: Registry, entry: Entry, data_dir: Path | None = None) -> None:
        self.registry, self.entry, self.data_dir = registry, entry, data_dir
        self.spec, self.facts = entry.spec, entry.spec.facts
        self.kept: dict[str, Any] = {}
        """What checks of one component share."""

    def create(self, *args: Any, **kwargs: Any) -> Any:
        """Build the component, as ``Registry.create`` does, from a fixed seed."""
        torch.manual_seed(kwargs.pop("seed", SEED))
        return self.registry.create(self.spec.kind, self.entry.qualified, *args, **kwargs)

    @cached_property
    def dataset(self) -> Any:
        """The data set, opened once."""
        return self.create(data_dir=self.data_dir)


def through_checkpoint(state: Any) -> Any:
    """A state tree, written and read as a training's checkpoint is."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_state(path, state)
        return load_state(path)


def listed(names: list[str]) -> str:
    """Up to three names, and how many more there are."""
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
