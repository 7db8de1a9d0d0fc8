"""Residual networks for CIFAR-sized images: ResNet and Wide ResNet."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

_STAGES = (16, 32, 64)


class ResNet(nn.Module):
    """CIFAR ResNet: 3x3 stem, three stages of (depth - 2) / 6 basic blocks, global average pooling.

    The stages have 16, 32 and 64 channels; the second and third halve the resolution. From He et
    al. 2016, arXiv:1512.03385, section 4.2, except that shortcuts are 1x1 convolutions where the
    shape changes, so that pruning can trace the channels.

    Shape: input ``(N, in_chans, image_size, image_size)`` float, output logits
    ``(N, num_classes)``.
    """

    def __init__(self, *, in_chans: int, num_classes: int, image_size: int, depth: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_chans, _STAGES[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(_STAGES[0])
        blocks, inputs = [], _STAGES[0]
        for channels in _STAGES:
            for _ in range((depth - 2) // 6):
                blocks.append(_BasicBlock(inputs, channels, stride=channels // inputs))
                inputs = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(inputs, num_classes)
        _initialise(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(F.relu(self.norm(self.conv(x))))
        logits: torch.Tensor = self.head(x.mean((2, 3)))
        return logits


class _BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class WideResNet(nn.Module):
    """Wide ResNet: (depth - 4) / 6 pre-activation blocks per stage, ``width`` times as wide.

    Batch norm and ReLU precede each convolution; dropout is applied between the two convolutions of
    a block. From Zagoruyko and Komodakis 2016, arXiv:1605.07146.

    Shape: input ``(N, in_chans, image_size, image_size)`` float, output logits
    ``(N, num_classes)``.
    """

    def __init__(
        self,
        *,
        in_chans: int,
        num_classes: int,
        image_size: int,
        depth: int,
        width: int,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_chans, _STAGES[0], 3, padding=1, bias=False)
        blocks, inputs = [], _STAGES[0]
        for stage, channels in enumerate(_STAGES):
            for index in range((depth - 4) // 6):
                stride = 2 if stage and not index else 1
                blocks.append(_WideBlock(inputs, channels * width, stride, drop_rate))
                inputs = channels * width
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(inputs)
        self.head = nn.Linear(inputs, num_classes)
        _initialise(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm(self.blocks(self.conv(x))))
        logits: torch.Tensor = self.head(x.mean((2, 3)))
        return logits


class _WideBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, drop_rate: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.drop = nn.Dropout(drop_rate)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut: nn.Module | None = None
        if inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.norm1(x))
        identity = x if self.shortcut is None else self.shortcut(y)
        y = self.drop(F.relu(self.norm2(self.conv1(y))))
        total: torch.Tensor = identity + self.conv2(y)
        return total


def _initialise(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
