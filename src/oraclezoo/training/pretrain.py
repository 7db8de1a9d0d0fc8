"""Pre-training: the recipe's net learns another track first, then the recipe's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from oraclezoo.artifacts import build
from oraclezoo.engine.trainer import Trainer, TrainingData
from oraclezoo.errors import UsageError
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve

FOLDER = "pretrain"
"""Folder in the run's, with the state of its pre-training until the run is done."""


def pretrain(
    recipe: Recipe,
    registry: Registry,
    model: nn.Module,
    data: TrainingData,
    *,
    seed: int,
    folder: Path,
    resume: bool,
    should_stop: Callable[[], bool],
    progress: Callable[[str], None] | None,
    stream_above: int | None,
) -> dict[str, Any]:
    """Train ``model`` in place by the recipe, but on ``[pretrain]``'s track and epochs.

    The images are standardised as the recipe's own are, which come next; optimizer and scheduler
    start anew for these. Returns what the run's record says of it: track, digests, examples, steps
    and seconds. Raises UsageError if the track has other classes or another image size.
    """
    settings = recipe.pretrain
    device = data.images.device
    changes = {
        "data.track": settings.track,
        "data.refit": False,
        "budget.epochs": settings.epochs,
        "pretrain.epochs": 0,
    }
    first = resolve(recipe.override(changes), registry)
    dataset = build.open_dataset(first, registry, None, progress, stream_above)
    other = build.training_data(first, dataset, device, stream_above)
    size, classes = int(data.images.shape[-1]), int(data.labels.max()) + 1
    if int(other.images.shape[-1]) != size or len(dataset.classes) < classes:
        raise UsageError(
            f"pretrain.track {settings.track} has {len(dataset.classes)} classes of "
            f"{int(other.images.shape[-1])} pixels; {recipe.data.track} has others"
        )
    other = dataclasses.replace(other, mean=data.mean, std=data.std)
    parts = build.build_steppers(first, registry, other, model)
    place = folder / FOLDER
    place.mkdir(exist_ok=True)
    trainer = Trainer(first, parts, other, seed=seed, device=device, folder=place)
    if resume:
        trainer.resume()
    if progress is not None:
        progress(f"pre-training on {settings.track}, {settings.epochs} epochs")
    trainer.fit(should_stop=should_stop)
    if trainer.ema is not None:
        model.load_state_dict(trainer.kept.state_dict())
    return {
        "track": settings.track,
        "epochs": settings.epochs,
        "data_sha256": dict(dataset.sha256),
        "examples": trainer.progress.examples,
        "steps": trainer.step,
        "train_s": trainer.progress.train_s,
        "compile_s": trainer.progress.compile_s,
        "validation_accuracy": trainer.progress.validation_accuracy,
    }
