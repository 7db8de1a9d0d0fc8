"""Suite: a named list of recipes, read from TOML.

A suite names recipes, or makes them from one: ``base`` is a recipe, ``[all.SECTION]`` what all
change of it, and ``[each.NAME.SECTION]`` what the one called NAME changes beside. A recipe made so
is known as ``suite/NAME``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oraclezoo.errors import RecipeError, UnknownNameError, nearest
from oraclezoo.recipe import Recipe

SHIPPED = Path(__file__).parent / "suites"
_KEYS = ("summary", "recipes", "base", "all", "each")


@dataclass(frozen=True, slots=True)
class Suite:
    """A name, what it is for, and its recipes.

    ``recipes``   all of them, as :func:`load_recipe` takes them; names, paths or suite/name
    ``base``      name or path of the recipe that others are made from
    ``variants``  what each of those changes, as :meth:`Recipe.override` takes it
    """

    name: str
    summary: str
    recipes: tuple[str, ...]
    base: str = ""
    variants: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @classmethod
    def load(cls, source: str | Path) -> Suite:
        """A shipped suite by name, or a TOML file; paths in it are relative to that file."""
        path = Path(source)
        if path.suffix != ".toml":
            if str(source) not in shipped():
                raise UnknownNameError("suite", str(source), shipped())
            path = SHIPPED / f"{source}.toml"
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
            return cls._read(document, path, str(source))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValueError) as error:
            raise RecipeError(f"suite {path}: {error}") from error

    @classmethod
    def _read(cls, document: Mapping[str, Any], path: Path, source: str) -> Suite:
        for key in document:
            if key not in _KEYS:
                raise ValueError(f"unknown key '{key}'{nearest(key, _KEYS)}")
        names = document.get("recipes", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("'recipes' must be a list of names or paths")
        each = document.get("each", {})
        if not names and not each:
            raise ValueError("it has neither 'recipes' nor [each.NAME.SECTION]")
        if bool(each) != isinstance(document.get("base"), str):
            raise ValueError("'base', a recipe, and [each.NAME.SECTION] go together")
        common = _changes(document.get("all", {}), "all")
        variants = {
            name: {**common, **_changes(part, f"each.{name}")} for name, part in each.items()
        }
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
        """The recipe that is made under a name. Raises UnknownNameError or another UsageError."""
        if name not in self.variants:
            raise UnknownNameError(f"recipe of suite '{self.name}'", name, self.variants)
        suite = re.sub(r"[^A-Za-z0-9._-]+", "-", self.name).strip("._-")  # a file's name, maybe
        named = {"name": f"{suite}/{name}" if suite else name}
        made = Recipe.load(self.base).override({**self.variants[name], **named})
        return made.override({"summary": f"{self.summary}: {name}"})


def shipped() -> list[str]:
    """Names of the suites that come with oraclezoo."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def load_recipe(source: str | Path, overrides: Mapping[str, object] | None = None) -> Recipe:
    """What :meth:`Recipe.load` loads, or a recipe that a suite makes, as ``suite/name``.

    ``suite`` is a shipped suite's name, or the path of a suite's TOML file.
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
    """The recipes, then those of the suites, each given by name or path; none twice."""
    names = [str(recipe) for recipe in recipes]
    for suite in suites:
        names += Suite.load(suite).recipes
    return [load_recipe(name, overrides) for name in dict.fromkeys(names)]


def _changes(sections: object, where: str) -> dict[str, object]:
    """Dotted keys of sections."""
    if not isinstance(sections, Mapping):
        raise ValueError(f"[{where}] must hold sections")
    changes: dict[str, object] = {}
    for section, values in sections.items():
        if not isinstance(values, Mapping):
            raise ValueError(f"[{where}.{section}] must be a section")
        changes |= {f"{section}.{key}": value for key, value in values.items()}
    return changes
