"""A multilayer perceptron that takes pixels as input."""

from __future__ import annotations

import itertools

import torch
from torch import nn


class MLP(nn.Module):
    """``depth`` hidden layers of ``hidden`` ReLU units with dropout, then a linear classifier.

    Weights use He initialization (He et al. 2015, arXiv:1502.01852); biases start at zero.

    Shape: input ``(N, in_chans, image_size, image_size)`` float, output logits
    ``(N, num_classes)``.
    """

    def __init__(
        self,
        *,
        in_chans: int,
        num_classes: int,
        image_size: int,
        hidden: int = 512,
        depth: int = 2,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        widths = [in_chans * image_size**2, *[hidden] * depth]
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(drop_rate)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(hidden, num_classes)
        for layer in [m for m in self.layers if isinstance(m, nn.Linear)]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.layers(torch.flatten(x, 1)))
        return logits
