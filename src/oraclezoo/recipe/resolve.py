"""Resolve recipes: qualify component names, check options and fill in defaults."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from oraclezoo.recipe import Recipe
from oraclezoo.recipe.sections import COMPONENTS, Component

if TYPE_CHECKING:
    from oraclezoo.plugins.registry import Registry


def resolve(recipe: Recipe, registry: Registry) -> Recipe:
    """Return ``recipe`` with qualified component names and with all options filled in.

    Raises UnknownNameError, AmbiguousNameError, UnknownOptionError or UsageError.
    """
    if recipe.resolved:
        return recipe
    parts: dict[str, Component] = {}
    for kind in COMPONENTS:
        component: Component = getattr(recipe, kind)
        name, options = registry.resolve(kind, component.name, component.options)
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
