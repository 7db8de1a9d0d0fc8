"""JPEG's losses of gray images, for a whole batch on its device."""

from __future__ import annotations

import math

import torch
from torch import Tensor

EDGE = 8
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Steps of quantization, vertical frequencies down: ITU-T T.81 (1992), table K.1."""


class Jpeg:
    """Gray images as a baseline JPEG file of a given quality would give them back.

    Blocks of 8 x 8 pixels, the last ones filled up with the edge pixel; each is transformed
    (DCT-II), divided by the table, rounded and taken back (ITU-T T.81, A.3 and K.1). The table is
    scaled by quality as the Independent JPEG Group's library does (jcparam.c, 1991).
    """

    def __init__(self, device: torch.device) -> None:
        k = torch.arange(EDGE, dtype=torch.float64)
        waves = torch.cos(math.pi / EDGE * k[:, None] * (k + 0.5)) * math.sqrt(2 / EDGE)
        waves[0] /= math.sqrt(2)
        self.waves = waves.to(device, torch.float32)
        self.table = torch.tensor(LUMINANCE, dtype=torch.float32, device=device)

    def __call__(self, images: Tensor, quality: Tensor, first: Tensor | None = None) -> Tensor:
        """float32 ``(N, 1, H, W)`` of 0 to 255, quality ``(N,)`` of 1 to 100 -> images likewise.

        ``first``, int64 ``(N, 2)``, is the row and column, 0 to 7, that each image's first pixel
        has in its block, as in a file that was cropped: 0 if nothing is said.
        """
        count, _, height, width = images.shape
        if first is None:
            first = torch.zeros(count, 2, dtype=torch.int64, device=images.device)
        which = torch.arange(count, device=images.device).view(-1, 1, 1)
        inside = [self._places(size, first[:, axis]) for axis, size in enumerate((height, width))]
        whole = images[:, 0].round().clamp(0, 255) - 128
        whole = whole[which, inside[0][:, :, None], inside[1][:, None, :]]
        down, across = whole.shape[1] // EDGE, whole.shape[2] // EDGE
        blocks = whole.view(count, down, EDGE, across, EDGE).transpose(2, 3)
        steps = self._steps(quality).view(count, 1, 1, EDGE, EDGE)
        found = self.waves @ blocks @ self.waves.T
        found = self.waves.T @ ((found / steps).round() * steps) @ self.waves
        found = found.transpose(2, 3).reshape(whole.shape)
        rows, columns = (
            torch.arange(size, device=images.device) + first[:, axis : axis + 1]
            for axis, size in enumerate((height, width))
        )
        found = found[which, rows[:, :, None], columns[:, None, :]]
        return (found[:, None] + 128).round().clamp(0, 255)

    def _places(self, size: int, first: Tensor) -> Tensor:
        """The pixel of each place along an axis of whole blocks, ``(N, P)``; the edge's go on."""
        places = torch.arange(-(-(size + EDGE - 1) // EDGE) * EDGE, device=first.device)
        return (places - first[:, None]).clamp(0, size - 1)

    def _steps(self, quality: Tensor) -> Tensor:
        """``(N, 8, 8)``: the table for each quality."""
        percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
        return ((self.table * percent.view(-1, 1, 1) + 50) / 100).floor().clamp(1, 255)
