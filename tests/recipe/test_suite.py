"""Suites: named lists of recipes."""

from __future__ import annotations

from pathlib import Path

import pytest

from oraclezoo.artifacts.run import folder_name
from oraclezoo.errors import RecipeError, UnknownNameError
from oraclezoo.plugins.registry import build_registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.recipe.sections import COMPONENTS
from oraclezoo.recipe.suite import Suite, gather, load_recipe, shipped
from oraclezoo.specs import Kind


@pytest.mark.parametrize("name", shipped())
def test_shipped_suites_load(name: str) -> None:
    """Every recipe of the bundled suites loads."""
    suite = Suite.load(name)
    assert suite.summary
    assert all(load_recipe(recipe).summary for recipe in suite.recipes)


@pytest.mark.parametrize("kind", COMPONENTS)
def test_the_suite_of_a_kind_has_every_built_in_of_it(kind: Kind) -> None:
    """Each component appears once, within the closed division's budget, and resolves."""
    registry = build_registry()
    result = {
        recipe.name.removeprefix(f"{kind}s/"): resolve(recipe, registry)
        for recipe in gather([], [f"{kind}s"])
    }
    listed = {entry.spec.name for entry in registry.entries(kind) if entry.builtin}
    assert result.keys() == listed
    for name, recipe in result.items():
        assert getattr(recipe, kind).name == f"oraclezoo:{name}"
        assert recipe.budget.epochs <= 50
    assert len({recipe.hash for recipe in result.values()}) == len(result)


MADE = """
summary = "two"
base = "quick"
[all.budget]
epochs = 3
batch_size = 32
[each.one]
optimizer = { name = "sgd", lr = 0.5 }
[each.two.budget]
epochs = 4
"""


def test_a_suite_makes_recipes_from_one(tmp_path: Path) -> None:
    """Overrides win over ``each``, which wins over ``all``."""
    path = tmp_path / "mine.toml"
    path.write_text(MADE)
    one, two = gather([], [path])
    assert (one.name, two.name) == ("mine/one", "mine/two")
    assert (one.optimizer.name, dict(one.optimizer.options)) == ("sgd", {"lr": 0.5})
    assert (two.optimizer, two.loss) == (Recipe.load("quick").optimizer, Recipe.load("quick").loss)
    assert (one.budget.epochs, two.budget.epochs, two.budget.batch_size) == (3, 4, 32)
    assert load_recipe(f"{path}/two", {"budget.epochs": 9}).budget.epochs == 9
    assert load_recipe("quick") == Recipe.load("quick")
    assert gather([f"{path}/two"], [path]) == [two, one]
    with pytest.raises(UnknownNameError, match="'one'"):
        load_recipe(f"{path}/on")
    with pytest.raises(UnknownNameError, match="'backbones'"):
        load_recipe("backbone/lenet5")


def test_a_suites_recipe_is_told_from_others_of_its_name(tmp_path: Path) -> None:
    """Its name has the suite's as a prefix; a run's folder is still a single folder."""
    assert load_recipe("backbones/convmixer").name == "backbones/convmixer"
    path = tmp_path / "my own (2).toml"
    path.write_text(MADE)
    recipe = resolve(load_recipe(f"{path}/one"), build_registry())
    assert recipe.name == "my-own-2/one"
    assert folder_name(recipe, 3) == f"my-own-2-one-{recipe.hash12}-s3"
    (tmp_path / "kept.toml").write_text(recipe.to_toml())
    assert Recipe.load(tmp_path / "kept.toml").name == recipe.name


def test_gather_takes_names_paths_and_suites_once_each(tmp_path: Path) -> None:
    """Recipes and suites can be mixed; duplicates are dropped; paths are relative to the suite."""
    own = tmp_path / "mine.toml"
    own.write_text(Recipe.load("quick").to_toml().replace('name = "quick"', 'name = "mine"'))
    suite = tmp_path / "suite.toml"
    suite.write_text('summary = "two"\nrecipes = ["mine.toml", "default"]\n')
    actual = gather(["quick", own], [suite, "quick", "reference"], {"budget.epochs": 2})
    names = [recipe.name for recipe in actual]
    assert names == ["quick", "mine", "default", "authors-cnn", "course-project"]
    assert all(recipe.budget.epochs == 2 for recipe in actual)


def test_wrong_suites_are_refused(tmp_path: Path) -> None:
    """Unknown names suggest similar ones; unknown keys and empty lists are errors."""
    with pytest.raises(UnknownNameError, match="'quick'"):
        gather([], ["quik"])
    with pytest.raises(UnknownNameError, match="'default'"):
        gather(["defualt"])
    path = tmp_path / "s.toml"
    path.write_text('recipes = ["default"]\nsumary = "x"\n')
    with pytest.raises(RecipeError, match="'summary'"):
        Suite.load(path)
    for text, says in (
        ("recipes = []", "'recipes' or"),
        ("recipes = 3", "list of names"),
        ('base = "quick"\nrecipes = ["default"]', "require each other"),
        ("[each.one.budget]\nepochs = 1", "require each other"),
        ('base = "quick"\n[each.one]\nbudget = 3', r"\[each.one.budget\] must be a section"),
        ('base = "quick"\n[each]\none = 3', r"\[each.one\] must contain sections"),
    ):
        path.write_text(text)
        with pytest.raises(RecipeError, match=says):
            Suite.load(path)
