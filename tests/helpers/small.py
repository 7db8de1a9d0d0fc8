"""A small training for tests: four plain classes that are learned in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from oraclezoo.artifacts.build import build_parts
from oraclezoo.engine.records import TrainerOptions, TrainingData
from oraclezoo.engine.trainer import Trainer
from oraclezoo.plugins.registry import build_registry
from oraclezoo.recipe import Recipe
from oraclezoo.recipe.resolve import resolve

CPU = torch.device("cpu")
REGISTRY = build_registry()
QUICK: dict[str, object] = {
    "backbone.name": "lenet5",
    "budget.epochs": 2,
    "budget.batch_size": 16,
    "augment.cutout": 3,
}


def bars(size: int = 16, count: int = 80, device: torch.device = CPU) -> TrainingData:
    """Four classes of images: a bright bar at one of four places, with noise; 16 for validation."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 4
    images = torch.randint(0, 80, (count, size, size), generator=generator, dtype=torch.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 * label : 4 * label + 3] = 220
    images, labels = images.to(device), labels.to(device)
    return TrainingData(images[:-16], labels[:-16], images[-16:], labels[-16:], 0.3, 0.3, True)


def trainer(
    folder: Path,
    changes: dict[str, object] | None = None,
    *,
    seed: int = 0,
    size: int = 16,
    count: int = 80,
    device: torch.device = CPU,
    **options: Any,
) -> Trainer:
    """A trainer of the default recipe with a small net, budget and data set."""
    folder.mkdir(exist_ok=True)
    data = bars(size, count, device)
    recipe = resolve(Recipe.load("quick", {**QUICK, **(changes or {})}), REGISTRY)
    shape = {"in_chans": 1, "num_classes": 4, "image_size": size}
    parts = build_parts(recipe, REGISTRY, data, shape, seed)
    return Trainer(
        recipe,
        parts,
        data,
        seed=seed,
        device=device,
        folder=folder,
        options=TrainerOptions(**options),
    )


def weights(of: Trainer) -> dict[str, torch.Tensor]:
    """The state that becomes the model."""
    return {key: value.clone() for key, value in of.kept.state_dict().items()}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
