"""OracleNet: a small residual CNN behind a frozen whitening of 3x3 patches."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from oraclezoo.errors import DataError, UsageError

_STAGES = (32, 64, 128)
_CHUNK = 1024  # images unfolded into patches at a time; bounds the memory of `initialize`


class OracleNet(nn.Module):
    """Whitening and GELU, three stages, global max-pool, linear head, scaled logits.

    Input ``(N, in_chans, image_size, image_size)`` float, output logits ``(N, num_classes)``.
    The first convolution is frozen: its filters are set from training images by
    :meth:`initialize`, and stay random before that. At 28x28x1 and width 1: 0.29M parameters, 16M
    multiply-accumulates. Raises UsageError if ``image_size`` is below 16.

    Whitening, logit scale and the dirac start are ideas of K. Jordan, "94% on CIFAR-10 in 3.29
    seconds on a single GPU", 2024, arXiv:2404.00498.
    """

    def __init__(
        self,
        *,
        in_chans: int,
        num_classes: int,
        image_size: int,
        width: float = 1.0,
        whiten_eps: float = 5e-4,
        logit_scale: float = 1 / 9,
    ) -> None:
        if image_size < 16:
            raise UsageError(f"oraclenet needs images of at least 16x16 pixels, not {image_size}")
        super().__init__()
        self.whiten_eps = whiten_eps
        self.logit_scale = logit_scale
        self.whiten = nn.Conv2d(in_chans, 2 * 9 * in_chans, 3, padding=1)
        self.whiten.requires_grad_(False)
        channels = [self.whiten.out_channels]
        channels += [max(8, round(stage * width / 8) * 8) for stage in _STAGES]
        self.stages = nn.Sequential(*(Stage(before, after) for before, after in pairwise(channels)))
        self.head = nn.Linear(channels[-1], num_classes, bias=False)

    @torch.no_grad()
    def initialize(self, images: torch.Tensor) -> None:
        """Set the frozen convolution to whiten the 3x3 patches of ``images``.

        ``images``: float ``(N, in_chans, H, W)``, prepared as for training. The filters are the
        eigenvectors of the patches' covariance over the square roots of their eigenvalues (plus
        ``whiten_eps``), and the negatives of these; the biases subtract the mean patch. Raises
        DataError for images of another shape or with values that are not finite.
        """
        weight = self.whiten.weight
        if images.ndim != 4 or images.shape[1] != weight.shape[1] or len(images) == 0:
            raise DataError(f"initialize needs (N, {weight.shape[1]}, H, W), not {images.shape}")
        mean, covariance = _patch_moments(images)
        if not torch.isfinite(covariance).all():
            raise DataError("initialize needs finite images")
        values, vectors = torch.linalg.eigh(covariance)
        values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
        # The sign of an eigenvector is arbitrary: fix it, so that machines agree.
        largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
        filters = (vectors * largest.sign() / (values + self.whiten_eps).sqrt()).T
        filters = torch.cat([filters, -filters])
        weight.copy_(filters.reshape(weight.shape))
        assert self.whiten.bias is not None
        self.whiten.bias.copy_(-filters @ mean)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stages(F.gelu(self.whiten(x)))
        logits: torch.Tensor = self.head(x.amax(dim=(2, 3)))
        return logits * self.logit_scale


class Stage(nn.Module):
    """conv 3x3, max-pool 2, BN, GELU; then a residual conv 3x3, BN, GELU.

    ``(N, before, H, W)`` -> ``(N, after, H // 2, W // 2)``.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        for conv in (self.conv1, self.conv2):
            nn.init.normal_(conv.weight, std=conv.weight[0].numel() ** -0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return x + F.gelu(self.norm2(self.conv2(x)))


def _patch_moments(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean ``(D,)`` and covariance ``(D, D)`` of all 3x3 patches, float64; D = 9 * channels."""
    count = 0
    total: torch.Tensor | float = 0.0
    square: torch.Tensor | float = 0.0
    for chunk in torch.split(images, _CHUNK):
        patches = F.unfold(chunk.double(), 3).transpose(1, 2).flatten(0, 1)
        count += len(patches)
        total = total + patches.sum(0)
        square = square + patches.T @ patches
    mean = torch.as_tensor(total / count)
    return mean, torch.as_tensor(square / count) - mean.outer(mean)
