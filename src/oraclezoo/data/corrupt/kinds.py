"""Corruption functions that simulate the effects of aging, scanning and cropping.

Each function takes ``images``, float32 ``(N, H, W)`` with gray levels from 0 to 255, a ``strength``
and the images' random numbers ``draws``, and returns float32 images of the same shape, not clipped.
Random numbers do not depend on the strength, so a higher severity is a stronger version of the same
corruption. A reference pixel is one pixel of an image with a longer side of
:data:`~oraclezoo.data.corrupt.primitives.REFERENCE_EDGE`. ``CORRUPTIONS`` in ``__init__.py`` lists
the functions and their strengths.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from scipy.ndimage import grey_erosion
from scipy.special import ndtri

from oraclezoo.data.corrupt.draws import Draws, Floats
from oraclezoo.data.corrupt.primitives import (
    blur_within,
    box,
    box_coordinates,
    each,
    grain_width,
    resample,
    scale_of,
    size_of,
    texture,
)


def grain(images: Floats, strength: float, draws: Draws) -> Floats:
    """Add Gaussian noise of ``strength`` gray levels, correlated over a reference pixel.

    Args:
        images: float32 ``(N, H, W)``, gray levels from 0 to 255.
        strength: Standard deviation, gray levels.
        draws: Random numbers of the images.

    Returns:
        float32 ``(N, H, W)``, not clipped.
    """
    noise = texture(draws, size_of(images), grain_width(images))
    return cast(Floats, images + np.float32(strength) * noise * box(images))


def speckle(images: Floats, strength: float, draws: Draws) -> Floats:
    """Cover a fraction ``strength`` of the picture with specks, three bright ones per dark one.

    Args:
        images: float32 ``(N, H, W)``, gray levels from 0 to 255.
        strength: Fraction of the picture to cover.
        draws: Random numbers of the images.

    Returns:
        float32 ``(N, H, W)``, not clipped.
    """
    field = texture(draws, size_of(images), max(0.45 * scale_of(images), grain_width(images)))
    in_box = box(images)
    bright = in_box & (field > ndtri(1 - 0.75 * strength))
    dark = in_box & (field < ndtri(0.25 * strength))
    brightest = images.max((1, 2), keepdims=True)
    darkest = np.where(in_box, images, 255).min((1, 2), keepdims=True)
    return cast(Floats, np.where(bright, brightest, np.where(dark, darkest, images)))


def blots(images: Floats, strength: float, draws: Draws) -> Floats:
    """Cover approximately a fraction ``strength`` of the picture with soft bright stains.

    Args:
        images: float32 ``(N, H, W)``, gray levels from 0 to 255.
        strength: Fraction of the picture to cover.
        draws: Random numbers of the images.

    Returns:
        float32 ``(N, H, W)``, not clipped.
    """
    field = texture(draws, size_of(images), 1.6 * scale_of(images))
    edge = np.float32(ndtri(1 - strength))
    stain = np.clip((field - edge) * 2 + np.float32(0.5), 0, 1) * box(images)
    return _covered(images, images.max((1, 2)), stain)


def rubbing_edge(images: Floats, strength: float, draws: Draws) -> Floats:
    """Cover approximately a fraction ``strength`` of the picture with white and a ragged edge.

    Args:
        images: float32 ``(N, H, W)``, gray levels from 0 to 255.
        strength: Fraction of the picture to cover.
        draws: Random numbers of the images.

    Returns:
        float32 ``(N, H, W)``, not clipped.
    """
    in_box = box(images)
    across, along = box_coordinates(in_box)
    side, tilt, level = draws.uniform(0, 4), draws.uniform(-0.5, 0.5), draws.uniform(225, 255)
    upright = each(side % 2 < 1)
    inward = np.where(upright, across, along)
    inward = np.where(each(side < 2), inward, 1 - inward)  # 0 at its side, 1 at the opposite one
    rag = texture(draws, size_of(images), 1.2 * scale_of(images)) * np.float32(0.035)
    slope = each(tilt) * (np.where(upright, along, across) - 0.5) * min(1.0, 3 * strength)
    pixels = 20 * scale_of(images)  # about the extent of a picture: the transition is a pixel wide
    white = np.clip((strength + slope + rag - inward) * pixels + 0.5, 0, 1) * in_box
    return _covered(images, level, white.astype(np.float32))


def blur(images: Floats, strength: float, draws: Draws) -> Floats:
    """Apply a Gaussian blur with a sigma of ``strength`` reference pixels; deterministic.

    Args:
        images: float32 ``(N, H, W)``, gray levels from 0 to 255.
        strength: Sigma in reference pixels.
        draws: Unused.

    Returns:
        float32 ``(N, H, W)``, not clipped.
    """
    return blur_within(images, box(images), strength * scale_of(images))


def contrast(images: Floats, strength: float, draws: Draws) -> Floats:
    """Reduce contrast by moving gray levels toward their mean by a fraction ``strength``.

    Args:
        images: float32 ``(N, H, W)``, gray levels from 0 to 255.
        strength: Fraction of the contrast to remove.
        draws: Unused.

    Returns:
        float32 ``(N, H, W)``, not clipped.
    """
    in_box = box(images)
    mean = images.sum((1, 2)) / in_box.sum((1, 2), dtype=np.float32)
    return cast(Floats, images + np.float32(strength) * (each(mean) - images) * in_box)


def erosion(images: Floats, strength: float, draws: Draws) -> Floats:
    """Thin and break strokes by gray-level erosion over the neighbors of a reference pixel.

    The eroded image is blended in with a spatially varying weight, whose mean is ``strength``.

    Args:
        images: float32 ``(N, H, W)``, gray levels from 0 to 255.
        strength: Mean weight of the eroded image, 0 to 1.
        draws: Random numbers of the images.

    Returns:
        float32 ``(N, H, W)``, not clipped.
    """
    scale = scale_of(images)
    reach = max(1, round(scale))
    step = np.arange(-reach, reach + 1)
    disk = step[:, None] ** 2 + step**2 <= reach**2
    in_box = box(images)
    eroded = grey_erosion(np.where(in_box, images, 255), footprint=disk[None], mode="nearest")
    patchy = 1 + 0.5 * texture(draws, size_of(images), 2.0 * scale)
    share = np.clip(strength * min(1.0, scale) * patchy, 0, 1) * in_box
    return cast(Floats, images + share * (eroded - images))


def shift(images: Floats, strength: float, draws: Draws) -> Floats:
    """Translate the whole image by ``strength`` reference pixels in a random direction.

    Args:
        images: float32 ``(N, H, W)``, gray levels from 0 to 255.
        strength: Distance in reference pixels.
        draws: Random numbers of the images.

    Returns:
        float32 ``(N, H, W)``, not clipped.
    """
    angle = draws.uniform(0, 2 * np.pi)
    far = np.float32(strength * scale_of(images))
    return resample(images, np.zeros_like(angle), far * np.cos(angle), far * np.sin(angle))


def rotate(images: Floats, strength: float, draws: Draws) -> Floats:
    """Rotate the whole image about its center in a random direction.

    The angle is ``strength`` degrees, varied randomly by up to 20%.

    Args:
        images: float32 ``(N, H, W)``, gray levels from 0 to 255.
        strength: Angle in degrees.
        draws: Random numbers of the images.

    Returns:
        float32 ``(N, H, W)``, not clipped.
    """
    sign = np.where(draws.uniform(-1, 1) < 0, -1, 1).astype(np.float32)
    angle = draws.uniform(0.8, 1.2) * np.float32(np.radians(strength))
    return resample(images, sign * angle, np.zeros_like(sign), np.zeros_like(sign))


def occlusion(images: Floats, strength: float, draws: Draws) -> Floats:
    """Cover the picture near its center with a square of ``strength`` reference pixels per side.

    Args:
        images: float32 ``(N, H, W)``, gray levels from 0 to 255.
        strength: Edge of the square in reference pixels.
        draws: Random numbers of the images.

    Returns:
        float32 ``(N, H, W)``, not clipped.
    """
    in_box = box(images)
    across, along = box_coordinates(in_box)
    level = draws.uniform(0, 255)
    half = strength * scale_of(images) / 2
    covered = in_box.astype(np.float32)
    for coordinate, axis in ((across, 2), (along, 1)):
        extent = in_box.any(3 - axis).sum(1).astype(np.float32)
        distance = np.abs(coordinate - each(draws.uniform(0.25, 0.75))) * each(extent)
        covered = covered * np.clip(half - distance + 0.5, 0, 1)
    return _covered(images, level, covered)


def _covered(images: Floats, level: Floats, share: Floats) -> Floats:
    """Blend ``images`` with gray ``level`` (N,); the opacity is ``share``."""
    return cast(Floats, images + (each(level) - images) * share)
