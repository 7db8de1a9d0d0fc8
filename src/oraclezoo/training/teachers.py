"""Teachers: nets of a recipe that are trained before its student, which learns from them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from oraclezoo.artifacts.run import Run
from oraclezoo.engine.distill import Ensemble
from oraclezoo.engine.seeds import derive
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe

FOLDER = "teachers"
"""Folder in the run's, with the teachers' runs until the run is done."""


class Taught(NamedTuple):
    """The teachers as one module, and what the run's record says of them."""

    module: nn.Module
    record: dict[str, Any]


def teach(
    recipe: Recipe,
    seed: int,
    folder: Path,
    device: torch.device,
    *,
    train: Callable[[Recipe, int, Path], Run],
    registry: Registry,
    resume: bool,
) -> Taught:
    """Train the recipe's teachers, each at a seed of its own that follows from ``seed``.

    ``train(recipe, seed, out)`` trains one, or goes on with it. They are nets of the same recipe
    without teachers, and see the same images. Their runs stay in ``folder`` for a resumption.
    """
    place = folder / FOLDER
    if not resume:
        shutil.rmtree(place, ignore_errors=True)
    alone = recipe.override({"distill.teachers": 0})
    runs = [
        train(alone, derive(seed, "teacher", number) % 2**31, place)
        for number in range(recipe.distill.teachers)
    ]
    outcomes = [run.record["outcome"] for run in runs]
    module = Ensemble([run.model(registry=registry).module for run in runs])
    module.requires_grad_(False).eval().to(device)
    if recipe.train.channels_last:
        module.to(memory_format=torch.channels_last)
    counted = ("examples", "steps", "train_s", "compile_s")
    return Taught(
        module,
        {
            "teachers": len(runs),
            **{key: sum(outcome[key] for outcome in outcomes) for key in counted},
            "validation_accuracy": [outcome["validation_accuracy"] for outcome in outcomes],
        },
    )
