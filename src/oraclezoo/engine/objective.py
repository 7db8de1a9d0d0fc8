"""Training loss of a recipe: cross-entropy with label smoothing, and optional distillation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oraclezoo.engine.distill import soften
from oraclezoo.engine.flops import DTYPES
from oraclezoo.errors import PluginError
from oraclezoo.recipe import Recipe


class Objective:
    """The loss of a batch, computed in the recipe's precision.

    Args:
        recipe: The recipe; only ``loss``, ``distill`` and ``train.precision`` are used.
        device: Device of the images.
        teacher: Module on the device that maps standardized images to logits; None for no
            distillation.
    """

    def __init__(self, recipe: Recipe, device: torch.device, teacher: nn.Module | None) -> None:
        self.recipe, self.device, self.teacher = recipe, device, teacher

    def autocast(self) -> AbstractContextManager[object]:
        """Return the autocast context for the recipe's precision; it does nothing for fp32."""
        if self.recipe.train.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, DTYPES[self.recipe.train.precision])

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy of logits ``(N, C)`` and labels ``(N,)``, in float32."""
        smoothing = self.recipe.loss.label_smoothing
        return F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)

    def __call__(self, net: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of ``net`` on standardized images ``(N, 1, H, W)``."""
        with self.autocast():
            logits = net(images)
        if not isinstance(logits, Tensor):
            raise PluginError(
                f"backbone '{self.recipe.backbone.name}' returns a {type(logits).__name__} in "
                "training, not a tensor of logits"
            )
        loss = self.cross_entropy(logits, labels)
        if self.teacher is None:
            return loss
        with torch.no_grad(), self.autocast():
            teacher_logits = self.teacher(images)
        distill = self.recipe.distill
        return soften(loss, logits, teacher_logits, distill.weight, distill.temperature)
