"""Pre-train a recipe's model on a different track."""

from __future__ import annotations

import dataclasses

from torch import nn

from oraclezoo.artifacts import build
from oraclezoo.artifacts.record import Pretraining
from oraclezoo.data.dataset import digests
from oraclezoo.engine.records import Callbacks, Checkpoint
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import UsageError
from oraclezoo.recipe.resolve import resolve
from oraclezoo.training.prepared import Prepared, prepare

FOLDER = "pretrain"
"""Subfolder of a run folder for the checkpoint of pre-training; deleted when the run finishes."""


def pretrain(
    prepared: Prepared,
    model: nn.Module,
    *,
    seed: int,
    checkpoint: Checkpoint,
    callbacks: Callbacks,
) -> Pretraining:
    """Pre-train ``model`` in place on the track and for the epochs that ``[pretrain]`` specifies.

    Images are standardized with the mean and standard deviation of the recipe's main track.
    Pre-training uses a separate optimizer and scheduler.

    Args:
        prepared: The recipe and the data of its main track.
        model: The model, on the device.
        seed: Seed of the run.
        checkpoint: The run's folder; the state of pre-training is saved in a subfolder.
        callbacks: Functions to call; ``on_epoch`` is not used.

    Returns:
        The record of pre-training.

    Raises:
        UsageError: The pre-training track has fewer classes or a different image size than the main
            track.
    """
    recipe, settings, data = prepared.recipe, prepared.recipe.pretrain, prepared.data
    changes = {
        "data.track": settings.track,
        "data.lock": "",
        "data.refit": False,
        "budget.epochs": settings.epochs,
        "pretrain.epochs": 0,
    }
    first = resolve(recipe.override(changes), prepared.registry)
    # the data folder belongs to the recipe's main track
    execution = dataclasses.replace(prepared.execution, data_dir=None)
    source = prepare(first, prepared.registry, execution, callbacks.progress)
    size, classes = int(data.images.shape[-1]), int(data.labels.max()) + 1
    source_size = int(source.data.images.shape[-1])
    if source_size != size or len(source.dataset.classes) < classes:
        raise UsageError(
            f"pretrain.track {settings.track} has {len(source.dataset.classes)} classes of "
            f"{source_size} pixels; {recipe.data.track} needs {classes} classes of {size} pixels"
        )
    images = dataclasses.replace(source.data, mean=data.mean, std=data.std)
    parts = build.build_steppers(first, prepared.registry, images, model)
    folder = checkpoint.folder / FOLDER
    folder.mkdir(exist_ok=True)
    trainer = Trainer(first, parts, images, seed=seed, device=prepared.device, folder=folder)
    if checkpoint.resume:
        trainer.resume()
    callbacks.say(f"pre-training on {settings.track} for {settings.epochs} epochs")
    work = settings.epochs * len(images.images)
    part = callbacks.within(0, work / (work + prepared.work))
    trainer.fit(on_step=part.on_step, should_stop=part.should_stop)
    if trainer.ema is not None:
        model.load_state_dict(trainer.kept.state_dict())
    progress = trainer.progress
    return Pretraining(
        track=settings.track,
        epochs=settings.epochs,
        data_sha256=digests(source.dataset, "train", "validation"),
        examples=progress.examples,
        steps=trainer.step,
        train_s=progress.train_s,
        compile_s=progress.compile_s,
        validation_accuracy=progress.validation_accuracy,
    )
