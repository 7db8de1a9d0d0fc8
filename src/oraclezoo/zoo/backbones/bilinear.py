"""A CNN with bilinear pooling."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from oraclezoo.errors import UsageError

_EPS = 1e-5  # added before the square root, whose gradient is unbounded at 0


class BilinearCNN(nn.Module):
    """Three stages of two convolutions each, then bilinear pooling of the last feature map.

    The stages have ``width``, ``2 * width`` and ``4 * width`` channels; max-pooling halves the
    resolution after each of the first two. A 1x1 convolution projects to C = ``channels`` channels.
    The resulting feature map X of shape (C, H * W) is pooled to the C x C matrix X X' / (H * W),
    followed by a signed square root, L2 normalization and a linear classifier. From Lin,
    RoyChowdhury and Maji 2015, arXiv:1504.07889, but with a single feature stream instead of two.

    Args:
        in_chans: Number of image channels.
        num_classes: Number of classes.
        image_size: Height and width of the images in pixels.
        width: Number of channels in the first stage.
        channels: Number of channels C before bilinear pooling.
        drop_rate: Dropout probability before the classifier.

    Shape: input ``(N, in_chans, image_size, image_size)`` float, output logits
    ``(N, num_classes)``.

    Raises:
        UsageError: ``image_size`` is below 8.
    """

    def __init__(
        self,
        *,
        in_chans: int,
        num_classes: int,
        image_size: int,
        width: int = 32,
        channels: int = 48,
        drop_rate: float = 0.0,
    ) -> None:
        if image_size < 8:
            raise UsageError(f"bilinear_cnn needs images of at least 8x8 pixels, not {image_size}")
        super().__init__()
        self.features = nn.Sequential(
            *_stage(in_chans, width),
            nn.MaxPool2d(2),
            *_stage(width, 2 * width),
            nn.MaxPool2d(2),
            *_stage(2 * width, 4 * width),
            nn.Conv2d(4 * width, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.drop = nn.Dropout(drop_rate)
        self.head = nn.Linear(channels**2, num_classes)
        # The pooled vector has unit norm whatever its dimension, so the initial weights are larger.
        nn.init.normal_(self.head.weight, std=1.0)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.flatten(self.features(x), 2)
        products = torch.flatten(x @ x.mT / x.shape[2], 1)
        rooted = torch.sign(products) * torch.sqrt(products.abs() + _EPS)
        logits: torch.Tensor = self.head(self.drop(F.normalize(rooted)))
        return logits


def _stage(inputs: int, outputs: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
    return layers
