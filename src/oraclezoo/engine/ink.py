"""Change stroke thickness, sharpness and gray values of a batch on its device.

Images are float32 ``(N, 1, H, W)`` with a light character on a dark background. Parameters that
differ between images are tensors ``(N,)``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 4
"""Number of taps of the Gaussian kernel on each side of its center."""
ROUNDS = 8
"""Number of iterations of the threshold selection, which converges in about five."""
DITHER = 4
"""Side length of the dithering matrix."""


def thickened(images: Tensor, pixels: Tensor) -> Tensor:
    """Return images with strokes thicker by ``pixels`` on each side, or thinner if negative.

    Blends each image with its grayscale dilation (or erosion) by a 3 x 3 square, whose weight is
    ``|pixels|``, from 0 to 1. Images may be standardized.
    """
    sign = torch.where(pixels < 0, -1.0, 1.0).view(-1, 1, 1, 1)
    changed = images * sign  # an erosion is a dilation of the negative
    for axis in (2, 3):
        inner = changed.shape[axis] - 1
        before = changed.narrow(axis, 0, inner)
        after = changed.narrow(axis, 1, inner)
        pairs = torch.maximum(before, after)
        first, last = (pairs.narrow(axis, at, 1) for at in (0, inner - 1))
        # the maximum of three neighbors is the maximum of two overlapping pairs (one at an edge)
        left, right = torch.cat((first, pairs), axis), torch.cat((pairs, last), axis)
        changed = torch.maximum(left, right)
    return torch.lerp(images, changed * sign, pixels.abs().view(-1, 1, 1, 1))


def blurred(images: Tensor, deviation: Tensor) -> Tensor:
    """Apply a Gaussian blur to images, with replicated borders.

    Args:
        images: The images, which may be standardized.
        deviation: Standard deviation of each image's blur in pixels, from 0 to 2.
    """
    places = torch.arange(-REACH, REACH + 1, device=images.device)
    taps = torch.exp(-0.5 * (places / deviation.clamp(min=0.05).view(-1, 1)) ** 2)
    taps = (taps / taps.sum(1, keepdim=True)).view(-1, 1, 1, 1, len(places))
    windows = F.pad(images, (REACH, REACH, 0, 0), "replicate").unfold(3, len(places), 1)
    across = (windows * taps).sum(-1)
    windows = F.pad(across, (0, 0, REACH, REACH), "replicate").unfold(2, len(places), 1)
    return (windows * taps).sum(-1)


def toned(grays: Tensor, octaves: Tensor) -> Tensor:
    """Return gray values from 0 to 1 raised to the power of ``2 ** octaves`` (gamma)."""
    # clamp above 0: rounding errors may leave values slightly below it
    return grays.clamp(0, 1) ** octaves.exp2().view(-1, 1, 1, 1)


def shaded(grays: Tensor, loss: Tensor, angle: Tensor) -> Tensor:
    """Return gray values under lighting that falls off linearly across the image.

    Args:
        grays: Gray values from 0 to 1.
        loss: Decrease in brightness at the darkest point of the border, as a fraction.
        angle: Direction of the falloff in radians.
    """
    height, width = grays.shape[2:]
    y = torch.linspace(-1, 1, height, device=grays.device).view(1, height, 1)
    x = torch.linspace(-1, 1, width, device=grays.device).view(1, 1, width)
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    fall = 0.5 + 0.5 * (x * cos + y * sin) / (cos.abs() + sin.abs())
    return grays * (1 - loss.view(-1, 1, 1) * fall).unsqueeze(1)


def in_one_bit(grays: Tensor, dither: Tensor, first: Tensor) -> Tensor:
    """Reduce gray values from 0 to 1 to 1 bit, then smooth them.

    Pixels above a threshold become 1, all others 0. They are smoothed as ``predict`` smooths 1-bit
    images, with the kernel (1, 2, 1) in both directions.

    Args:
        grays: Gray values from 0 to 1.
        dither: 0 for one threshold per image, 1 for ordered dithering; values in between blend the
            two kinds of threshold.
        first: Position (row and column, 0 to 3) of each image's first pixel in the dithering
            matrix, int64 ``(N, 2)``.
    """
    height, width = grays.shape[2:]
    rows = torch.arange(height, device=grays.device) + first[:, :1]
    columns = torch.arange(width, device=grays.device) + first[:, 1:]
    levels = ordered(rows[:, None, :, None], columns[:, None, None, :])
    one = split(grays).view(-1, 1, 1, 1)
    threshold = one + (levels - one) * dither.view(-1, 1, 1, 1)
    bits = F.pad((grays > threshold).to(grays.dtype), (1, 1, 1, 1), "replicate")
    rows_done = (bits[:, :, :-2] + 2 * bits[:, :, 1:-1] + bits[:, :, 2:]) / 4
    return (rows_done[..., :-2] + 2 * rows_done[..., 1:-1] + rows_done[..., 2:]) / 4


def ordered(row: Tensor, column: Tensor) -> Tensor:
    """Return the ordered-dithering thresholds, between 0 and 1, at int64 coordinates.

    Source: Bayer, "An optimum method for two-level rendition of continuous-tone pictures", ICC
    1973. The 4 x 4 matrix is computed by interleaving the bits of the coordinates.
    """
    mixed = row ^ column
    rank = 8 * (mixed & 1) + 4 * (row & 1) + (mixed & 2) + ((row & 2) >> 1)
    return (rank + 0.5) / DITHER**2


def split(grays: Tensor) -> Tensor:
    """Return thresholds ``(N,)`` halfway between the mean of the pixels above and of those below.

    Source: Ridler and Calvard, "Picture thresholding using an iterative selection method", IEEE
    Transactions on Systems, Man and Cybernetics 8 (1978). The result is close to Otsu's threshold,
    and the method needs no histogram.
    """
    values = grays.flatten(1)
    threshold = values.mean(1, keepdim=True)
    for _ in range(ROUNDS):
        above = (values > threshold).to(values.dtype)
        count = above.sum(1, keepdim=True)
        light = (values * above).sum(1, keepdim=True)
        dark = values.sum(1, keepdim=True) - light
        threshold = (light / count.clamp(min=1) + dark / (values.shape[1] - count).clamp(min=1)) / 2
    return threshold[:, 0]
