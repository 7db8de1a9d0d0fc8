"""Resolve: a recipe whose names are qualified and whose options are checked and filled in."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from oraclezoo.recipe import Recipe
from oraclezoo.recipe.sections import COMPONENTS, Component

if TYPE_CHECKING:
    from oraclezoo.plugins.registry import Registry


def resolve(recipe: Recipe, registry: Registry) -> Recipe:
    """``recipe`` with every name qualified by its distribution and every option filled in.

    Raises UnknownNameError, AmbiguousNameError, UnknownOptionError or UsageError.
    """
    if recipe.resolved:
        return recipe
    parts: dict[str, Component] = {}
    for kind in COMPONENTS:
        given: Component = getattr(recipe, kind)
        name, options = registry.resolve(kind, given.name, given.options)
        parts[kind] = Component(name, options)
    data = dataclasses.replace(recipe.data, track=registry.qualified("dataset", recipe.data.track))
    pretrain = recipe.pretrain
    if pretrain.epochs:
        track = registry.qualified("dataset", pretrain.track)
        pretrain = dataclasses.replace(pretrain, track=track)
    return dataclasses.replace(
        recipe,
        backbone=parts["backbone"],
        optimizer=parts["optimizer"],
        scheduler=parts["scheduler"],
        data=data,
        pretrain=pretrain,
        resolved=True,
    )
