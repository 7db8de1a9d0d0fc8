"""JPEG compression artifacts for a batch of grayscale images, computed on their device."""

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
"""Luminance quantization table (rows: vertical frequencies), ITU-T T.81 (1992), table K.1."""


class Jpeg:
    """Compresses and decompresses grayscale images like baseline JPEG.

    Images are padded by replication to blocks of 8 x 8 pixels, which are transformed (DCT-II),
    quantized and transformed back (ITU-T T.81, A.3 and K.1). The quantization table is scaled by
    quality as in the Independent JPEG Group's library (jcparam.c, 1991).
    """

    def __init__(self, device: torch.device) -> None:
        k = torch.arange(EDGE, dtype=torch.float64)
        waves = torch.cos(math.pi / EDGE * k[:, None] * (k + 0.5)) * math.sqrt(2 / EDGE)
        waves[0] /= math.sqrt(2)
        self.waves = waves.to(device, torch.float32)
        self.table = torch.tensor(LUMINANCE, dtype=torch.float32, device=device)

    def __call__(self, images: Tensor, quality: Tensor, first: Tensor | None = None) -> Tensor:
        """Return the decompressed images, float32 ``(N, 1, H, W)`` from 0 to 255.

        Args:
            images: Images, float32 ``(N, 1, H, W)``, from 0 to 255.
            quality: JPEG quality of each image, ``(N,)``, from 1 to 100.
            first: Position (row and column, 0 to 7) of each image's first pixel in its block, int64
                ``(N, 2)``; it may be nonzero in a cropped file. Zero by default.
        """
        count, _, height, width = images.shape
        if first is None:
            first = torch.zeros(count, 2, dtype=torch.int64, device=images.device)
        which = torch.arange(count, device=images.device).view(-1, 1, 1)
        inside = [self._places(size, first[:, axis]) for axis, size in enumerate((height, width))]
        padded = images[:, 0].round().clamp(0, 255) - 128
        padded = padded[which, inside[0][:, :, None], inside[1][:, None, :]]
        down, across = padded.shape[1] // EDGE, padded.shape[2] // EDGE
        blocks = padded.view(count, down, EDGE, across, EDGE).transpose(2, 3)
        steps = self._steps(quality).view(count, 1, 1, EDGE, EDGE)
        values = self.waves @ blocks @ self.waves.T
        values = self.waves.T @ ((values / steps).round() * steps) @ self.waves
        values = values.transpose(2, 3).reshape(padded.shape)
        rows, columns = (
            torch.arange(size, device=images.device) + first[:, axis : axis + 1]
            for axis, size in enumerate((height, width))
        )
        values = values[which, rows[:, :, None], columns[:, None, :]]
        return (values[:, None] + 128).round().clamp(0, 255)

    def _places(self, size: int, first: Tensor) -> Tensor:
        """Return the pixel index ``(N, P)`` of each position along an axis of padded blocks."""
        places = torch.arange(-(-(size + EDGE - 1) // EDGE) * EDGE, device=first.device)
        return (places - first[:, None]).clamp(0, size - 1)

    def _steps(self, quality: Tensor) -> Tensor:
        """Return the quantization table for each quality, ``(N, 8, 8)``."""
        percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
        return ((self.table * percent.view(-1, 1, 1) + 50) / 100).floor().clamp(1, 255)
