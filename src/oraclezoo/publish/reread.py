"""Read the recipe of a result from the result's document, without loading torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from oraclezoo.errors import ResultError
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.recipe.sections import COMPONENTS
from oraclezoo.result import RecipeRecord


def recipe_of(record: RecipeRecord, registry: Registry) -> Recipe:
    """Return the resolved recipe of a result.

    Its hash differs from the recorded hash if components have gained options since then. These
    options have their default values; :func:`added` returns their names. Raises RecipeError or
    another UsageError if the content cannot be read, and ResultError if this version reads a value
    differently.
    """
    document: dict[str, Any] = {"name": record.name, "summary": record.summary, **record.content}
    for kind in COMPONENTS:
        part = document.get(kind)
        if not isinstance(part, dict) or not isinstance(part.get("options"), dict):
            raise ResultError(f"recipe {record.name}: {kind} must have a name and options")
        options = {key: value for key, value in part["options"].items() if value is not None}
        document[kind] = {**options, "name": part.get("name")}
    recipe = resolve(Recipe.from_dict(document), registry)
    recorded, resolved = flat(record.content), flat(plain(recipe))
    differing = [key for key in recorded.keys() & resolved.keys() if recorded[key] != resolved[key]]
    if differing:
        key = min(differing)
        raise ResultError(
            f"recipe {record.name}: {key} is {recorded[key]!r}, but this version reads it as "
            f"{resolved[key]!r}; use the version that produced the result"
        )
    return recipe


def added(record: RecipeRecord, recipe: Recipe) -> list[str]:
    """Return the keys of a recipe returned by :func:`recipe_of` that its result lacks."""
    return sorted(flat(plain(recipe)).keys() - flat(record.content).keys())


def plain(recipe: Recipe) -> dict[str, Any]:
    """Return the canonical content of a recipe as plain JSON."""
    content: dict[str, Any] = json.loads(json.dumps(recipe.canonical(), default=list))
    return content


def flat(content: Any, where: str = "") -> dict[str, Any]:
    """Return values keyed by dotted name, without the ``options`` level of components."""
    if not isinstance(content, Mapping):
        return {where.replace(".options.", "."): content}
    values: dict[str, Any] = {}
    for key, value in content.items():
        values |= flat(value, f"{where}.{key}".lstrip("."))
    return values
