"""Express recipe files as overrides of bundled recipes, for containers without these files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from oraclezoo.errors import UsageError
from oraclezoo.recipe import Recipe, parse_assignments, shipped
from oraclezoo.recipe.resolve import resolve
from oraclezoo.recipe.sections import COMPONENTS, SECTIONS

if TYPE_CHECKING:
    from oraclezoo.plugins.registry import Registry


def is_file(name: str) -> bool:
    """Return whether the name of a recipe or suite refers to a file on this machine."""
    return name.endswith(".toml") or name.rpartition("/")[0].endswith(".toml")


def as_overrides(recipe: Recipe, registry: Registry) -> tuple[str, tuple[str, ...]]:
    """Express a recipe as a bundled recipe with as few overrides as possible.

    Args:
        recipe: The recipe.
        registry: Registry that resolves component names.

    Returns:
        Name of a bundled recipe, and the ``key=value`` texts that turn it into ``recipe``.

    Raises:
        UsageError: No bundled recipe with overrides equals ``recipe``.
    """
    target = resolve(recipe, registry)
    candidates = []
    for name in shipped():
        texts = tuple(_differences(resolve(Recipe.load(name), registry), target))
        try:
            changed = resolve(Recipe.load(name, parse_assignments(texts)), registry)
        except UsageError:
            continue
        if (changed.hash, changed.name) == (target.hash, target.name):
            candidates.append((len(texts), name, texts))
    if not candidates:
        raise UsageError(
            f"recipe '{recipe.name}' cannot be expressed as overrides of a bundled recipe; add its "
            "file to the image, and edit the command of a spec for a bundled one"
        )
    _, name, texts = min(candidates)
    return name, texts


def _differences(base: Recipe, target: Recipe) -> Iterator[str]:
    """Yield an override for each key in which ``target`` differs from ``base``."""
    old, new = base.to_dict(), target.to_dict()
    for key in ("name", "summary"):
        if old[key] != new[key]:
            yield f"{key}={_toml(new[key])}"
    for section in (*COMPONENTS, *SECTIONS):
        before = old[section]
        if section in COMPONENTS and before["name"] != new[section]["name"]:
            before = {}  # a new component does not keep the old options
        for key, value in new[section].items():
            if key not in before or before[key] != value:
                yield f"{section}.{key}={_toml(value)}"


def _toml(value: Any) -> str:
    """Return a value as TOML on one line; strings, numbers and lists are the same as in JSON."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
