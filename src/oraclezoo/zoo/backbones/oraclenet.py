"""OracleNet: a small residual CNN behind a frozen whitening of 3x3 patches."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from oraclezoo.errors import DataError, UsageError

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "hardswish": nn.Hardswish,
}
_STAGES = (32, 64, 128)
_CHUNK = 1024  # images unfolded into patches at a time; bounds the memory of `initialize`


class OracleNet(nn.Module):
    """Whitening, three stages, global pooling, linear head, scaled logits.

    Input ``(N, in_chans, image_size, image_size)`` float, output logits ``(N, num_classes)``.

    ``width``       multiplies the channels 32, 64, 128 of the stages (to multiples of 8)
    ``depth``       residual convolutions in each stage
    ``activation``  after the first convolution and each batch norm: gelu, relu, silu or hardswish
    ``pool``        of the last stage's map to a vector: max or avg
    ``whiten``      the first convolution is frozen, its filters set from training images by
                    :meth:`initialize` (random before that); False: it is learned like the others

    At 28x28x1 and the defaults: 0.29M parameters, 16M multiply-accumulates. Raises UsageError if
    ``image_size`` is below 16.

    Whitening and logit scale are ideas of K. Jordan, "94% on CIFAR-10 in 3.29
    seconds on a single GPU", 2024, arXiv:2404.00498.
    """

    def __init__(
        self,
        *,
        in_chans: int,
        num_classes: int,
        image_size: int,
        width: float = 1.0,
        depth: int = 1,
        activation: str = "gelu",
        pool: str = "max",
        whiten: bool = True,
        whiten_eps: float = 5e-4,
        logit_scale: float = 1 / 9,
    ) -> None:
        if image_size < 16:
            raise UsageError(f"oraclenet needs images of at least 16x16 pixels, not {image_size}")
        super().__init__()
        self.whitens = whiten
        self.whiten_eps = whiten_eps
        self.logit_scale = logit_scale
        self.pool = pool
        self.whiten = nn.Conv2d(in_chans, 2 * 9 * in_chans, 3, padding=1)
        self.whiten.requires_grad_(not whiten)
        self.act = ACTIVATIONS[activation]()
        channels = [self.whiten.out_channels]
        channels += [max(8, round(stage * width / 8) * 8) for stage in _STAGES]
        self.stages = nn.Sequential(
            *(
                Stage(before, after, depth, ACTIVATIONS[activation])
                for before, after in pairwise(channels)
            )
        )
        self.head = nn.Linear(channels[-1], num_classes, bias=False)

    @torch.no_grad()
    def initialize(self, images: torch.Tensor) -> None:
        """Set the frozen convolution to whiten the 3x3 patches of ``images``.

        ``images``: float ``(N, in_chans, H, W)``, prepared as for training. The filters are the
        eigenvectors of the patches' covariance over the square roots of their eigenvalues (plus
        ``whiten_eps``), and the negatives of these; the biases subtract the mean patch. Raises
        DataError for images of another shape or with values that are not finite. Without ``whiten``
        nothing happens.
        """
        if not self.whitens:
            return
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
        x = self.stages(self.act(self.whiten(x)))
        x = x.amax(dim=(2, 3)) if self.pool == "max" else x.mean(dim=(2, 3))
        logits: torch.Tensor = self.head(x)
        return logits * self.logit_scale


class Stage(nn.Module):
    """conv 3x3, max-pool 2, BN, activation; then ``depth`` residual conv 3x3, BN, activation.

    ``(N, before, H, W)`` -> ``(N, after, H // 2, W // 2)``.
    """

    def __init__(self, before: int, after: int, depth: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.conv = _conv(before, after)
        self.norm = nn.BatchNorm2d(after)
        self.act = activation()
        self.residuals = nn.Sequential(*(Residual(after, activation) for _ in range(depth)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.norm(F.max_pool2d(self.conv(x), 2)))
        maps: torch.Tensor = self.residuals(x)
        return maps


class Residual(nn.Module):
    """``x + act(BN(conv 3x3(x)))``, shape unchanged."""

    def __init__(self, channels: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.conv = _conv(channels, channels)
        self.norm = nn.BatchNorm2d(channels)
        self.act = activation()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch: torch.Tensor = self.act(self.norm(self.conv(x)))
        return x + branch


def _conv(before: int, after: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size of the map, with unit gain at the start."""
    conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
    nn.init.normal_(conv.weight, std=conv.weight[0].numel() ** -0.5)
    return conv


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
