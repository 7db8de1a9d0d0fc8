"""A resolved recipe with its data set opened and its training images on the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from oraclezoo.artifacts import build, record
from oraclezoo.contracts import Dataset
from oraclezoo.engine.execution import Execution
from oraclezoo.engine.memory import is_out_of_memory
from oraclezoo.engine.records import Parts, TrainingData
from oraclezoo.errors import OutOfMemoryError
from oraclezoo.plugins.registry import Registry
from oraclezoo.recipe import Recipe


@dataclass(frozen=True)
class Prepared:
    """What training runs of a recipe share, whatever their seed.

    Attributes:
        recipe: The resolved recipe, without ``[compress]``.
        registry: Registry of the components that the recipe names.
        execution: Where and how to train.
        device: The device of ``execution``.
        dataset: The opened data set.
        data: Its training and validation images, on the device or streamed to it.
    """

    recipe: Recipe
    registry: Registry
    execution: Execution
    device: torch.device
    dataset: Dataset
    data: TrainingData

    @property
    def shape(self) -> dict[str, int]:
        """Input and output sizes of the backbone, as its factory takes them."""
        return {
            "in_chans": 1,
            "num_classes": len(self.dataset.classes),
            "image_size": int(self.data.images.shape[-1]),
        }

    def parts(self, seed: int) -> Parts:
        """Build model, optimizer and scheduler. Raises OutOfMemoryError, PluginError."""
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

    def provenance(self, seed: int) -> dict[str, Any]:
        """Return what identifies a run of this recipe, as ``run.json`` holds it."""
        return record.provenance(
            self.recipe,
            self.registry,
            self.dataset,
            self.device,
            seed,
            compile=self.execution.compile,
            deterministic=self.execution.deterministic,
        )

    def card(self, seed: int) -> dict[str, Any]:
        """Return the card of a model that is trained at a seed."""
        return record.card(
            self.recipe,
            self.registry,
            self.dataset,
            self.data.mean,
            self.data.std,
            self.shape,
            seed,
        )


def prepare(
    recipe: Recipe,
    registry: Registry,
    execution: Execution,
    progress: Callable[[str], None] | None = None,
) -> Prepared:
    """Open the data set of a resolved recipe and load its training and validation images.

    Raises DataError if the data set is missing or cannot be trained on.
    """
    device, limit = execution.torch_device(), execution.stream_limit()
    dataset = build.open_dataset(recipe, registry, execution.data_dir, progress, limit)
    data = build.training_data(recipe, dataset, device, limit)
    return Prepared(recipe, registry, execution, device, dataset, data)
