"""Generate images of synthetic oracle bone characters: warped, framed and degraded strokes.

An image shows bright strokes on a dark, noisy background. Its longer side is scaled to 28 pixels,
and its shorter side is centered between black bars, as in Oracle-MNIST (arXiv 2205.09442).

The images of a seed are bit-identical on every machine: all arithmetic here and in
:mod:`~oraclezoo.data.glyphs.degrade` is elementwise or exact (:mod:`~oraclezoo.data.glyphs.exact`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import index

import numpy as np
import numpy.typing as npt

from oraclezoo.data.glyphs.degrade import SIZE, degrade
from oraclezoo.data.glyphs.exact import (
    EXP_PER_UNIT,
    EXP_STEP,
    Doubles,
    Draws,
    Floats,
    cos_sin,
    exp,
    exp_steps,
)
from oraclezoo.data.glyphs.forms import NEIGHBORS, SAMPLES, Forms, arranged, oracle
from oraclezoo.data.glyphs.strokes import Character
from oraclezoo.errors import UsageError

VERSION = "3"
"""Version of the generated images, part of cache keys and results. Increase it with every
change that alters a pixel: in a module of this package, ``oracle.toml`` or ``traced.toml``.
"""

CHUNK = 256
"""Number of images generated at a time, which bounds memory. It affects the images of a seed."""

_THREADS = 4
_STRAYS = 2  # maximum stray strokes (neighbors and cracks) per image
_STRAY_SAMPLES = 20
_INK_STEP = 2.0**-12  # rounding step of a sample point's ink
_INK_LIMIT = 16.0  # maximum ink of a sample point; typical values are below 1
_BATCH = 8  # number of images whose samples fit into a CPU cache
_SQRT_PI = 1.7724538509055159
_FWHM = 2.355  # full width at half maximum of a Gaussian, in standard deviations


def generate(
    class_counts: Sequence[int],
    seed: int,
    characters: tuple[Character, ...] | None = None,
    on_images: Callable[[int], None] = lambda images: None,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Generate images of characters in random order.

    Args:
        class_counts: Number of images of each class, in label order.
        seed: Random seed, at least 0.
        characters: The classes, in label order; Oracle-MNIST's ten by default.
        on_images: Called with the number of images that are finished.

    Returns:
        Images uint8 ``(N, 28, 28)`` and labels int64 ``(N,)``. The same arguments and
        :data:`VERSION` give the same bytes on every CPU, operating system and version of NumPy.

    Raises:
        UsageError: If the number of counts differs from the number of classes, or a count or the
            seed is negative.
    """
    known = arranged(oracle() if characters is None else characters)
    counts = _validated(class_counts, seed, known.classes)
    labels = np.repeat(np.arange(known.classes, dtype=np.int64), counts)
    labels = labels[_draws(seed, "order").permutation(len(labels))]
    images = np.empty((len(labels), SIZE, SIZE), np.uint8)

    def fill(chunk: int) -> None:
        part = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
        images[part] = _draw(_draws(seed, f"chunk {chunk}"), known, labels[part])

    # NumPy releases the GIL; each chunk has a separate random stream
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        for done, _ in enumerate(pool.map(fill, range(-(-len(labels) // CHUNK))), 1):
            on_images(min(done * CHUNK, len(labels)))
    return images, labels


def _validated(class_counts: Sequence[int], seed: int, classes: int) -> list[int]:
    try:
        counts = [index(count) for count in class_counts]
        good = len(counts) == classes and min(counts) >= 0 and index(seed) >= 0
    except TypeError:
        good = False
    if not good:
        raise UsageError(
            f"glyphs: pass {classes} class counts and a seed, all non-negative integers"
        )
    return counts


def _draws(seed: int, purpose: str) -> Draws:
    return Draws(index(seed), f"oraclezoo glyphs {VERSION} {purpose}")


def _draw(draws: Draws, known: Forms, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return images uint8 (N, SIZE, SIZE) for ``labels`` (N,)."""
    form = _choose(draws, known, labels)
    points, size = _warp(draws, known, form)
    places, box, scale = _frame(draws, points, size, known.margin[form])
    n = len(labels)
    width = known.thickness[form] * exp(draws.normal(n) * 0.32 - 0.05) * np.sqrt(scale / 24)
    sigma = np.maximum(width, 1.2)[:, None] / _FWHM
    force = _pressure(draws, known.stroke[form])
    ink = _centre_lines(places, sigma, force) + _strays(draws, sigma)
    gray = degrade(draws, ink.astype(np.float32))
    step = np.arange(SIZE)
    inside = np.abs(step - (SIZE - 1) / 2) < box[:, :, None] / 2  # (N, 2, SIZE), x then y
    gray *= inside[:, 0, None, :] & inside[:, 1, :, None]
    return np.rint(gray).astype(np.uint8)


def _choose(draws: Draws, known: Forms, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Draw a variant for each label by the variants' probabilities; return indices (N,), sorted."""
    cumulative = np.cumsum(known.share)
    first = np.searchsorted(known.label, labels)
    last = np.searchsorted(known.label, labels, side="right") - 1
    picked = labels + draws.uniform(0, 1, len(labels)).astype(np.float64)
    form = np.searchsorted(cumulative, picked, side="right")
    return np.clip(form, first, last)


def _warp(draws: Draws, known: Forms, form: npt.NDArray[np.int64]) -> tuple[Doubles, Doubles]:
    """Return sample points (N, S, 2) in the unit box, and box sizes (N, 2) with longer side 1."""
    n = len(form)
    jitter = draws.normal(n, known.control.shape[1], 2) * draws.uniform(0.01, 0.03, n, 1, 1)
    control = known.control[form] + jitter
    row = np.arange(n)[:, None]
    points = np.zeros((n, SAMPLES, 2))
    for k in range(NEIGHBORS):  # fixed order, so that sums round the same way everywhere
        near = control[row, known.neighbor[form, :, k]]
        points += near * known.weight[form, :, k, None]
    points -= 0.5
    points[:, :, 0] *= np.where(draws.uniform(0, 1, n) < known.mirrored[form], -1, 1)[:, None]
    points[:, :, 0] *= (known.aspect[form] * exp(draws.normal(n) * 0.1))[:, None]
    x, y = points[:, :, 0].copy(), points[:, :, 1].copy()
    x += draws.normal(n, 1) * 0.06 * (4 * y * y - 0.5)  # bend
    x *= 1 + draws.normal(n, 1) * 0.2 * y  # taper
    x += draws.normal(n, 1) * 0.05 * y  # slant
    cosine, sine = cos_sin(draws.normal(n, 1) * 0.11)
    points = np.stack([x * cosine - y * sine, x * sine + y * cosine], axis=2)
    low, high = points.min(1), points.max(1)
    size = np.maximum(high - low, 0.05)
    points = (points - low[:, None]) / size[:, None]
    return points, size / size.max(1, keepdims=True)


def _frame(
    draws: Draws, points: Doubles, size: Doubles, margin: Floats
) -> tuple[Doubles, Doubles, Doubles]:
    """Return positions (N, S, 2), box (N, 2) and longer side of the ink (N,), all in pixels.

    The box contains the ink with a margin on each side, like a hand-cropped character of a rubbing.
    Its longer side is SIZE pixels, and its shorter side is an even number of pixels.
    """
    n = len(points)
    share = exp(0.4 + draws.normal(n, 1, 1) * 0.5 + draws.normal(n, 2, 2) * 0.5)
    margins = draws.happens(0.2, n, 2, 2) * draws.uniform(0, 0.05, n, 2, 2)
    sides = margin[:, None, None] * share - margins
    extent = size + (sides[:, 0] + sides[:, 1])
    scale = SIZE / extent.max(1)
    box = np.clip(2 * np.rint(extent * scale[:, None] / 2), 8, SIZE)
    places = (sides[:, :1] + points * size[:, None]) * scale[:, None, None]
    places += (SIZE - extent * scale[:, None])[:, None] / 2 - 0.5
    return places, box, scale


def _pressure(draws: Draws, stroke: npt.NDArray[np.int64]) -> Doubles:
    """Return the pressure at each sample point (N, S): uneven, and 0 where a stroke is broken."""
    n = len(stroke)
    along = np.arange(SAMPLES)
    _, wave = cos_sin(along * draws.uniform(0.03, 0.15, n, 1) + draws.uniform(0, 6.28, n, 1))
    force = 1 + draws.uniform(0, 0.13, n, 1) * wave
    count = int(stroke.max()) + 1
    missing = draws.happens(0.015, n, count)
    weak = draws.uniform(0.9, 1.15, n, count)
    force *= np.take_along_axis(weak * (1 - missing), stroke, 1)
    for _ in range(2):
        half = draws.happens(0.15, n, 1) * draws.uniform(1, 9, n, 1)
        force *= np.abs(along - draws.uniform(0, SAMPLES, n, 1)) >= half
    return force


def _strays(draws: Draws, sigma: Doubles) -> Doubles:
    """Return intensities (N, SIZE, SIZE) of a few short strokes not part of the character."""
    n = len(sigma)
    start = draws.uniform(-2, SIZE + 2, n, _STRAYS, 1, 2)
    cosine, sine = cos_sin(draws.uniform(0, 6.28, n, _STRAYS, 1))
    reach = draws.uniform(2, 12, n, _STRAYS, 1)
    direction = np.stack([cosine * reach, sine * reach], axis=3)
    t = (np.arange(_STRAY_SAMPLES) / (_STRAY_SAMPLES - 1))[:, None]
    force = np.repeat(draws.happens(0.13, n, _STRAYS), _STRAY_SAMPLES, axis=1)
    places = (start + direction * t).reshape(n, -1, 2)
    depth = np.zeros((n, SIZE, SIZE))
    chosen = np.flatnonzero(force.any(1))  # about a quarter of the images
    depth[chosen] = _centre_lines(places[chosen], sigma[chosen], force[chosen])
    return depth


def _centre_lines(places: Doubles, sigma: Doubles, force: npt.NDArray[np.floating]) -> Doubles:
    """Return intensities (N, SIZE, SIZE), exp(-d^2 / 2 sigma^2) at distance d from a center line.

    This approximates the square root of the line integral of the squared Gaussian by a sum over
    sample points. A 2-D Gaussian is a product of x and y factors, so the sum is one matrix product
    per image. Squares add up where strokes meet, which rounds the corner between them, but nearby
    strokes remain separate.
    """
    leap = np.diff(places, axis=1)
    step = np.sqrt(leap[:, :, 0] * leap[:, :, 0] + leap[:, :, 1] * leap[:, :, 1])
    step = np.concatenate([step, step[:, -1:]], axis=1)
    # jumps between strokes are outliers among the steps and belong to no stroke
    step = np.minimum(step, 1.6 * np.median(step, axis=1, keepdims=True))
    amount = force * force * step / (sigma * _SQRT_PI)
    squares = np.empty((len(places), SIZE, SIZE))
    for at in range(0, len(places), _BATCH):
        part = slice(at, at + _BATCH)
        squares[part] = _sum_of_squares(places[part], sigma[part], amount[part])
    return np.sqrt(squares)


def _sum_of_squares(places: Doubles, sigma: Doubles, amount: Doubles) -> Doubles:
    """Return the sum (N, SIZE, SIZE) of squared Gaussians around ``places``, times ``amount``."""
    narrow = (np.sqrt(float(EXP_PER_UNIT)) / sigma).astype(np.float32)[:, :, None, None]
    offsets = (
        places.astype(np.float32)[:, :, :, None] - np.arange(SIZE, dtype=np.float32)
    ) * narrow
    near = exp_steps(offsets * offsets)  # (N, S, 2, SIZE), x then y
    ink = np.rint(np.minimum(amount, _INK_LIMIT) * (1 / _INK_STEP))
    down = near[:, :, 1] * ink[:, :, None]
    # integers below 2^14 * 2^14 * 2^16 times a few hundred points: exact in any order
    squares = down.transpose(0, 2, 1) @ near[:, :, 0]
    return squares * (_INK_STEP * EXP_STEP * EXP_STEP)
