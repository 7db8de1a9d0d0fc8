"""Patch-based architectures without attention: MLP-Mixer and ConvMixer."""

from __future__ import annotations

import torch
from torch import nn

from oraclezoo.errors import UsageError


class MLPMixer(nn.Module):
    """MLP-Mixer: patch embedding, ``depth`` blocks of token and channel mixing, average pooling.

    Token-mixing MLPs have ``dim / 2`` hidden units, and channel-mixing MLPs have ``4 * dim``. From
    Tolstikhin et al. 2021, arXiv:2105.01601.

    Shape: input ``(N, in_chans, image_size, image_size)`` float, output logits
    ``(N, num_classes)``.

    Raises:
        UsageError: ``patch_size`` does not divide ``image_size``.
    """

    def __init__(
        self,
        *,
        in_chans: int,
        num_classes: int,
        image_size: int,
        patch_size: int = 4,
        dim: int = 128,
        depth: int = 6,
    ) -> None:
        tokens = _patches_per_side(image_size, patch_size) ** 2
        super().__init__()
        self.embed = nn.Conv2d(in_chans, dim, patch_size, stride=patch_size)
        self.blocks = nn.Sequential(*[_MixerBlock(tokens, dim) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(torch.flatten(self.embed(x), 2).mT)
        logits: torch.Tensor = self.head(self.norm(x).mean(1))
        return logits


class _MixerBlock(nn.Module):
    """Token mixing, then channel mixing; input and output are ``(N, tokens, dim)``."""

    def __init__(self, tokens: int, dim: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.across_places = _mlp(tokens, max(1, dim // 2))
        self.across_channels = _mlp(dim, 4 * dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.across_places(self.norm1(x).mT).mT
        mixed: torch.Tensor = x + self.across_channels(self.norm2(x))
        return mixed


class ConvMixer(nn.Module):
    """ConvMixer: patch embedding, ``depth`` depthwise-separable blocks, global average pooling.

    From Trockman and Kolter 2022, arXiv:2201.09792.

    Shape: input ``(N, in_chans, image_size, image_size)`` float, output logits
    ``(N, num_classes)``.

    Raises:
        UsageError: ``patch_size`` does not divide ``image_size``.
    """

    def __init__(
        self,
        *,
        in_chans: int,
        num_classes: int,
        image_size: int,
        patch_size: int = 2,
        dim: int = 96,
        depth: int = 6,
        kernel_size: int = 5,
    ) -> None:
        _patches_per_side(image_size, patch_size)
        super().__init__()
        self.embed = _activated(nn.Conv2d(in_chans, dim, patch_size, stride=patch_size))
        self.blocks = nn.Sequential(*[_ConvMixerBlock(dim, kernel_size) for _ in range(depth)])
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.blocks(self.embed(x)).mean((2, 3)))
        return logits


class _ConvMixerBlock(nn.Module):
    """Depthwise convolution with a skip connection, then pointwise; keeps ``(N, dim, H, W)``."""

    def __init__(self, dim: int, kernel_size: int) -> None:
        super().__init__()
        self.depthwise = _activated(nn.Conv2d(dim, dim, kernel_size, padding="same", groups=dim))
        self.pointwise = _activated(nn.Conv2d(dim, dim, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.pointwise(x + self.depthwise(x))
        return mixed


def _patches_per_side(image_size: int, patch_size: int) -> int:
    """Return the number of patches along each side of the image."""
    if image_size % patch_size:
        raise UsageError(
            f"patch_size {patch_size} does not divide the image size {image_size}; "
            f"choose a patch_size that divides {image_size}"
        )
    return image_size // patch_size


def _mlp(dim: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))


def _activated(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.GELU(), nn.BatchNorm2d(convolution.out_channels))
