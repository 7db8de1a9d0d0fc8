"""Suites: named lists of recipes."""

from __future__ import annotations

from pathlib import Path

import pytest

from oraclezoo.errors import RecipeError, UnknownNameError
from oraclezoo.recipe import Recipe
from oraclezoo.suite import Suite, gather, shipped


@pytest.mark.parametrize("name", shipped())
def test_shipped_suites_load(name: str) -> None:
    """Every recipe that a shipped suite names is there."""
    suite = Suite.load(name)
    assert suite.summary
    assert all(Recipe.load(recipe).summary for recipe in suite.recipes)


def test_gather_takes_names_paths_and_suites_once_each(tmp_path: Path) -> None:
    """Recipes and suites mix; the same recipe asked for twice is one; paths are the suite's own."""
    mine = tmp_path / "mine.toml"
    mine.write_text(Recipe.load("quick").to_toml().replace('name = "quick"', 'name = "mine"'))
    suite = tmp_path / "suite.toml"
    suite.write_text('summary = "two"\nrecipes = ["mine.toml", "default"]\n')
    found = gather(["quick", mine], [suite, "quick", "reference"], {"budget.epochs": 2})
    names = [recipe.name for recipe in found]
    assert names == ["quick", "mine", "default", "authors-cnn", "course-project"]
    assert all(recipe.budget.epochs == 2 for recipe in found)


def test_wrong_suites_are_refused(tmp_path: Path) -> None:
    """An unknown name lists the nearest; unknown keys and empty lists are errors."""
    with pytest.raises(UnknownNameError, match="'quick'"):
        gather([], ["quik"])
    with pytest.raises(UnknownNameError, match="'default'"):
        gather(["defualt"])
    path = tmp_path / "s.toml"
    path.write_text('recipes = ["default"]\nsumary = "x"\n')
    with pytest.raises(RecipeError, match="'summary'"):
        Suite.load(path)
    path.write_text("recipes = []\n")
    with pytest.raises(RecipeError, match="list of names"):
        Suite.load(path)
