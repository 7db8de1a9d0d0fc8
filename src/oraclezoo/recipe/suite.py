"""Suite: a named list of recipes, loaded from TOML.

A suite lists recipes, or derives them from one recipe, ``base``: ``[all.SECTION]`` contains changes
that all derived recipes share, and ``[each.NAME.SECTION]`` contains the changes for recipe NAME. A
derived recipe is called ``suite/NAME``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oraclezoo.documents import read_toml
from oraclezoo.errors import DataError, RecipeError, UnknownNameError, nearest
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.data_lock import digest_of

SHIPPED = Path(__file__).parent / "suites"
_KEYS = ("summary", "recipes", "base", "all", "each")


@dataclass(frozen=True, slots=True)
class Suite:
    """A named list of recipes.

    ``recipes``   names, paths or suite/name of all recipes, as accepted by :func:`load_recipe`
    ``base``      name or path of the recipe from which others are derived
    ``variants``  overrides for each derived recipe, as accepted by :meth:`Recipe.override`
    """

    name: str
    summary: str
    recipes: tuple[str, ...]
    base: str = ""
    variants: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @classmethod
    def load(cls, source: str | Path) -> Suite:
        """Load a bundled suite, or a TOML file with paths relative to it. Raises RecipeError."""
        path = Path(source)
        if path.suffix != ".toml":
            if str(source) not in shipped():
                raise UnknownNameError("suite", str(source), shipped())
            path = SHIPPED / f"{source}.toml"
        try:
            return cls._read(read_toml(path), path, str(source))
        except (OSError, ValueError, DataError) as error:
            raise RecipeError(f"suite {path}: {error}") from error

    @classmethod
    def _read(cls, document: Mapping[str, Any], path: Path, source: str) -> Suite:
        for key in document:
            if key not in _KEYS:
                raise ValueError(f"unknown key '{key}'{nearest(key, _KEYS)}")
        names = document.get("recipes", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("'recipes' must be a list of names or paths")
        tables = document.get("each", {})
        if not isinstance(tables, dict):
            raise ValueError("'each' must be tables: [each.NAME.SECTION]")
        if not names and not tables:
            raise ValueError("'recipes' or [each.NAME.SECTION] is required")
        if bool(tables) != isinstance(document.get("base"), str):
            raise ValueError("'base' (a recipe) and [each.NAME.SECTION] require each other")
        common = _changes(document.get("all", {}), "all")
        variants = {
            name: {**common, **_changes(part, f"each.{name}")} for name, part in tables.items()
        }
        for changes in variants.values():
            if "data.lock" in changes:
                changes["data.lock"] = digest_of(changes["data.lock"], path.parent)
        local = [str(path.parent / name) if name.endswith(".toml") else name for name in names]
        base = str(document.get("base", ""))
        return cls(
            path.stem,
            str(document.get("summary", "")),
            (*local, *(f"{source}/{name}" for name in variants)),
            str(path.parent / base) if base.endswith(".toml") else base,
            variants,
        )

    def recipe(self, name: str) -> Recipe:
        """Return the derived recipe ``name``. Raises UnknownNameError or another UsageError."""
        if name not in self.variants:
            raise UnknownNameError(f"recipe of suite '{self.name}'", name, self.variants)
        suite = re.sub(r"[^A-Za-z0-9._-]+", "-", self.name).strip("._-")  # may be a file path
        overrides = {"name": f"{suite}/{name}" if suite else name}
        derived = Recipe.load(self.base).override({**self.variants[name], **overrides})
        return derived.override({"summary": f"{self.summary}: {name}"})


def shipped() -> list[str]:
    """Return the names of the bundled suites."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def load_recipe(source: str | Path, overrides: Mapping[str, object] | None = None) -> Recipe:
    """Load a recipe like :meth:`Recipe.load`, or a derived recipe of a suite as ``suite/name``.

    In ``suite/name``, ``suite`` is the name of a bundled suite or the path of a suite's TOML file.
    """
    suite, slash, name = str(source).rpartition("/")
    if isinstance(source, str) and slash and not name.endswith(".toml"):
        return Suite.load(suite).recipe(name).override(overrides or {})
    return Recipe.load(source, overrides)


def gather(
    recipes: Iterable[str | Path],
    suites: Iterable[str | Path] = (),
    overrides: Mapping[str, object] | None = None,
) -> list[Recipe]:
    """Load recipes, followed by the recipes of suites, by name or path and without duplicates."""
    names = [str(recipe) for recipe in recipes]
    for suite in suites:
        names += Suite.load(suite).recipes
    return [load_recipe(name, overrides) for name in dict.fromkeys(names)]


def _changes(sections: object, where: str) -> dict[str, object]:
    """Flatten sections into dotted keys."""
    if not isinstance(sections, Mapping):
        raise ValueError(f"[{where}] must contain sections")
    changes: dict[str, object] = {}
    for section, values in sections.items():
        if not isinstance(values, Mapping):
            raise ValueError(f"[{where}.{section}] must be a section")
        changes |= {f"{section}.{key}": value for key, value in values.items()}
    return changes
