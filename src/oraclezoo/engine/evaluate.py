"""Evaluation: class probabilities, accuracy and loss."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oraclezoo.engine.augment import standardize
from oraclezoo.engine.images import Streamed, chunks
from oraclezoo.engine.records import TrainingData
from oraclezoo.recipe import Recipe

BATCH_SIZE = 500
"""Batch size for evaluation; results do not depend on it."""


class ViewsAveraged(nn.Module):
    """Test-time augmentation: a classifier that averages probabilities over views of an image.

    Maps standardized images ``(N, 1, H, W)`` to log mean probabilities ``(N, C)``, which serve as
    logits. The multi-crop evaluation follows K. Jordan, arXiv:2404.00498.

    Args:
        net: The classifier.
        pixels: Number of pixels by which the additional views are shifted up, down, left and
            right; 0 for no shifted views.
        black: Standardized value of padding pixels.
        flip: Whether to add the mirror image of each view.
    """

    JOINT_BATCH = 32
    """Largest batch for which the net processes all views in one pass; for larger batches, one pass
    is slower (docs/how-to/train/engine.md).
    """

    def __init__(self, net: nn.Module, pixels: int, black: float, *, flip: bool = False) -> None:
        super().__init__()
        self.net, self.pixels, self.black, self.flip = net, pixels, black, flip
        self.training = net.training

    def forward(self, images: Tensor) -> Tensor:
        """Return log mean probabilities over the image, its shifts, and their mirror images."""
        views = self._views(images)
        # an exported graph must accept any batch size
        if torch.compiler.is_exporting() or images.shape[0] <= self.JOINT_BATCH:
            logits = self.net(torch.cat(views))
            logits = logits.view(len(views), -1, logits.shape[1])
        else:
            logits = torch.stack([self.net(view) for view in views])
        log_probs: Tensor = logits.float().log_softmax(2)
        return log_probs.logsumexp(0) - math.log(len(views))

    def _views(self, images: Tensor) -> list[Tensor]:
        views = [images]
        if self.pixels:
            middle, height, width = self.pixels, *images.shape[-2:]
            padded, double = F.pad(images, 4 * [middle], value=self.black), 2 * middle
            corners = (
                (middle, middle),
                (double, middle),
                (0, middle),
                (middle, double),
                (middle, 0),
            )
            views = [padded[..., y : y + height, x : x + width] for y, x in corners]
        return views + [view.flip(-1) for view in views] if self.flip else views


def with_views(
    net: nn.Module, pixels: int, *, flip: bool = False, mean: float, std: float
) -> nn.Module:
    """Return a module that averages over views, or ``net`` itself if there is only one view."""
    return ViewsAveraged(net, pixels, -mean / std, flip=flip) if pixels or flip else net


@torch.inference_mode()
def probabilities(
    model: nn.Module,
    images: Tensor | Streamed,
    *,
    mean: float,
    std: float,
    channels_last: bool = True,
) -> Tensor:
    """Return class probabilities float32 ``(N, C)`` of uint8 images ``(N, H, W)``.

    The model is switched to evaluation mode, and its previous mode is restored afterwards.
    """
    was_training = model.training
    model.eval()
    memory = torch.channels_last if channels_last else torch.contiguous_format
    rows = [
        model(standardize(part, mean, std).to(memory_format=memory)).float().softmax(1)
        for part in chunks(images, BATCH_SIZE)
    ]
    model.train(was_training)
    return torch.cat(rows)


def validation_metrics(model: nn.Module, recipe: Recipe, data: TrainingData) -> tuple[float, float]:
    """Return accuracy and loss on the validation images, with test-time augmentation if set."""
    scale = {"mean": data.mean, "std": data.std}
    flip = recipe.evaluate.flip and data.flip_keeps_label
    probs = probabilities(
        with_views(model, recipe.evaluate.shifts, flip=flip, **scale),
        data.validation_images,
        **scale,
        channels_last=recipe.train.channels_last,
    )
    return accuracy_and_loss(probs, data.validation_labels)


def accuracy_and_loss(probs: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return the accuracy in [0, 1] and the mean negative log-likelihood in nats."""
    probs, labels = probs.cpu(), labels.cpu()  # MPS has no float64
    right = (probs.argmax(1) == labels).double().mean()
    likelihood = probs.gather(1, labels.view(-1, 1)).double().clamp_min(1e-12)
    return float(right), float(-likelihood.log().mean())
