"""Building blocks of corruptions: bounding box, noise, blur and resampling.

Images are float32 ``(N, H, W)``, gray levels from 0 to 255; lengths are in pixels.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from oraclezoo.data.corrupt.draws import Draws, Floats

REFERENCE_EDGE = 28
"""Longer side, in pixels, of the images for which strengths are defined."""


def scale_of(images: npt.NDArray[np.generic]) -> float:
    """Return the scale factor for lengths: the longer side divided by :data:`REFERENCE_EDGE`.

    Args:
        images: ``(N, H, W)``.

    Returns:
        The factor; 1 for a longer side of 28 pixels.
    """
    height, width = size_of(images)
    return max(height, width) / REFERENCE_EDGE


def size_of(images: npt.NDArray[np.generic]) -> tuple[int, int]:
    """Return height and width in pixels.

    Args:
        images: ``(N, H, W)``.

    Returns:
        ``(H, W)``.
    """
    return int(images.shape[1]), int(images.shape[2])


def box(images: npt.NDArray[np.uint8] | Floats) -> npt.NDArray[np.bool_]:
    """Return a mask of the picture without its black bars.

    Args:
        images: ``(N, H, W)``.

    Returns:
        bool ``(N, H, W)``, true in the rows and columns from the first to the last with a pixel
        above 0; all true for a black image.
    """
    lit = images > 0
    rows, columns = between(_any(lit, 2)), between(_any(lit, 1))
    black = ~_any(rows, 1)
    rows[black] = columns[black] = True
    return rows[:, :, None] & columns[:, None, :]


def _any(lit: npt.NDArray[np.bool_], axis: int) -> npt.NDArray[np.bool_]:
    reduced: npt.NDArray[np.bool_] = np.logical_or.reduce(lit, axis=axis)
    return reduced


def between(lit: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return a mask of each row from its first to its last true entry.

    Args:
        lit: bool ``(N, L)``.

    Returns:
        bool ``(N, L)``, true from the first to the last true entry of each row.
    """
    after = np.logical_or.accumulate(lit, 1)
    before = np.logical_or.accumulate(lit[:, ::-1], 1)[:, ::-1]
    return after & before


def box_coordinates(in_box: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the coordinates of each pixel, normalized to its picture.

    Args:
        in_box: Masks from :func:`box`, bool ``(N, H, W)``.

    Returns:
        Horizontal coordinates float32 ``(N, 1, W)``, from 0 at the left edge of the picture to 1 at
        the right, and vertical coordinates ``(N, H, 1)``, from 0 at the top to 1 at the bottom.
        Pixels outside the box have coordinates below 0 or above 1.
    """

    def shares(inside: npt.NDArray[np.bool_]) -> Floats:
        first, extent = inside.argmax(1), inside.sum(1)
        center = np.arange(inside.shape[1], dtype=np.float32) + np.float32(0.5)
        return cast(Floats, ((center - first[:, None]) / extent[:, None]).astype(np.float32))

    return shares(_any(in_box, 1))[:, None, :], shares(_any(in_box, 2))[:, :, None]


def grain_width(images: npt.NDArray[np.generic]) -> float:
    """Return the sigma, in pixels, of the blur that correlates white noise over a reference pixel.

    Args:
        images: ``(N, H, W)``.

    Returns:
        Sigma in pixels; 0 for images that are not larger than the reference size.
    """
    return 0.4 * math.sqrt(max(scale_of(images) ** 2 - 1, 0))


def blur_within(images: Floats, where: npt.NDArray[np.bool_], sigma: float) -> Floats:
    """Apply a Gaussian blur within a mask, normalized so that outside pixels have no influence.

    Args:
        images: float32 ``(N, H, W)``.
        where: Mask, bool ``(N, H, W)``.
        sigma: Standard deviation of the kernel in pixels.

    Returns:
        float32 ``(N, H, W)``, 0 outside the mask.
    """
    weight = where.astype(np.float32)
    spread = gaussian_filter(weight, (0, sigma, sigma), mode="constant")
    blurred = gaussian_filter(images * weight, (0, sigma, sigma), mode="constant")
    return cast(Floats, blurred / np.maximum(spread, 1e-6) * weight)


def texture(draws: Draws, shape: tuple[int, int], sigma: float) -> Floats:
    """Draw Gaussian noise of unit variance.

    Args:
        draws: Random numbers of N images.
        shape: Height and width.
        sigma: Correlation length in pixels; below 0.3, the noise is white.

    Returns:
        float32 ``(N, *shape)``.
    """
    noise = draws.normal(*shape)
    if sigma < 0.3:  # much narrower than a pixel: a blur has no effect
        return noise
    smooth = gaussian_filter(noise, (0, sigma, sigma), mode="wrap")
    impulse = np.zeros(shape, np.float32)
    impulse[0, 0] = 1
    gain = np.sqrt((gaussian_filter(impulse, sigma, mode="wrap") ** 2).sum())
    return cast(Floats, smooth / np.float32(gain))


def resample(images: Floats, turn: Floats, right: Floats, down: Floats) -> Floats:
    """Rotate each image about its center, then translate it; bilinear, with black padding.

    Args:
        images: float32 ``(N, H, W)``.
        turn: Angles in radians, ``(N,)``.
        right: Horizontal shifts in pixels, ``(N,)``.
        down: Vertical shifts in pixels, ``(N,)``.

    Returns:
        float32 ``(N, H, W)``.
    """
    count, height, width = images.shape
    x = np.arange(width, dtype=np.float32) - (width - 1) / 2
    y = np.arange(height, dtype=np.float32) - (height - 1) / 2
    x, y = x[None, None, :] - each(right), y[None, :, None] - each(down)
    cos, sin = each(np.cos(turn)), each(np.sin(turn))
    from_x = cos * x + sin * y + (width - 1) / 2 + 1  # + 1: the black padding below
    from_y = cos * y - sin * x + (height - 1) / 2 + 1
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    from_x, from_y = np.clip(from_x, 0, width + 1), np.clip(from_y, 0, height + 1)
    left = np.minimum(from_x.astype(np.intp), width)
    top = np.minimum(from_y.astype(np.intp), height)
    across, along = from_x - left, from_y - top
    image = np.arange(count)[:, None, None]
    upper = framed[image, top, left] * (1 - across) + framed[image, top, left + 1] * across
    lower = framed[image, top + 1, left] * (1 - across) + framed[image, top + 1, left + 1] * across
    return cast(Floats, (upper * (1 - along) + lower * along).astype(np.float32))


def each(values: npt.NDArray[np.generic]) -> Floats:
    """Reshape one value per image for broadcasting over pixels.

    Args:
        values: ``(N,)``.

    Returns:
        float32 ``(N, 1, 1)``.
    """
    return cast(Floats, values.astype(np.float32).reshape(-1, 1, 1))
