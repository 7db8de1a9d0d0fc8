"""A backbone that starts from weights learned elsewhere: its division, and the card it leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oraclezoo.artifacts import build
from oraclezoo.benching.entry import _track
from oraclezoo.engine.execution import Execution
from oraclezoo.plugins.registry import build_registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.training.prepared import prepare

REGISTRY = build_registry()
SHAPE = {"in_chans": 1, "num_classes": 10, "image_size": 28}


def recipe(pretrained: bool) -> Recipe:
    changes: dict[str, object] = {
        "data.track": "glyphs-3k",
        "backbone.name": "lcnet_050",
        "backbone.pretrained": pretrained,
    }
    return resolve(Recipe.load("default", changes), REGISTRY)


def test_it_is_of_the_open_division_whatever_its_budget() -> None:
    """Its weights have seen more than the track's images."""
    dataset = build.open_dataset(recipe(False), REGISTRY, None)
    assert _track(recipe(False), dataset, 0)["division"] == "closed"
    assert _track(recipe(True), dataset, 0)["division"] == "open"


@pytest.mark.parametrize("more", [{"pretrain.epochs": 1}, {"distill.teachers": 1}])
def test_what_learns_more_is_of_the_open_division_whatever_its_budget(
    more: dict[str, object],
) -> None:
    """A pre-training, or teachers, that would fit into fifty epochs together with the training."""
    dataset = build.open_dataset(recipe(False), REGISTRY, None)
    assert _track(resolve(recipe(False).override(more), REGISTRY), dataset, 0)["division"] == "open"


def test_a_model_is_rebuilt_without_them() -> None:
    """The card does not ask for weights that its own replace; the recipe's hash tells."""
    execution = Execution(device="cpu")
    pretrained, plain = (
        prepare(recipe(value), REGISTRY, execution).card(0) for value in (True, False)
    )
    assert pretrained.recipe == recipe(True).to_dict()
    assert pretrained == replace(plain, provenance=pretrained.provenance, recipe=pretrained.recipe)
    assert pretrained.provenance is not None
    assert pretrained.provenance.recipe.hash == recipe(True).hash != recipe(False).hash
    backbone = pretrained.backbone
    assert build.build_backbone(REGISTRY, backbone.name, dict(backbone.options), SHAPE)
