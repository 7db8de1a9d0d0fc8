"""A result under examination, and data that several checks read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from oraclezoo.errors import OracleZooError, ResultError
from oraclezoo.plugins.discovery import normalize
from oraclezoo.plugins.registry import Registry
from oraclezoo.publish.reread import recipe_of
from oraclezoo.ranking.load import entry_of
from oraclezoo.ranking.predictions import Predictions
from oraclezoo.recipe import Recipe
from oraclezoo.result import Result


class Unchecked(str):
    """Reason why a rule cannot be checked."""

    __slots__ = ()


@dataclass(frozen=True)
class Claim:
    """A result with the path of its file, and the components for checking it."""

    result: Result
    path: Path
    registry: Registry

    @cached_property
    def predictions(self) -> Predictions:
        """The stored predictions. Raises ResultError."""
        entry = entry_of(self.result).predictions
        if entry is None:
            raise ResultError("every seed failed; there is nothing to publish")
        return entry

    @cached_property
    def recipe(self) -> Recipe | None:
        """The resolved recipe; None if this installation cannot read it."""
        try:
            return recipe_of(self.result.recipe, self.registry)
        except OracleZooError:
            return None

    @property
    def missing(self) -> list[str]:
        """Distributions of components that are not installed, with the versions in the result."""
        installed = {plugin.distribution for plugin in self.registry.plugins}
        parts = self.result.components.values()
        return sorted(
            {
                f"{part.distribution}=={part.version}"
                for part in parts
                if normalize(part.name.partition(":")[0]) not in installed
            }
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: ``faults`` yields violations or ``Unchecked``; ``passed`` is the text if none."""

    faults: Callable[[Claim], Iterator[str]]
    passed: str
