"""Train the teachers for distillation: models with the student's recipe and different seeds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import channels_last, nn

from oraclezoo.artifacts.record import Teaching
from oraclezoo.artifacts.run import Run
from oraclezoo.engine.distill import Ensemble
from oraclezoo.engine.records import Checkpoint
from oraclezoo.engine.seeds import derive
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.training.prepared import Prepared

FOLDER = "teachers"
"""Subfolder of a run folder for the runs of its teachers; deleted when the run finishes."""


@dataclass(frozen=True)
class Teachers:
    """The ensemble of teachers, and the record of their training for ``run.json``."""

    module: nn.Module
    record: Teaching


def train_teachers(
    prepared: Prepared,
    seed: int,
    checkpoint: Checkpoint,
    train: Callable[[Recipe, int, Path], Run],
) -> Teachers:
    """Train the recipe's teachers, each with a seed derived from ``seed``.

    Teachers are trained with the student's recipe, but without distillation, and on the same
    images.

    Args:
        prepared: Recipe and data of the student.
        seed: Seed of the student.
        checkpoint: The student's run folder, and whether to resume unfinished teachers in it.
        train: Function that trains a recipe with a seed and writes the run to a folder, or resumes
            the run in that folder.
    """
    recipe = prepared.recipe
    folder = checkpoint.folder / FOLDER
    if not checkpoint.resume:
        shutil.rmtree(folder, ignore_errors=True)
    teacher = resolve(recipe.override({"distill.teachers": 0}), prepared.registry)
    runs = [
        train(teacher, derive(seed, "teacher", number) % 2**31, folder)
        for number in range(recipe.distill.teachers)
    ]
    outcomes = [run.outcome for run in runs]
    module = Ensemble([run.model(registry=prepared.registry).module for run in runs])
    module.requires_grad_(False).eval().to(prepared.device)
    if recipe.train.channels_last:
        module.to(memory_format=channels_last)
    record = Teaching(
        teachers=len(runs),
        examples=sum(outcome.examples for outcome in outcomes),
        steps=sum(outcome.steps for outcome in outcomes),
        train_s=sum(outcome.train_s for outcome in outcomes),
        compile_s=sum(outcome.compile_s for outcome in outcomes),
        validation_accuracy=tuple(outcome.validation_accuracy for outcome in outcomes),
    )
    return Teachers(module, record)
