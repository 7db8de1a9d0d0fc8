"""Sweep files: a recipe with changes, the search space and the settings, as TOML.

recipe = "quick"
sampler = "tpe"
trials = 30
folds = 5

[set]
"budget.epochs" = 10

[space]
"optimizer.lr" = "log:0.01:1"
"budget.batch_size" = [64, 128, 256]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oraclezoo.documents import read_toml
from oraclezoo.errors import RecipeError, nearest
from oraclezoo.sweeping.records import Settings

SETTINGS: dict[str, type] = {
    **dict.fromkeys(("sampler", "pruner", "metric"), str),
    **dict.fromkeys(("trials", "seeds", "folds", "seed"), int),
}
TYPES: dict[str, type | tuple[type, ...]] = {
    "recipe": str,
    "set": dict,
    "space": dict,
    "timeout": (str, int, float),
    **SETTINGS,
}
"""Keys of a sweep file and their types; all are optional, and command-line options take precedence.
"""


@dataclass(frozen=True)
class SweepFile:
    """Content of a sweep file; ``recipe`` and ``timeout`` are None if not set."""

    recipe: str | None = None
    changes: Mapping[str, object] = field(default_factory=dict)
    space: Mapping[str, object] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    timeout: str | None = None


def read_sweep(path: str | Path) -> SweepFile:
    """Read a sweep file; the path of a recipe is relative to the file's folder.

    Raises RecipeError for an unknown key or a value of the wrong type, and UsageError for settings
    out of range.
    """
    file = Path(path)
    try:
        document = read_toml(file)
    except (OSError, ValueError) as error:
        raise RecipeError(f"sweep {path}: {error}") from error
    for key, value in document.items():
        if key not in TYPES:
            raise RecipeError(f"sweep {path}: unknown key '{key}'{nearest(key, TYPES)}")
        if not isinstance(value, TYPES[key]) or isinstance(value, bool):
            raise RecipeError(f"sweep {path}: '{key}' has the wrong type: {value!r}")
    recipe, timeout = document.get("recipe"), document.get("timeout")
    if recipe is not None and recipe.endswith(".toml"):
        recipe = str(file.parent / recipe)
    return SweepFile(
        recipe=recipe,
        changes=dict(_dotted("", document.get("set", {}))),
        space=dict(_dotted("", document.get("space", {}))),
        settings=Settings(**{key: document[key] for key in SETTINGS if key in document}),
        timeout=None if timeout is None else str(timeout),
    )


def _dotted(prefix: str, table: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield nested tables, e.g. from an unquoted ``optimizer.lr = ...``, as dotted keys."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _dotted(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", value
