"""Recipes read back from result documents."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from oraclezoo.errors import RecipeError, ResultError, UnknownOptionError
from oraclezoo.plugins.registry import Registry, build_registry
from oraclezoo.publish.reread import added, recipe_of
from oraclezoo.recipe import Recipe, shipped
from oraclezoo.recipe.resolve import resolve
from oraclezoo.result import RecipeRecord
from oraclezoo.result.check import digest


@pytest.fixture(scope="module")
def registry() -> Registry:
    return build_registry()


def record_of(recipe: Recipe, content: dict[str, Any] | None = None) -> RecipeRecord:
    """Return the record of a resolved recipe, or of edited content."""
    stated = content or json.loads(json.dumps(recipe.canonical(), default=list))
    return RecipeRecord(recipe.name, digest(stated), recipe.summary, recipe.data.refit, stated)


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_is_read_back_as_it_was(name: str, registry: Registry) -> None:
    """The recipe and its hash are equal, and no keys are added."""
    recipe = resolve(Recipe.load(name), registry)
    actual = recipe_of(record_of(recipe), registry)
    assert actual == recipe
    assert actual.hash == recipe.hash
    assert added(record_of(recipe), actual) == []


def test_an_option_that_came_later_is_told(registry: Registry) -> None:
    """A result without a newer option is read with the default, and ``added`` names it."""
    recipe = resolve(Recipe.load("default"), registry)
    content = copy.deepcopy(record_of(recipe).content)
    del content["optimizer"]["options"]["momentum"]  # type: ignore[attr-defined]  # a plain dict
    record = record_of(recipe, dict(content))
    assert added(record, recipe_of(record, registry)) == ["optimizer.momentum"]


def test_what_cannot_be_read_as_stated_is_refused(registry: Registry) -> None:
    """Missing components, unknown options and unqualified names raise an error."""
    recipe = resolve(Recipe.load("default"), registry)
    content = dict(record_of(recipe).content)
    with pytest.raises(ResultError, match="backbone must have a name and options"):
        recipe_of(record_of(recipe, {"data": {}}), registry)
    extra = copy.deepcopy(content)
    extra["optimizer"]["options"]["nonsense"] = 1
    with pytest.raises(UnknownOptionError):
        recipe_of(record_of(recipe, extra), registry)
    with pytest.raises(RecipeError, match="unknown section"):
        recipe_of(record_of(recipe, {**content, "nonsense": {}}), registry)
    bare = copy.deepcopy(content)
    bare["backbone"]["name"] = bare["backbone"]["name"].removeprefix("oraclezoo:")
    with pytest.raises(ResultError, match=r"backbone\.name is 'oraclenet"):
        recipe_of(record_of(recipe, bare), registry)
