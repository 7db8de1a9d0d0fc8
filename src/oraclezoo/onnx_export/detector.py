"""Detector of pictures that are none of a classifier's characters, as a PyTorch module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from safetensors.torch import load, save
from torch import Tensor, nn

FIRST_EDGE = 28
"""Larger images are averaged over squares down to at least this size."""
WIDTHS = (16, 32, 48, 48)
"""Output channels of the convolutions; the first two are followed by pooling."""
POOLED = 2
MIN_EDGE = 8
"""Smallest image in pixels."""


class Detector(nn.Module):
    """A small CNN for the classifier's characters and one more class, which stands for all others.

    It reads the same image as the classifier and knows nothing of its weights. 3x3 convolutions
    with ReLU, the first two followed by 2x2 max-pooling, then global maximum and mean, and a linear
    layer with softmax.

    Args:
        classes: Number of the classifier's classes C.

    Shape: images float ``(N, 1, S, S)`` in [0, 1] to probabilities ``(N, C + 1)``.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        before = (1, *WIDTHS)
        self.convs = nn.ModuleList(
            nn.Conv2d(first, last, 3, padding=1)
            for first, last in zip(before, WIDTHS, strict=False)
        )
        self.head = nn.Linear(2 * WIDTHS[-1], classes + 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(images, [nn.Identity()] * len(WIDTHS)).softmax(1)

    def logits(self, images: Tensor, norms: Sequence[nn.Module]) -> Tensor:
        """Return logits ``(N, C + 1)``; ``norms`` follow the convolutions during training."""
        factor = reduction(images.shape[-1])
        x = F.avg_pool2d(images, factor) if factor > 1 else images
        for number, (conv, norm) in enumerate(zip(self.convs, norms, strict=True)):
            x = norm(conv(x)).relu()
            x = F.max_pool2d(x, 2) if number < POOLED else x
        logits: Tensor = self.head(torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1))
        return logits

    @torch.inference_mode()
    def scores(self, images: Tensor) -> Tensor:
        """Return the probability of the last class, float32 ``(N,)``, of uint8 ``(N, S, S)``."""
        scores: Tensor = self(images.unsqueeze(1).to(torch.float32) * (1 / 255))[:, -1]
        return scores

    def to_bytes(self) -> bytes:
        """Return the weights as the content of a safetensors file, those of layers in int8."""
        tensors = {}
        for key, value in self.state_dict().items():
            if value.ndim > 1:
                tensors[key], tensors[f"{key}.scale"] = packed(value)
            else:
                tensors[key] = value.detach().cpu().float().contiguous()
        return save(tensors)

    @classmethod
    def from_bytes(cls, content: bytes, classes: int) -> Detector:
        """Read the weights. Raises ValueError if they do not match."""
        detector = cls(classes)
        stored: Mapping[str, Tensor] = load(content)
        try:
            state = {
                key: value.float() * stored[f"{key}.scale"] if value.dtype == torch.int8 else value
                for key, value in stored.items()
                if not key.endswith(".scale")
            }
            detector.load_state_dict(state)
        except (RuntimeError, KeyError) as error:
            raise ValueError("the weights of the detector do not match its layers") from error
        return detector.eval()


def packed(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return a layer's weights as int8, and the factors of its output channels, float32.

    The factors are rounded to float16, so that weights that were packed before stay as they are.
    """
    values = weight.detach().cpu().float()
    largest = values.abs().flatten(1).amax(1).clamp_min(1e-3)
    factors = (largest / 127).half().float().reshape(-1, *[1] * (values.ndim - 1))
    whole = (values / factors).round().clamp(-127, 127).to(torch.int8)
    return whole.contiguous(), factors.contiguous()


def reduction(edge: int) -> int:
    """Return the edge of the squares over which an image is averaged first."""
    return max(1, edge // FIRST_EDGE)
