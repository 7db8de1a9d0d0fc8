"""Nearest-neighbor search by strokes, invariant to small shifts and optionally to mirroring.

Images are band-pass filtered first, so that brightness and black bars do not affect the distance.
An image is downscaled to at most 28 pixels per side. Its black bars, and one pixel next to them,
are set to 0. The rest is filtered with a difference of Gaussians: a blur of 0.7 pixels, which
removes grain, minus a blur of 3 pixels, which captures stains and brightness. Both blurs are
normalized within the picture, so that the bars cause no artifacts.

The search has two stages in bounded memory. First, all pairs are compared in a projection on
principal components, with matrix products over blocks of images. Then the best candidates are
re-ranked by the full similarity, with half-pixel shifts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, minimum_filter, zoom

from oraclezoo.data.corrupt.primitives import between

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

EDGE = 28
"""Maximum length, in pixels, of the longer side; larger images are downscaled."""
CONTRAST_FLOOR = 3.0
"""RMS contrast, in gray levels after the filter, below which similarities decay to 0."""
REACH = 2
"""Maximum shift to try, in pixels per direction."""
COUNT = 12
"""Number of neighbors kept for each image."""

_BLOCK = 1024  # edge of a block, in images
_AXES = 64  # principal components
_SAMPLE = 2000  # images for estimating the components
_REFINED = 128  # images re-ranked at a time
_BAR = 6.0  # gray levels: minimum mean of an outer row or column that is not a bar
_FINE, _COARSE = 0.7, 3.0  # standard deviations of the two blurs, pixels


def band_passed(images: npt.NDArray[np.uint8]) -> Floats:
    """Apply a band-pass filter to images.

    Args:
        images: uint8 ``(N, H, W)``.

    Returns:
        float32 ``(N, h, w)`` in gray levels; the longer side is at most :data:`EDGE`.
    """
    small = _reduced(images)
    weight = _box(small).astype(np.float32)
    weight = minimum_filter(weight, (1, 3, 3), mode="nearest")
    band = _blurred(small, weight, _FINE) - _blurred(small, weight, _COARSE)
    return cast(Floats, band * weight)


def contrast(band: Floats) -> Floats:
    """Return the root mean square (RMS) of each band-passed image.

    Args:
        band: Band-passed images, float32 ``(N, h, w)``.

    Returns:
        float32 ``(N,)`` in gray levels.
    """
    return cast(Floats, np.sqrt((band * band).mean((1, 2))))


def unit(band: Floats) -> Floats:
    """Normalize images to rows of unit length, for cosine similarity.

    Args:
        band: Band-passed images ``(N, h, w)``.

    Returns:
        float32 ``(N, h * w)``. Rows are shorter than 1 for images with a contrast below
        :data:`CONTRAST_FLOOR`. The dot product of two rows is the similarity of the images, 1 for
        equal strokes.
    """
    rows = band.reshape(len(band), -1)
    floor = CONTRAST_FLOOR * np.sqrt(rows.shape[1])
    length = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), floor)
    return cast(Floats, (rows / length).astype(np.float32))


def translate(band: Floats, down: int, right: int) -> Floats:
    """Translate images by whole pixels, with zero padding.

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


@dataclass(frozen=True, slots=True)
class Neighbors:
    """The nearest neighbors of N images, by increasing distance; K is ``min(COUNT, N - 1)``.

    Attributes:
        index: Neighbor indices, int64 ``(N, K)``.
        distance: 1 minus the correlation of the strokes at the best shift, float32 ``(N, K)``; 0
            for equal images, about 1 for unrelated images.
        mirrored: Whether the mirrored neighbor is closer, bool ``(N, K)``.
    """

    index: Indices
    distance: Floats
    mirrored: npt.NDArray[np.bool_]


def nearest(
    band: Floats, *, mirrored: bool, progress: Callable[[str], None] | None = None
) -> Neighbors:
    """Find the nearest neighbors of each image.

    Args:
        band: Band-passed images, float32 ``(N, h, w)``, N at least 2.
        mirrored: Whether mirror images are compared as well.
        progress: Called with progress messages.

    Returns:
        The neighbors.
    """
    count = len(band)
    keep = min(COUNT, count - 1)
    axes = _axes(band)
    projected = unit(band) @ axes
    index = np.zeros((count, keep), np.int64)
    likeness = np.full((count, keep), -np.inf, np.float32)
    for first in range(0, count, _BLOCK):
        if progress is not None and count > 4 * _BLOCK:
            progress(f"comparing images: {first:,} of {count:,}")
        columns = slice(first, min(first + _BLOCK, count))
        variants = [unit(each) @ axes for each, _ in _translations(band[columns], mirrored)]
        for start in range(0, first + 1, _BLOCK):
            rows = slice(start, min(start + _BLOCK, count))
            best = np.full((rows.stop - start, columns.stop - first), -np.inf, np.float32)
            for variant in variants:
                np.maximum(best, projected[rows] @ variant.T, out=best)
            if start == first:
                best = np.maximum(best, best.T)
                np.fill_diagonal(best, -np.inf)
            else:
                _merge(index[columns], likeness[columns], best.T, start)
            _merge(index[rows], likeness[rows], best, first)
    return _refined(band, index, mirrored)


def _translations(band: Floats, mirrored: bool) -> Iterator[tuple[Floats, bool]]:
    """Yield ``band`` at every shift, plain and optionally mirrored, with a flag for mirroring."""
    for flip in (False, True) if mirrored else (False,):
        oriented = band[:, :, ::-1] if flip else band
        for down in range(-REACH, REACH + 1):
            for right in range(-REACH, REACH + 1):
                yield translate(oriented, down, right), flip


def _axes(band: Floats) -> Floats:
    """Return principal axes ``(h * w, A)`` of a sample of the images and their shifts."""
    sample = band[:: -(-len(band) // _SAMPLE)]
    shifts = ((0, 0), (REACH, 0), (-REACH, 0), (0, REACH), (0, -REACH))
    rows = np.concatenate([unit(translate(sample, down, right)) for down, right in shifts])
    _, vectors = np.linalg.eigh(rows.T @ rows)
    return np.ascontiguousarray(vectors[:, -_AXES:], dtype=np.float32)


def _merge(index: Indices, likeness: Floats, block: Floats, first: int) -> None:
    """Merge ``block`` (n, m), similarities to images from ``first`` on, into the best so far."""
    keep = index.shape[1]
    if block.shape[1] > keep:
        columns = np.argpartition(block, block.shape[1] - keep, axis=1)[:, -keep:]
    else:
        columns = np.broadcast_to(np.arange(block.shape[1]), block.shape)
    all_likeness = np.concatenate([likeness, np.take_along_axis(block, columns, 1)], 1)
    all_index = np.concatenate([index, columns + first], 1)
    best = np.argpartition(all_likeness, all_likeness.shape[1] - keep, axis=1)[:, -keep:]
    likeness[:] = np.take_along_axis(all_likeness, best, 1)
    index[:] = np.take_along_axis(all_index, best, 1)


def _refined(band: Floats, index: Indices, mirrored: bool) -> Neighbors:
    """Return the candidates ``index`` (N, K), sorted by full distance."""
    rows = unit(band)
    distance = np.empty(index.shape, np.float32)
    flips = np.empty(index.shape, bool)
    for first in range(0, len(band), _REFINED):
        part = slice(first, first + _REFINED)
        candidates = rows[index[part]]
        best = np.full((2, *candidates.shape[:2]), -np.inf, np.float32)
        for half in _half_shifts(band[part]):
            for flip in (False, True) if mirrored else (False,):
                shifted = [
                    unit(each)
                    for each, is_flipped in _translations(half, mirrored)
                    if is_flipped == flip
                ]
                products = candidates @ np.stack(shifted, axis=2)  # (n, K, shifts)
                np.maximum(best[int(flip)], products.max(2), out=best[int(flip)])
        distance[part], flips[part] = 1 - best.max(0), best[1] > best[0]
    order = np.argsort(distance, axis=1, kind="stable")
    return Neighbors(
        np.take_along_axis(index, order, 1),
        np.maximum(np.take_along_axis(distance, order, 1), 0),
        np.take_along_axis(flips, order, 1),
    )


def _half_shifts(band: Floats) -> Iterator[Floats]:
    """Yield ``band`` unchanged, then shifted by half a pixel down, right and both (bilinear)."""
    half = np.float32(0.5)
    down = (band + translate(band, 1, 0)) * half
    yield band
    yield down
    yield (band + translate(band, 0, 1)) * half
    yield (down + translate(down, 0, 1)) * half


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
    """Return a mask of the picture without its black bars, bool ``(N, h, w)``.

    After resampling, bars are not exactly 0, so they are detected by their low mean.
    """
    rows = between(images.mean(2) >= _BAR)
    columns = between(images.mean(1) >= _BAR)
    return rows[:, :, None] & columns[:, None, :]


def _blurred(images: Floats, weight: Floats, sigma: float) -> Floats:
    spread = gaussian_filter(weight, (0, sigma, sigma), mode="constant")
    blurred = gaussian_filter(images * weight, (0, sigma, sigma), mode="constant")
    return cast(Floats, blurred / np.maximum(spread, 1e-3))
