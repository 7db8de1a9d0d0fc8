"""Resolved recipe with its opened data set, and the training images on the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from oraclezoo.artifacts import build
from oraclezoo.artifacts.provenance import provenance
from oraclezoo.artifacts.record import Provenance
from oraclezoo.card import SMOOTH, Backbone, Card, InputShape, Origin, Preprocessing
from oraclezoo.contracts import Dataset
from oraclezoo.engine.execution import Execution
from oraclezoo.engine.memory import is_out_of_memory
from oraclezoo.engine.records import Parts, TrainingData
from oraclezoo.errors import OutOfMemoryError
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe


@dataclass(frozen=True)
class Prepared:
    """Inputs shared by all training runs of a recipe, regardless of their seeds.

    Attributes:
        recipe: The resolved recipe, without ``[compress]``.
        registry: Registry of the components that the recipe names.
        execution: Device and other execution settings.
        device: The torch device that ``execution`` selects.
        dataset: The opened data set.
        data: Training and validation images, on the device or streamed to it.
    """

    recipe: Recipe
    registry: Registry
    execution: Execution
    device: torch.device
    dataset: Dataset
    data: TrainingData

    @property
    def shape(self) -> dict[str, int]:
        """Input and output sizes of the backbone, as keyword arguments for its factory."""
        return {
            "in_chans": 1,
            "num_classes": len(self.dataset.classes),
            "image_size": int(self.data.images.shape[-1]),
        }

    @property
    def work(self) -> int:
        """Number of training examples after pre-training, including those of the teachers."""
        runs = 1 + self.recipe.distill.teachers
        return runs * self.recipe.budget.epochs * len(self.data.images)

    def parts(self, seed: int) -> Parts:
        """Build the model, optimizer and scheduler. Raises OutOfMemoryError or PluginError."""
        try:
            return build.build_parts(self.recipe, self.registry, self.data, self.shape, seed)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemoryError(
                f"out of memory on {self.device.type} while the model is built, before any batch\n"
                "free some memory, or use a smaller model or another device"
            ) from error

    def steppers(self, model: nn.Module) -> Parts:
        """Build a new optimizer and scheduler for a model."""
        return build.build_steppers(self.recipe, self.registry, self.data, model)

    def provenance(self, seed: int) -> Provenance:
        """Return the record of all inputs that identify a run of this recipe."""
        return provenance(self.recipe, self.registry, self.dataset, self.execution, seed)

    def card(self, seed: int) -> Card:
        """Return the model card for a run with the given seed."""
        recipe, dataset, origin = self.recipe, self.dataset, self.provenance(seed)
        options = dict(recipe.backbone.options)
        options.pop("pretrained", None)  # the trained weights replace them
        return Card(
            backbone=Backbone(recipe.backbone.name, options),
            input=InputShape(**self.shape),
            preprocessing=Preprocessing(
                mean=self.data.mean,
                std=self.data.std,
                shifts=recipe.evaluate.shifts,
                flip=recipe.evaluate.flip and dataset.flip_keeps_label,
                jpeg_smoothing=0.0 if recipe.augment.jpeg else SMOOTH,  # trained on JPEG images
            ),
            classes=tuple(dataset.classes),
            glyphs=tuple(dataset.glyphs),
            synthetic=dataset.synthetic,
            recipe=recipe.to_dict(),
            provenance=Origin(
                oraclezoo=origin.oraclezoo,
                recipe=origin.recipe,
                refit=recipe.data.refit,
                seed=seed,
                components=origin.components,
                data_sha256=origin.data_sha256,
                plugins=origin.plugins,
            ),
            receipts=(),
        )


def prepare(
    recipe: Recipe,
    registry: Registry,
    execution: Execution,
    progress: Callable[[str], None] | None = None,
) -> Prepared:
    """Open the data set of a resolved recipe and load its training and validation images.

    Raises DataError if the data set is missing or unsuitable for training.
    """
    device, limit = execution.torch_device(), execution.stream_limit()
    dataset = build.open_dataset(recipe, registry, execution.data_dir, progress, limit)
    data = build.training_data(recipe, dataset, device, limit)
    return Prepared(recipe, registry, execution, device, dataset, data)
