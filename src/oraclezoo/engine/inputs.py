"""Training batches of one run, in an order and with augmentation determined by its seed."""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from oraclezoo.engine.augment import Augmenter
from oraclezoo.engine.images import batches
from oraclezoo.engine.records import TrainingData
from oraclezoo.engine.seeds import derive
from oraclezoo.errors import UsageError
from oraclezoo.recipe import Recipe


class Inputs:
    """Training batches of a recipe with a seed; ``augment`` is the augmenter."""

    def __init__(self, recipe: Recipe, data: TrainingData, seed: int, device: torch.device) -> None:
        check_fits(recipe, data)
        self.data, self.seed, self.device = data, seed, device
        self.batch_size = recipe.budget.batch_size
        self.steps_per_epoch = steps_per_epoch(recipe, len(data.images))
        channels_last = recipe.train.channels_last
        self.memory = torch.channels_last if channels_last else torch.contiguous_format
        self.augment = Augmenter(
            recipe.augment,
            flip=recipe.augment.flip and data.flip_keeps_label,
            mean=data.mean,
            std=data.std,
            device=device,
        )

    def order(self, epoch: int) -> Tensor:
        """Return an epoch's permutation of the training images, derived from the seed.

        Returns:
            Indices of the images, int64 ``(N,)``.
        """
        generator = torch.Generator().manual_seed(derive(self.seed, "order", epoch))
        return torch.randperm(len(self.data.images), generator=generator)

    def batches(
        self, epoch: int, first: int = 0, limit: int | None = None
    ) -> Generator[tuple[Tensor, Tensor]]:
        """Return a generator of an epoch's batches: images uint8 ``(B, H, W)`` and labels ``(B,)``.

        The generator starts at batch ``first`` and stops before batch ``limit``. Close it if you
        stop iterating early.
        """
        data, size = self.data, self.batch_size
        order = self.order(epoch)[: None if limit is None else limit * size]
        return batches(data.images, data.labels, order, size, first=first)

    def prepare(self, images: Tensor, axis: str, index: int) -> Tensor:
        """Augment and standardize images with the seed derived from ``axis`` and ``index``."""
        self.augment.reseed(derive(self.seed, axis, index))
        return self._prepare(images)

    def blank(self, size: int) -> Tensor:
        """Return a batch of ``size`` black images, prepared as for a training step."""
        shape = (size, *self.data.images.shape[1:])
        return self._prepare(torch.zeros(shape, dtype=torch.uint8, device=self.device))

    def _prepare(self, raw: Tensor) -> Tensor:
        return self.augment(raw).contiguous(memory_format=self.memory)


def check_fits(recipe: Recipe, data: TrainingData) -> None:
    """Raise UsageError if an augmentation setting is too strong for images of the data's size."""
    edge = min(data.images.shape[1:])
    recipe.augment.check_fits(edge)
    recipe.evaluate.check_fits(edge)


def steps_per_epoch(recipe: Recipe, images: int) -> int:
    """Return the number of full batches in an epoch. Raises UsageError if there are none."""
    steps = images // recipe.budget.batch_size
    if not steps:
        raise UsageError(
            f"budget.batch_size is {recipe.budget.batch_size}, but there are only {images} "
            f"training images; use -s budget.batch_size={images} or less"
        )
    return steps
