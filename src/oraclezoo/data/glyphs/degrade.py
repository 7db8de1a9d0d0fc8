"""Simulated degradation of rubbings: from clean strokes to a gray image.

All arrays are float32 with N images of SIZE x SIZE pixels. Positions are (x, y) in pixels, with
pixel centers at integers.

The parameters were fitted to the training split of oracle-mnist-3k: they minimize the Frechet
distance (Heusel et al. 2017, arXiv 1706.08500) between generated and real images, measured on the
features of a network trained on that split and on gray levels. They were then widened slightly by
hand.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

from oraclezoo.data.glyphs.exact import (
    EXP_PER_UNIT,
    NORMAL_STEP,
    Draws,
    Floats,
    cos_sin,
    exp,
    exp_steps,
)

SIZE = 28
"""Height and width of an image in pixels."""

_GRAY_STEP = 2.0**-3  # resolution of a blur in gray levels, which are at most 512
_LEVELS = 2.0**12  # maximum magnitude of a pixel during a blur, in steps
_WEIGHTS = 2.0**11  # sum of a blur's weights, in steps (rounding adds 14 at most per row)
# hence no partial sum of a blur reaches 2^24, the limit of exact integers in float32


def smooth(images: Floats, sigma: Floats, step: float) -> Floats:
    """Apply a separable Gaussian blur with a separate sigma for each image.

    Before each of the two passes, along columns and along rows, pixels are rounded to multiples of
    ``step`` and clipped to 2^12 steps. All other arithmetic is exact.

    Args:
        images: ``(N, SIZE, SIZE)``.
        sigma: Standard deviation in pixels, ``(N,)``.
        step: Rounding step of the pixels.

    Returns:
        float32 ``(N, SIZE, SIZE)``.
    """
    kernel = _kernels(sigma)
    pixels = np.clip(np.rint(images * (1 / np.float32(step))), -_LEVELS, _LEVELS)
    down = np.rint((kernel @ pixels) * np.float32(1 / _WEIGHTS))
    blurred: Floats = (down @ kernel.transpose(0, 2, 1)) * np.float32(step / _WEIGHTS)
    return blurred


def _kernels(sigma: Floats) -> Floats:
    """Return the matrices (N, SIZE, SIZE) of a blur, rounded to integer steps."""
    offset = np.arange(SIZE)
    wide = np.maximum(sigma, np.float32(0.05))[:, None]
    ray = exp_steps(offset * offset * (EXP_PER_UNIT / 2) / (wide * wide))
    # sums of integers: exact in any order
    total = np.cumsum(ray, axis=1) + np.cumsum(ray, axis=1)[:, ::-1] - ray[:, :1]
    rows = ray.astype(np.float32)[:, np.abs(offset[:, None] - offset)]
    kernels: Floats = np.rint(rows * (_WEIGHTS / total).astype(np.float32)[:, :, None])
    return kernels


def texture(draws: Draws, sigma: Floats) -> Floats:
    """Draw noise of unit variance.

    Args:
        draws: Random stream.
        sigma: Correlation length in pixels, ``(N,)``.

    Returns:
        float32 ``(N, SIZE, SIZE)``.
    """
    kernel = _kernels(sigma)
    noise = kernel @ (draws.normal(len(sigma), SIZE, SIZE) * (1 / NORMAL_STEP))
    # scale the noise up to the full range of levels between the passes
    peak = np.maximum(np.abs(noise).max((1, 2), keepdims=True), 1)
    noise = np.rint(noise * (_LEVELS / peak)) @ kernel.transpose(0, 2, 1)
    levels = np.rint(noise * np.float32(1 / _WEIGHTS)).astype(np.float64)
    pixels = SIZE * SIZE
    mean = levels.sum((1, 2)) / pixels  # sums of integers: exact in any order
    variance = (levels * levels).sum((1, 2)) / pixels - mean * mean
    gain = 1 / (_WEIGHTS * np.sqrt(np.maximum(variance, 1)))
    scaled: Floats = noise * gain.astype(np.float32)[:, None, None]
    return scaled


def cover(draws: Draws, count: int, chance: float, wide: bool) -> Floats:
    """Draw white rubbing patches in some of the images.

    Args:
        draws: Random stream.
        count: Number of images N.
        chance: Probability that an image has a patch.
        wide: Whether a patch covers everything beyond a ragged edge; otherwise it is a ragged band
            that resembles a crack.

    Returns:
        Opacity 0 to 1, float32 ``(N, SIZE, SIZE)``.
    """
    patch = np.zeros((count, SIZE, SIZE), np.float32)
    chosen = np.flatnonzero(draws.happens(chance, count))
    n = len(chosen)
    step = np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2
    # edges are mostly parallel to the sides of the image
    side = np.floor(draws.uniform(0, 4, n))
    x, y = cos_sin(side * (np.pi / 2) + draws.normal(n) * 0.35)
    across = (x[:, None, None] * step + y[:, None, None] * step[:, None]).astype(np.float32)
    across += texture(draws, draws.uniform(1.5, 4, n)) * draws.uniform(0.1, 1, n, 1, 1)
    if wide:
        depth = across - draws.uniform(1.5, 13, n, 1, 1)
    else:
        center = draws.uniform(-10, 10, n, 1, 1)
        depth = draws.uniform(0.7, 2.2, n, 1, 1) - np.abs(across - center)
    patch[chosen] = np.clip(depth + 0.5, 0, 1)
    return patch


def blots(draws: Draws, count: int, chance: float) -> Floats:
    """Draw ink spots in some of the images.

    Args:
        draws: Random stream.
        count: Number of images N.
        chance: Probability that an image has spots.

    Returns:
        Opacity 0 to 1, float32 ``(N, SIZE, SIZE)``.
    """
    blot = np.zeros((count, SIZE, SIZE), np.float32)
    chosen = np.flatnonzero(draws.happens(chance, count))
    n = len(chosen)
    hills = texture(draws, draws.uniform(1.3, 3, n))
    blot[chosen] = np.clip(hills - draws.uniform(1.6, 3.2, n, 1, 1), 0, 1)
    return blot


def degrade(draws: Draws, strokes: Floats) -> Floats:
    """Return degraded gray images of strokes.

    The edge of a stroke is where ``strokes`` is one half. Noise is added before this threshold is
    applied, so that it both erodes strokes and adds speckles to the background.

    Args:
        draws: Random stream.
        strokes: Intensities ``(N, SIZE, SIZE)``, 1 on the center line of a stroke.

    Returns:
        Gray levels 0 to 255, float32 ``(N, SIZE, SIZE)``.
    """
    n = len(strokes)

    def each(values: npt.NDArray[np.floating]) -> Floats:
        return cast(Floats, values.astype(np.float32).reshape(n, 1, 1))

    spots = texture(draws, draws.uniform(0.45, 0.75, n))
    drift = texture(draws, draws.uniform(1.8, 5.8, n))
    clean = draws.happens(0.07, n)
    noise_gain = each(1 - 0.9 * clean)
    rough = exp(draws.normal(n) * 0.45 - 2.0) * (1 - clean)
    rough = each(np.minimum(rough, 0.9)) * np.clip(1 + 0.5 * drift, 0.15, 2)
    fade = each(draws.happens(0.15, n)) * np.clip(0.5 * drift - 0.25, 0, 0.7)
    depth = strokes * (1 - fade) + rough * spots + 2 * blots(draws, n, 0.48)
    ink = np.clip((depth - 0.5) * each(draws.uniform(0.95, 1.25, n)) + 0.5, 0, 1)

    dark = draws.uniform(11, 79, n) + draws.happens(0.04, n) * 70
    ground = each(np.where(clean > 0, 0, dark))
    bright = each(np.minimum(draws.uniform(150, 260, n), 255))
    bright = np.maximum(bright, ground + 158) * (1 + 0.13 * drift)
    ground = ground * (1 + 0.25 * drift)
    grain = draws.normal(n, SIZE, SIZE) * each(draws.uniform(1.6, 9.6, n))
    mottle = texture(draws, draws.uniform(0.5, 1.5, n)) * each(draws.uniform(0, 4.3, n))
    image = ground + (bright - ground) * ink + noise_gain * (grain + mottle * (1 - 0.42 * ink))
    patch = np.maximum(cover(draws, n, 0.12, wide=True), cover(draws, n, 0.02, wide=False))
    patch *= 1 - each(clean)
    image += (each(draws.uniform(225, 300, n)) - image) * patch
    image = smooth(image, 0.49 + draws.happens(0.23, n) * draws.uniform(0, 0.4, n), _GRAY_STEP)
    # bicubic downscaling of scans creates darker rims next to bright strokes
    rims = image - smooth(image, np.full(n, 0.64, np.float32), _GRAY_STEP)
    image += each(draws.uniform(0.05, 0.65, n)) * rims
    return np.clip(image, 0, 255)
