"""Conformance check for all components used in training: one step through the public API."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from oraclezoo.artifacts.build import build_parts
from oraclezoo.engine.records import TrainingData
from oraclezoo.engine.trainer import Trainer
from oraclezoo.errors import UsageError
from oraclezoo.plugins.process_state import preserved
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve
from oraclezoo.recipe.sections import COMPONENTS
from oraclezoo.testing.subject import Subject, fail

BATCH = 16
"""Batch size, number of training images and number of validation images."""
CLASSES = 4
SIZES = (28, 32, 64)
"""Candidate image sizes; the check uses the first one that the components accept."""


def training_step(subject: Subject) -> None:
    """One epoch of one step trains, validates, saves and resumes.

    Process-wide settings, such as torch's default dtype, must not change during training, nor when
    the component is imported or built.
    """
    sizes = (0,) if subject.spec.kind == "dataset" else SIZES
    for size in sizes:
        try:
            _train(subject, size)
            break
        except UsageError:
            if size == sizes[-1]:
                raise
    if subject.changes:
        fail(subject.changes[0])


def _train(subject: Subject, size: int) -> None:
    recipe, device = _recipe(subject), torch.device("cpu")
    changed: list[str] = []
    with TemporaryDirectory() as folder, preserved(changed, randomness=False):
        data, classes = _data(subject, size)
        shape = {"in_chans": 1, "num_classes": classes, "image_size": int(data.images.shape[-1])}
        for resumes in (False, True):
            parts = build_parts(recipe, subject.registry, data, shape, seed=0)
            trainer = Trainer(recipe, parts, data, seed=0, device=device, folder=Path(folder))
            if trainer.resume() != resumes:
                fail("the training leaves no checkpoint")
            trainer.fit()
    if changed:
        fail(f"a training step changes {', '.join(changed)}")


def _recipe(subject: Subject) -> Recipe:
    """Return a copy of the recipe ``quick`` that uses the component and trains for one step."""
    changes: dict[str, object] = {
        "backbone.name": "resnet8",
        "budget.epochs": 1,
        "budget.batch_size": BATCH,
        "augment.cutout": 0,  # the images may be too small for it
        "augment.shift": 0,
    }
    recipe = Recipe.load("quick", changes)
    if subject.spec.kind in COMPONENTS:
        recipe = recipe.override({f"{subject.spec.kind}.name": subject.entry.qualified})
    return resolve(recipe, subject.registry)


def _data(subject: Subject, size: int) -> tuple[TrainingData, int]:
    """Return images (the data set's first ones, or synthetic ones) and the number of classes."""
    if subject.spec.kind == "dataset":
        parts = [subject.dataset.split(name) for name in ("train", "validation")]
        rows = [np.arange(BATCH) % len(part.images) for part in parts]
        images = [
            torch.from_numpy(np.asarray(part.images[row]))
            for part, row in zip(parts, rows, strict=True)
        ]
        labels = [
            torch.from_numpy(np.asarray(part.labels)[row])
            for part, row in zip(parts, rows, strict=True)
        ]
        classes = len(subject.dataset.classes)
    else:
        generator = torch.Generator().manual_seed(0)
        one = torch.randint(0, 90, (BATCH, size, size), generator=generator, dtype=torch.uint8)
        label = torch.arange(BATCH) % CLASSES
        for image, place in zip(one, label, strict=True):
            image[7 * place : 7 * place + 5] = 220
        images, labels, classes = [one, one], [label, label], CLASSES
    data = TrainingData(images[0], labels[0], images[1], labels[1], 0.3, 0.3, False)
    return data, classes
