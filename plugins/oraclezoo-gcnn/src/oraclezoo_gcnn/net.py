"""The network: group convolutions, followed by pooling over the group."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oraclezoo.errors import UsageError
from oraclezoo_gcnn.groups import elements, permutations


class GroupConv(nn.Module):
    """Group convolution: every ``size`` x ``size`` filter is applied in all transformations.

    Cohen and Welling 2016, arXiv:1602.07576, sections 4 and 6. The input is an image
    ``(N, before, H, W)`` if ``lifts``, else a feature map on the group ``(N, before * G, H, W)``.
    The output ``(N, after * G, H, W)`` has the group elements of a channel next to each other.
    """

    def __init__(self, before: int, after: int, group: str, *, lifts: bool, size: int = 3) -> None:
        super().__init__()
        self.order = len(elements(group))
        self.size, self.inputs = size, 1 if lifts else self.order
        self.weight = nn.Parameter(torch.empty(after, before, self.inputs * size * size))
        nn.init.normal_(self.weight, std=(before * self.inputs * size * size) ** -0.5)
        tables = permutations(group, size)
        index = torch.tensor(tables.plane if lifts else tables.group)
        self.register_buffer("index", index, persistent=False)
        self.index: Tensor

    def filters(self) -> Tensor:
        """Return all transformed filters ``(after * G, before * inputs, size, size)``."""
        after, before, _ = self.weight.shape
        turned = self.weight[:, :, self.index]  # (after, before, G, inputs * size * size)
        turned = turned.transpose(1, 2)
        return turned.reshape(after * self.order, before * self.inputs, self.size, self.size)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.filters(), padding=self.size // 2)


class GroupNorm(nn.Module):
    """Batch norm with statistics and scales shared over the group elements of a channel."""

    def __init__(self, channels: int, order: int) -> None:
        super().__init__()
        self.order = order
        self.norm = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = self.norm(x.unflatten(1, (-1, self.order)))
        return maps.flatten(1, 2)


class Block(nn.Module):
    """Group convolution, batch norm and ReLU, optionally with a residual connection."""

    def __init__(
        self, before: int, after: int, group: str, *, lifts: bool = False, residual: bool = False
    ) -> None:
        super().__init__()
        self.conv = GroupConv(before, after, group, lifts=lifts)
        self.norm = GroupNorm(after, self.conv.order)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        maps = F.relu(self.norm(self.conv(x)))
        return x + maps if self.residual else maps


class GCNN(nn.Module):
    """Group CNN: ``(N, in_chans, image_size, image_size)`` -> logits ``(N, num_classes)``.

    A lifting convolution and a residual block are followed by two stages of a block with twice the
    channels, 2x2 max-pooling and a residual block. Pooling over space and group makes the logits
    invariant. Raises UsageError unless ``image_size`` is a multiple of 4 and at least 8.
    """

    def __init__(
        self,
        *,
        in_chans: int,
        num_classes: int,
        image_size: int,
        group: str = "mirror",
        width: int = 24,
        pool: str = "max",
    ) -> None:
        if image_size % 4 or image_size < 8:
            raise UsageError(
                f"gcnn requires an image size that is a multiple of 4 and at least 8, not "
                f"{image_size}, so that pooling treats both sides alike"
            )
        super().__init__()
        self.order, self.pool = len(elements(group)), pool
        self.first = nn.Sequential(
            Block(in_chans, width, group, lifts=True), Block(width, width, group, residual=True)
        )
        self.stages = nn.ModuleList(
            nn.Sequential(
                Block(channels, 2 * channels, group),
                nn.MaxPool2d(2),
                Block(2 * channels, 2 * channels, group, residual=True),
            )
            for channels in (width, 2 * width)
        )
        self.head = nn.Linear(4 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for stage in self.stages:
            x = stage(x)
        x = x.unflatten(1, (-1, self.order)).flatten(2)
        logits: Tensor = self.head(x.amax(2) if self.pool == "max" else x.mean(2))
        return logits
