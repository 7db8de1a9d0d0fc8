"""LeNet-5, the baseline CNN of the Oracle-MNIST authors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from oraclezoo.errors import UsageError


class LeNet5(nn.Module):
    """conv 20@5x5, max-pool 2, conv 50@5x5, max-pool 2, fc 500, fc classes; ReLU after each layer.

    From Wang and Deng 2024, arXiv:2205.09442.

    Shape: input ``(N, in_chans, image_size, image_size)`` float, output logits
    ``(N, num_classes)``.

    Raises:
        UsageError: ``image_size`` is below 16.
    """

    def __init__(self, *, in_chans: int, num_classes: int, image_size: int) -> None:
        if image_size < 16:
            raise UsageError(f"lenet5 needs images of at least 16x16 pixels, not {image_size}")
        super().__init__()
        side = ((image_size - 4) // 2 - 4) // 2
        self.conv1 = nn.Conv2d(in_chans, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(50 * side * side, 500)
        self.fc2 = nn.Linear(500, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        logits: torch.Tensor = self.fc2(x)
        return logits
