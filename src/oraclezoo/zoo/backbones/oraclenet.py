"""OracleNet: a small residual CNN on top of a frozen patch-whitening convolution."""

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
_CHUNK = 1024  # images per unfold; limits the memory that `initialize` needs


class OracleNet(nn.Module):
    """Patch whitening, three stages, global pooling, linear head, scaled logits.

    With the defaults and 28x28x1 images, it has 0.29M parameters and needs 16M multiply-accumulates
    per image. Whitening and logit scaling follow K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a
    single GPU", 2024, arXiv:2404.00498.

    Args:
        in_chans: Number of image channels.
        num_classes: Number of classes.
        image_size: Height and width of the images in pixels.
        width: Multiplier for the stages' channel counts 32, 64 and 128 (rounded to multiples of 8).
        depth: Number of residual convolutions per stage.
        activation: Activation after the first convolution and each batch norm: gelu, relu, silu or
            hardswish.
        pool: Global pooling of the last feature map: max or avg.
        whiten: Whether the first convolution is frozen. Its filters are random until
            :meth:`initialize` computes them from training images. If False, the first convolution
            is trained like the others.
        whiten_eps: Added to the eigenvalues of the patch covariance before taking square roots.
        logit_scale: Factor that multiplies the logits.

    Shape: input ``(N, in_chans, image_size, image_size)`` float, output logits
    ``(N, num_classes)``.

    Raises:
        UsageError: ``image_size`` is below 16.

    >>> net = OracleNet(in_chans=1, num_classes=10, image_size=28)
    >>> net(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
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
        """Set the filters of the frozen convolution so that it whitens the 3x3 patches of images.

        The filters are the eigenvectors of the patch covariance, divided by the square roots of
        their eigenvalues (plus ``whiten_eps``), and the negatives of these; the biases subtract the
        mean patch. Does nothing if ``whiten`` is False.

        Args:
            images: Images, float ``(N, in_chans, H, W)``, preprocessed as for training.

        Raises:
            DataError: The images have the wrong shape or contain non-finite values.
        """
        if not self.whitens:
            return
        weight = self.whiten.weight
        if images.ndim != 4 or images.shape[1] != weight.shape[1] or len(images) == 0:
            raise DataError(
                f"initialize expects images (N, {weight.shape[1]}, H, W), not {images.shape}"
            )
        mean, covariance = _patch_moments(images)
        if not torch.isfinite(covariance).all():
            raise DataError("initialize requires images without NaN or infinite values")
        values, vectors = torch.linalg.eigh(covariance)
        values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
        # The sign of an eigenvector is arbitrary; fix it for reproducibility across machines.
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

    Shape: ``(N, before, H, W)`` to ``(N, after, H // 2, W // 2)``.
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
    """Residual block ``x + act(BN(conv 3x3(x)))``; the output has the shape of the input."""

    def __init__(self, channels: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.conv = _conv(channels, channels)
        self.norm = nn.BatchNorm2d(channels)
        self.act = activation()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch: torch.Tensor = self.act(self.norm(self.conv(x)))
        return x + branch


def _conv(before: int, after: int) -> nn.Conv2d:
    """Return a 3x3 convolution without bias, with "same" padding and initialized to unit gain."""
    conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
    nn.init.normal_(conv.weight, std=conv.weight[0].numel() ** -0.5)
    return conv


def _patch_moments(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean ``(D,)`` and covariance ``(D, D)``, float64, of all 3x3 patches; D = 9 C."""
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
