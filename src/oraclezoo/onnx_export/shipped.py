"""Modules for export, which add preprocessing, softmax and temperature to a classifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Shipped(nn.Module):
    """Maps uint8 images ``(N, H, W)`` to class probabilities, float32 ``(N, C)``.

    The images are standardized as ``(x / 255 - mean) / std`` and passed to ``classifier`` as
    ``(N, 1, H, W)``; softmax is applied to its logits.
    """

    def __init__(self, classifier: nn.Module, mean: float, std: float) -> None:
        super().__init__()
        self.classifier = classifier
        self.scale, self.shift = 1 / (255 * std), mean / std
        self.training = classifier.training

    def forward(self, images: Tensor) -> Tensor:
        standardized = images.unsqueeze(1).to(torch.float32) * self.scale - self.shift
        probabilities: Tensor = self.classifier(standardized).float().softmax(1)
        return probabilities


def example(module: nn.Module, in_chans: int, image_size: int) -> Tensor:
    """Return a batch of two blank images in the module's input format."""
    if isinstance(module, Shipped):
        return torch.zeros(2, image_size, image_size, dtype=torch.uint8)
    return torch.zeros(2, in_chans, image_size, image_size)


class Tempered(nn.Module):
    """A classifier with temperature scaling (Guo et al. 2017, arXiv:1706.04599).

    Maps standardized images to logits ``(N, C)`` whose softmax is calibrated.
    """

    def __init__(self, net: nn.Module, temperature: float) -> None:
        super().__init__()
        self.net, self.temperature = net, temperature
        self.training = net.training

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images) / self.temperature
        return logits
