"""Band-passed images, for comparison by strokes independently of brightness and bars.

An image is scaled down to at most 28 pixels a side. Its black bars, and one pixel next to them,
are set to 0. The rest is band-passed with a difference of Gaussians: a blur of 0.7 pixels, which
removes grain, minus a blur of 3 pixels, which holds stains and brightness. Both are normalised
within the picture, so that the bars leave no edge.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, minimum_filter, zoom

from oraclezoo.data.corrupt.primitives import between

Floats = npt.NDArray[np.float32]

EDGE = 28
"""Longer edge, in pixels, to which larger images are scaled down."""
CONTRAST_FLOOR = 3.0
"""RMS gray levels after the band-pass below which the similarity of images fades to 0."""
_BAR = 6.0  # gray levels: an outer row or column with a lower mean is a black bar
_FINE, _COARSE = 0.7, 3.0  # pixels


def strokes(images: npt.NDArray[np.uint8]) -> Floats:
    """Return band-passed images.

    Args:
        images: uint8 ``(N, H, W)``.

    Returns:
        float32 ``(N, h, w)``, gray levels, with a longer edge of at most :data:`EDGE`.
    """
    small = _reduced(images)
    within = _box(small).astype(np.float32)
    within = minimum_filter(within, (1, 3, 3), mode="nearest")
    band = _blurred(small, within, _FINE) - _blurred(small, within, _COARSE)
    return cast(Floats, band * within)


def contrast(band: Floats) -> Floats:
    """Return the root mean square of each band-passed image.

    Args:
        band: Band-passed images, float32 ``(N, h, w)``.

    Returns:
        float32 ``(N,)``, gray levels.
    """
    return cast(Floats, np.sqrt((band * band).mean((1, 2))))


def unit(band: Floats) -> Floats:
    """Return images as rows of unit length, for cosine similarity.

    Args:
        band: Band-passed images ``(N, h, w)``.

    Returns:
        float32 ``(N, h * w)``. Rows of images with a contrast below :data:`CONTRAST_FLOOR` are
        shorter than 1. The dot product of two rows is their similarity, 1 for equal strokes.
    """
    rows = band.reshape(len(band), -1)
    floor = CONTRAST_FLOOR * np.sqrt(rows.shape[1])
    length = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), floor)
    return cast(Floats, (rows / length).astype(np.float32))


def moved(band: Floats, down: int, right: int) -> Floats:
    """Translate images by whole pixels, with zeros shifted in.

    Args:
        band: float32 ``(N, h, w)``.
        down: Vertical shift in pixels.
        right: Horizontal shift in pixels.

    Returns:
        float32 ``(N, h, w)``.
    """
    result = np.zeros_like(band)
    height, width = band.shape[1:]
    if abs(down) < height and abs(right) < width:
        result[
            :,
            max(down, 0) : height + min(down, 0),
            max(right, 0) : width + min(right, 0),
        ] = band[
            :,
            max(-down, 0) : height + min(-down, 0),
            max(-right, 0) : width + min(-right, 0),
        ]
    return result


def _reduced(images: npt.NDArray[np.uint8]) -> Floats:
    height, width = images.shape[1:]
    factor = EDGE / max(height, width)
    if factor >= 1:
        return images.astype(np.float32)
    reduced = [
        zoom(
            gaussian_filter(image.astype(np.float32), 0.4 / factor),
            factor,
            order=1,
            mode="nearest",
            grid_mode=True,
        )
        for image in images
    ]
    return np.stack(reduced)


def _box(images: Floats) -> npt.NDArray[np.bool_]:
    """Return the mask of the picture within its bars, bool ``(N, h, w)``.

    Resampling leaves bars with a low mean rather than 0.
    """
    rows = between(images.mean(2) >= _BAR)
    columns = between(images.mean(1) >= _BAR)
    return rows[:, :, None] & columns[:, None, :]


def _blurred(images: Floats, within: Floats, sigma: float) -> Floats:
    spread = gaussian_filter(within, (0, sigma, sigma), mode="constant")
    blurred = gaussian_filter(images * within, (0, sigma, sigma), mode="constant")
    return cast(Floats, blurred / np.maximum(spread, 1e-3))
