"""A sweep as a TOML file: a recipe, what is changed of it, what is varied, and how.

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

import tomllib
from pathlib import Path
from typing import Any

from oraclezoo.errors import RecipeError, nearest

TYPES: dict[str, type | tuple[type, ...]] = {
    "recipe": str,
    "set": dict,
    "space": dict,
    "sampler": str,
    "pruner": str,
    "metric": str,
    "trials": int,
    "seeds": int,
    "folds": int,
    "seed": int,
    "timeout": (str, int, float),
}
"""Its keys: all are optional, and the command line's options come before them."""


def read_sweep(path: str | Path) -> dict[str, Any]:
    """The content of a sweep's file; a recipe's path is taken from the file's folder.

    Raises RecipeError for a key that is not known, or of another type.
    """
    place = Path(path)
    try:
        document = tomllib.loads(place.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"sweep {path}: {error}") from error
    for key, value in document.items():
        if key not in TYPES:
            raise RecipeError(f"sweep {path}: unknown key '{key}'{nearest(key, TYPES)}")
        if not isinstance(value, TYPES[key]) or isinstance(value, bool):
            raise RecipeError(f"sweep {path}: '{key}' is {value!r}, of another type than it takes")
    for table in ("set", "space"):
        if table in document:
            document[table] = dict(_dotted("", document[table]))
    if str(document.get("recipe", "")).endswith(".toml"):
        document["recipe"] = str(place.parent / document["recipe"])
    return document


def _dotted(prefix: str, table: dict[str, Any]) -> list[tuple[str, Any]]:
    """Tables in tables, such as ``optimizer.lr = ...`` without quotes, as dotted keys."""
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        whole = f"{prefix}{key}"
        found += _dotted(f"{whole}.", value) if isinstance(value, dict) else [(whole, value)]
    return found
