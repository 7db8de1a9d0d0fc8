"""Features for comparing images by their strokes, independent of brightness, bars and framing.

An image is scaled down to at most 28 pixels a side. Black bars and the pixel next to each are set
to 0. The rest is band-passed: a Gaussian blur of 0.7 pixels, which removes grain, minus one of 3
pixels, which removes stains and brightness. Both blur within the picture, so bars leave no edge.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, minimum_filter, zoom

from oraclezoo.data.corrupt.primitives import between

Floats = npt.NDArray[np.float32]

EDGE = 28
"""Images are scaled down to this longer edge, in pixels."""
CONTRAST_FLOOR = 3.0
"""Root mean square after the band-pass, in gray levels; below it, similarity fades to zero."""
_BAR = 6.0  # gray levels; an outer row or column with a lower mean is part of a black bar
_FINE, _COARSE = 0.7, 3.0  # pixels


def strokes(images: npt.NDArray[np.uint8]) -> Floats:
    """Return band-passed images, float32 ``(N, h, w)`` in gray levels, of uint8 ``(N, H, W)``."""
    small = _reduced(images)
    within = _box(small).astype(np.float32)
    within = minimum_filter(within, (1, 3, 3), mode="nearest")
    band = _blurred(small, within, _FINE) - _blurred(small, within, _COARSE)
    return cast(Floats, band * within)


def contrast(band: Floats) -> Floats:
    """Return the root mean square, gray levels ``(N,)``, of band-passed images ``(N, h, w)``."""
    return cast(Floats, np.sqrt((band * band).mean((1, 2))))


def unit(band: Floats) -> Floats:
    """Normalise ``(N, h, w)`` to rows ``(N, h * w)``.

    Rows have length 1, or less below :data:`CONTRAST_FLOOR`. The dot product of two rows is their
    similarity, 1 for equal strokes.
    """
    rows = band.reshape(len(band), -1)
    floor = CONTRAST_FLOOR * np.sqrt(rows.shape[1])
    length = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), floor)
    return cast(Floats, (rows / length).astype(np.float32))


def moved(band: Floats, down: int, right: int) -> Floats:
    """Return ``(N, h, w)`` shifted by whole pixels, padded with 0."""
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
    made = [
        zoom(
            gaussian_filter(image.astype(np.float32), 0.4 / factor),
            factor,
            order=1,
            mode="nearest",
            grid_mode=True,
        )
        for image in images
    ]
    return np.stack(made)


def _box(images: Floats) -> npt.NDArray[np.bool_]:
    """Return the picture within its bars. Resampling leaves the mean of a bar low but not 0."""
    rows = between(images.mean(2) >= _BAR)
    columns = between(images.mean(1) >= _BAR)
    return rows[:, :, None] & columns[:, None, :]


def _blurred(images: Floats, within: Floats, sigma: float) -> Floats:
    spread = gaussian_filter(within, (0, sigma, sigma), mode="constant")
    blurred = gaussian_filter(images * within, (0, sigma, sigma), mode="constant")
    return cast(Floats, blurred / np.maximum(spread, 1e-3))
