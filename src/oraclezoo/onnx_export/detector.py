"""PyTorch module that detects images of anything other than the classifier's characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from safetensors.torch import load, save
from torch import Tensor, nn

FIRST_EDGE = 28
"""Larger images are reduced by average pooling, but not below this size in pixels."""
WIDTHS = (16, 32, 48, 48)
"""Numbers of output channels of the convolutions; pooling follows the first two."""
POOLED = 2
MIN_EDGE = 8
"""Minimum height and width of an image in pixels."""


class Detector(nn.Module):
    """A small CNN that predicts the classifier's classes and one more class for anything else.

    Its input is the same image as the classifier's, but it does not use the classifier's weights.
    The layers are 3x3 convolutions with ReLU, of which the first two are followed by 2x2
    max-pooling; then global max and average pooling; and a linear layer with softmax.

    Args:
        classes: Number C of the classifier's classes.

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
        """Return logits ``(N, C + 1)``; ``norms`` are applied to the outputs of convolutions."""
        factor = reduction(images.shape[-1])
        x = F.avg_pool2d(images, factor) if factor > 1 else images
        for number, (conv, norm) in enumerate(zip(self.convs, norms, strict=True)):
            x = norm(conv(x)).relu()
            x = F.max_pool2d(x, 2) if number < POOLED else x
        logits: Tensor = self.head(torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1))
        return logits

    @torch.inference_mode()
    def scores(self, images: Tensor) -> Tensor:
        """Return the last class's probability, float32 ``(N,)``, for images uint8 ``(N, S, S)``."""
        scores: Tensor = self(images.unsqueeze(1).to(torch.float32) * (1 / 255))[:, -1]
        return scores

    def to_bytes(self) -> bytes:
        """Return the bytes of a safetensors file with the parameters; weights are in int8."""
        tensors = {}
        for key, value in self.state_dict().items():
            if value.ndim > 1:
                tensors[key], tensors[f"{key}.scale"] = packed(value)
            else:
                tensors[key] = value.detach().cpu().float().contiguous()
        return save(tensors)

    @classmethod
    def from_bytes(cls, content: bytes, classes: int) -> Detector:
        """Create a detector from :meth:`to_bytes`. Raises ValueError if the weights do not fit."""
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
    """Return a layer's weights as int8, and the scale of each output channel as float32.

    The scales are rounded to float16, so that packing the same weights again changes nothing.
    """
    values = weight.detach().cpu().float()
    largest = values.abs().flatten(1).amax(1).clamp_min(1e-3)
    factors = (largest / 127).half().float().reshape(-1, *[1] * (values.ndim - 1))
    whole = (values / factors).round().clamp(-127, 127).to(torch.int8)
    return whole.contiguous(), factors.contiguous()


def reduction(edge: int) -> int:
    """Return the kernel size of the average pooling that reduces an image of size ``edge``."""
    return max(1, edge // FIRST_EDGE)
