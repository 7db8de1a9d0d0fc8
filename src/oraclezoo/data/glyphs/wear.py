"""What time and rubbing did to a character: from the ink of clean strokes to a gray image.

All arrays are float32 over N images of SIZE x SIZE pixels; positions are in pixels, (x, y), with
pixel centres at whole numbers.

The strengths were searched for so that features of the images (of a net trained on the training
part of oracle-mnist-3k, and gray levels) have the means and covariances that they have on that part
(the Frechet distance of Heusel et al. 2017, arXiv 1706.08500), then widened a little by hand.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

SIZE = 28
"""Edge of an image, pixels."""


def uniform(rng: np.random.Generator, low: float, high: float, *shape: int) -> Floats:
    """Uniform on [low, high), float32."""
    return rng.random(shape, np.float32) * np.float32(high - low) + np.float32(low)


def normal(rng: np.random.Generator, *shape: int) -> Floats:
    """Standard normal, float32."""
    return rng.standard_normal(shape, np.float32)


def happens(rng: np.random.Generator, chance: float, *shape: int) -> Floats:
    """1.0 with probability ``chance``, else 0.0."""
    return cast(Floats, (rng.random(shape, np.float32) < chance).astype(np.float32))


def smooth(images: Floats, sigma: Floats) -> Floats:
    """Gaussian blur of (N, SIZE, SIZE), each image by its own ``sigma`` (N,) in pixels."""
    step = np.arange(SIZE, dtype=np.float32)
    apart = (step[:, None] - step) ** 2
    kernel = np.exp(-apart / (2 * np.maximum(sigma, 0.05)[:, None, None] ** 2))
    kernel /= kernel.sum(2, keepdims=True)
    return cast(Floats, kernel @ images @ kernel.transpose(0, 2, 1))


def texture(rng: np.random.Generator, sigma: Floats) -> Floats:
    """Noise (N, SIZE, SIZE) of about unit variance, correlated over ``sigma`` (N,) pixels."""
    noise = smooth(normal(rng, len(sigma), SIZE, SIZE), sigma)
    return cast(Floats, noise / (noise.std((1, 2), keepdims=True) + np.float32(1e-6)))


def cover(rng: np.random.Generator, count: int, chance: float, wide: bool) -> Floats:
    """White rubbing patches (count, SIZE, SIZE), 0 to 1: beyond a ragged edge, or a ragged band.

    ``wide`` patches take everything beyond an edge that cuts off part of the image; the others are
    bands, as cracks leave them. Each image has one with probability ``chance``.
    """
    patch = np.zeros((count, SIZE, SIZE), np.float32)
    here = np.flatnonzero(happens(rng, chance, count))
    n = len(here)
    step = np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2
    # edges mostly run along the image's own sides
    turn = rng.integers(0, 4, n) * (np.pi / 2) + normal(rng, n) * 0.35
    x, y = np.cos(turn).astype(np.float32), np.sin(turn).astype(np.float32)
    across = x[:, None, None] * step + y[:, None, None] * step[:, None]
    across += texture(rng, uniform(rng, 1.5, 4, n)) * uniform(rng, 0.1, 1, n, 1, 1)
    if wide:
        depth = across - uniform(rng, 1.5, 13, n, 1, 1)
    else:
        depth = uniform(rng, 0.7, 2.2, n, 1, 1) - np.abs(across - uniform(rng, -10, 10, n, 1, 1))
    patch[here] = np.clip(depth + 0.5, 0, 1)
    return patch


def blots(rng: np.random.Generator, count: int, chance: float) -> Floats:
    """Spots of ink (count, SIZE, SIZE), 0 to 1, in a share ``chance`` of the images."""
    blot = np.zeros((count, SIZE, SIZE), np.float32)
    here = np.flatnonzero(happens(rng, chance, count))
    n = len(here)
    hills = texture(rng, uniform(rng, 1.3, 3, n))
    blot[here] = np.clip(hills - uniform(rng, 1.6, 3.2, n, 1, 1), 0, 1)
    return blot


def weather(rng: np.random.Generator, strokes: Floats) -> Floats:
    """Worn gray images, 0 to 255, of ``strokes`` (N, SIZE, SIZE): 1 on a stroke's middle line.

    A stroke's edge lies where ``strokes`` is one half. Noise is added before that threshold, so
    that it eats strokes away and speckles the ground alike.
    """
    n = len(strokes)

    def each(values: Floats) -> Floats:
        return cast(Floats, values.reshape(n, 1, 1))

    spots = texture(rng, uniform(rng, 0.45, 0.75, n))
    drift = texture(rng, uniform(rng, 1.8, 5.8, n))
    clean = happens(rng, 0.07, n)
    worn = each(1 - 0.9 * clean)
    rough = np.exp(normal(rng, n) * 0.45 - 2.0) * (1 - clean)
    rough = each(np.minimum(rough, 0.9)) * np.clip(1 + 0.5 * drift, 0.15, 2)
    fade = each(happens(rng, 0.15, n)) * np.clip(0.5 * drift - 0.25, 0, 0.7)
    depth = strokes * (1 - fade) + rough * spots + 2 * blots(rng, n, 0.48)
    ink = np.clip((depth - 0.5) * each(uniform(rng, 0.95, 1.25, n)) + 0.5, 0, 1)

    ground = each(np.where(clean > 0, 0, uniform(rng, 11, 79, n) + happens(rng, 0.04, n) * 70))
    bright = each(np.minimum(uniform(rng, 150, 260, n), 255))
    bright = np.maximum(bright, ground + 158) * (1 + 0.13 * drift)
    ground = ground * (1 + 0.25 * drift)
    grain = normal(rng, n, SIZE, SIZE) * each(uniform(rng, 1.6, 9.6, n))
    mottle = texture(rng, uniform(rng, 0.5, 1.5, n)) * each(uniform(rng, 0, 4.3, n))
    image = ground + (bright - ground) * ink + worn * (grain + mottle * (1 - 0.42 * ink))
    patch = np.maximum(cover(rng, n, 0.12, wide=True), cover(rng, n, 0.02, wide=False))
    patch *= 1 - each(clean)
    image += (each(uniform(rng, 225, 300, n)) - image) * patch
    image = smooth(image, 0.49 + happens(rng, 0.23, n) * uniform(rng, 0, 0.4, n))
    # a scan scaled down by a bicubic filter has darker rims beside its bright strokes
    rims = image - smooth(image, np.full(n, 0.64, np.float32))
    image += each(uniform(rng, 0.05, 0.65, n)) * rims
    return cast(Floats, np.clip(image, 0, 255))
