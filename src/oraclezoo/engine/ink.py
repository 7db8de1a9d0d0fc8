"""Changes of stroke thickness, sharpness and gray values, for a batch on its device.

Images are float32 ``(N, 1, H, W)`` with a light character. What differs by image is ``(N,)``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 4
"""Taps of the Gaussian kernel on each side of its center."""
ROUNDS = 8
"""Iterations of the threshold selection, which converges in about five."""
DITHER = 4
"""Edge of the dithering matrix."""


def thickened(images: Tensor, pixels: Tensor) -> Tensor:
    """Return images with strokes thicker by ``pixels`` on each side, thinner if negative.

    Gray-scale dilation or erosion by a 3 x 3 square, of which ``|pixels|``, from 0 to 1, is the
    weight. Images may be standardized.
    """
    sign = torch.where(pixels < 0, -1.0, 1.0).view(-1, 1, 1, 1)
    changed = images * sign  # an erosion is a dilation of the negative
    for axis in (2, 3):
        inner = changed.shape[axis] - 1
        before = changed.narrow(axis, 0, inner)
        after = changed.narrow(axis, 1, inner)
        pairs = torch.maximum(before, after)
        first, last = (pairs.narrow(axis, at, 1) for at in (0, inner - 1))
        # the maximum of three neighbors is that of two overlapping pairs; edges have one pair
        left, right = torch.cat((first, pairs), axis), torch.cat((pairs, last), axis)
        changed = torch.maximum(left, right)
    return torch.lerp(images, changed * sign, pixels.abs().view(-1, 1, 1, 1))


def blurred(images: Tensor, deviation: Tensor) -> Tensor:
    """Return images after a Gaussian blur; edges are replicated.

    Args:
        images: The images, which may be standardized.
        deviation: Standard deviations in pixels, from 0 to 2.
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
    # a power of 0 has no place here: float error may leave values slightly below it
    return grays.clamp(0, 1) ** octaves.exp2().view(-1, 1, 1, 1)


def shaded(grays: Tensor, loss: Tensor, angle: Tensor) -> Tensor:
    """Return gray values under light that falls off linearly across the image.

    Args:
        grays: Gray values from 0 to 1.
        loss: Fraction of the light that is lost at the darkest point of the border.
        angle: Direction of the fall, in radians.
    """
    height, width = grays.shape[2:]
    y = torch.linspace(-1, 1, height, device=grays.device).view(1, height, 1)
    x = torch.linspace(-1, 1, width, device=grays.device).view(1, 1, width)
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    fall = 0.5 + 0.5 * (x * cos + y * sin) / (cos.abs() + sin.abs())
    return grays * (1 - loss.view(-1, 1, 1) * fall).unsqueeze(1)


def in_one_bit(grays: Tensor, dither: Tensor, first: Tensor) -> Tensor:
    """Return gray values from 0 to 1 after reduction to 1 bit and smoothing.

    Pixels above a threshold become 1, others 0. The smoothing is that of 1-bit pictures in
    ``predict``: the kernel 1, 2, 1 in both directions.

    Args:
        grays: Gray values from 0 to 1.
        dither: 0 for one threshold per image, 1 for ordered dithering, a mixture in between.
        first: Row and column, 0 to 3, of the first pixel in the dithering matrix, int64 ``(N, 2)``.
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
    """Return the thresholds of ordered dithering at int64 places, between 0 and 1.

    Source: Bayer, "An optimum method for two-level rendition of continuous-tone pictures", ICC
    1973. Its matrix of 4 x 4 interleaves the bits of the coordinates, which needs no table.
    """
    mixed = row ^ column
    rank = 8 * (mixed & 1) + 4 * (row & 1) + (mixed & 2) + ((row & 2) >> 1)
    return (rank + 0.5) / DITHER**2


def split(grays: Tensor) -> Tensor:
    """Return the threshold ``(N,)`` that is halfway between the means of both sides.

    Source: Ridler and Calvard, "Picture thresholding using an iterative selection method", IEEE
    Transactions on Systems, Man and Cybernetics 8 (1978). It is close to Otsu's threshold, and
    needs no histogram.
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
