"""Suite: a named list of recipes, read from TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from oraclezoo import recipe as recipes
from oraclezoo.errors import RecipeError, UnknownNameError, nearest
from oraclezoo.recipe import Recipe

SHIPPED = Path(__file__).parent / "suites"


@dataclass(frozen=True, slots=True)
class Suite:
    """A name, what it is for, and its recipes: names of shipped ones or paths."""

    name: str
    summary: str
    recipes: tuple[str, ...]

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
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise RecipeError(f"suite {path}: {error}") from error
        known = ("summary", "recipes")
        for key in document:
            if key not in known:
                raise RecipeError(f"suite {path}: unknown key '{key}'{nearest(key, known)}")
        names = document.get("recipes")
        if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
            raise RecipeError(f"suite {path}: 'recipes' must be a list of names or paths")
        local = tuple(str(path.parent / n) if n.endswith(".toml") else n for n in names)
        return cls(path.stem, str(document.get("summary", "")), local)


def shipped() -> list[str]:
    """Names of the suites that come with oraclezoo."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def gather(
    sources: tuple[str | Path, ...], overrides: Mapping[str, object] | None = None
) -> list[Recipe]:
    """The recipes behind names and paths of recipes and suites, in order, none twice.

    A TOML file with a top-level ``recipes`` is a suite; a name is a recipe's before a suite's.
    """
    found: dict[str, Recipe] = {}
    for source in sources:
        for name in _expand(source):
            found.setdefault(str(name), Recipe.load(name, overrides))
    return list(found.values())


def _expand(source: str | Path) -> tuple[str | Path, ...]:
    text = str(source)
    if text.endswith(".toml"):
        path = recipes.find(text)
        if b"\nrecipes" in b"\n" + path.read_bytes():
            return Suite.load(path).recipes
        return (path,)
    if text in recipes.shipped():
        return (text,)
    if text in shipped():
        return Suite.load(text).recipes
    known = (*recipes.shipped(), *shipped())
    raise UnknownNameError("recipe or suite", text, known, "or give the path of a .toml file")
