"""Suite: a named list of recipes, read from TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

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
    recipes: Iterable[str | Path],
    suites: Iterable[str | Path] = (),
    overrides: Mapping[str, object] | None = None,
) -> list[Recipe]:
    """The recipes, then those of the suites, each given by name or path; none twice."""
    names = [str(recipe) for recipe in recipes]
    for suite in suites:
        names += Suite.load(suite).recipes
    return [Recipe.load(name, overrides) for name in dict.fromkeys(names)]
