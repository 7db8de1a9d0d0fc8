"""Synthetic characters for tests: ten classes of a few strokes, each image drawn separately."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

EDGE = 28
STROKES = 5


def characters(
    class_counts: Sequence[int], seed: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Images uint8 (N, 28, 28) and labels int64 (N,), ``class_counts[label]`` of each, shuffled.

    Bright strokes on a dim, grainy ground between black bars, as in Oracle-MNIST; the strokes of a
    class differ from image to image.
    """
    shapes = np.random.default_rng(5).uniform(0.1, 0.9, (10, STROKES, 4))
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(10), class_counts)).astype(np.int64)
    images = np.zeros((len(labels), EDGE, EDGE), np.uint8)
    y, x = np.indices((EDGE, EDGE))
    for image, label in zip(images, labels, strict=True):
        bar = int(generator.integers(2, 7))
        ends = shapes[label] + generator.normal(0, 0.07, (STROKES, 4))
        left, right = bar + ends[:, 0::2].T * (EDGE - 2 * bar)
        top, bottom = ends[:, 1::2].T * EDGE
        ink = np.zeros((EDGE, EDGE))
        for x0, y0, x1, y1 in zip(left, top, right, bottom, strict=True):
            length = max(np.hypot(x1 - x0, y1 - y0) ** 2, 1e-3)
            along = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length, 0, 1)
            distance = np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0))
            ink = np.maximum(ink, np.clip(generator.uniform(1.0, 1.8) + 0.5 - distance, 0, 1))
        ground = generator.uniform(15, 60)
        gray = ground + (generator.uniform(150, 240) - ground) * ink
        gray = gaussian_filter(gray, 0.4) + generator.normal(0, 8, (EDGE, EDGE))
        image[:, bar:-bar] = np.clip(gray, 1, 255)[:, bar:-bar]
    return images, labels
