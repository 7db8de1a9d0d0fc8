"""K nearest neighbours of each image, up to small shifts and mirroring, in bounded memory.

The search has two stages: all pairs are compared in a projection on principal components, with
matrix products over blocks of images; the best candidates are then re-ranked by the full
similarity, with shifts of half pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oraclezoo.data.audit.features import Floats, moved, unit

REACH = 2
"""Largest shift tried, pixels in each direction."""
COUNT = 12
"""Number of neighbours kept for each image."""

_BLOCK = 1024  # images per side of a block
_AXES = 64  # principal components
_SAMPLE = 2000  # images from which the components are estimated
_REFINED = 128  # images re-ranked at a time

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Nearest neighbours of N images, by increasing distance; K is ``min(COUNT, N - 1)``.

    Attributes:
        index: Neighbour indices, int64 ``(N, K)``.
        distance: 1 minus the correlation of the strokes at the best shift, float32 ``(N, K)``: 0
            for equal images, about 1 for unrelated ones.
        mirrored: Whether the mirrored image is the closer one, bool ``(N, K)``.
    """

    index: Whole
    distance: Floats
    mirrored: npt.NDArray[np.bool_]


def nearest(
    band: Floats, *, mirrored: bool, progress: Callable[[str], None] | None = None
) -> Neighbours:
    """Find the nearest neighbours of each image.

    Args:
        band: Band-passed images, float32 ``(N, h, w)``, N at least 2.
        mirrored: Whether left-right mirror images are compared as well.
        progress: Receives lines of text about the progress.

    Returns:
        The neighbours.
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
        theirs = slice(first, min(first + _BLOCK, count))
        variants = [unit(each) @ axes for each, _ in _moved(band[theirs], mirrored)]
        for start in range(0, first + 1, _BLOCK):
            ours = slice(start, min(start + _BLOCK, count))
            best = np.full((ours.stop - start, theirs.stop - first), -np.inf, np.float32)
            for variant in variants:
                np.maximum(best, projected[ours] @ variant.T, out=best)
            if start == first:
                best = np.maximum(best, best.T)
                np.fill_diagonal(best, -np.inf)
            else:
                _merge(index[theirs], likeness[theirs], best.T, start)
            _merge(index[ours], likeness[ours], best, first)
    return _refined(band, index, mirrored)


def _moved(band: Floats, mirrored: bool) -> Iterator[tuple[Floats, bool]]:
    """Yield ``band`` at every shift, plain and optionally mirrored, and whether it is mirrored."""
    for flip in (False, True) if mirrored else (False,):
        seen = band[:, :, ::-1] if flip else band
        for down in range(-REACH, REACH + 1):
            for right in range(-REACH, REACH + 1):
                yield moved(seen, down, right), flip


def _axes(band: Floats) -> Floats:
    """Return the principal axes ``(h * w, A)`` of a sample of the images and shifts of them."""
    sample = band[:: -(-len(band) // _SAMPLE)]
    shifts = ((0, 0), (REACH, 0), (-REACH, 0), (0, REACH), (0, -REACH))
    rows = np.concatenate([unit(moved(sample, down, right)) for down, right in shifts])
    _, vectors = np.linalg.eigh(rows.T @ rows)
    return np.ascontiguousarray(vectors[:, -_AXES:], dtype=np.float32)


def _merge(index: Whole, likeness: Floats, block: Floats, first: int) -> None:
    """Merge the most similar of ``block`` (n, m), images from ``first`` on, into the best."""
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


def _refined(band: Floats, index: Whole, mirrored: bool) -> Neighbours:
    """Return the candidates ``index`` (N, K) sorted by their full distance."""
    rows = unit(band)
    distance = np.empty(index.shape, np.float32)
    flips = np.empty(index.shape, bool)
    for first in range(0, len(band), _REFINED):
        part = slice(first, first + _REFINED)
        candidates = rows[index[part]]
        best = np.full((2, *candidates.shape[:2]), -np.inf, np.float32)
        for half in _half_shifts(band[part]):
            for flip in (False, True) if mirrored else (False,):
                these = [unit(each) for each, seen in _moved(half, mirrored) if seen == flip]
                products = candidates @ np.stack(these, axis=2)  # (n, K, shifts)
                np.maximum(best[int(flip)], products.max(2), out=best[int(flip)])
        distance[part], flips[part] = 1 - best.max(0), best[1] > best[0]
    order = np.argsort(distance, axis=1, kind="stable")
    return Neighbours(
        np.take_along_axis(index, order, 1),
        np.maximum(np.take_along_axis(distance, order, 1), 0),
        np.take_along_axis(flips, order, 1),
    )


def _half_shifts(band: Floats) -> Iterator[Floats]:
    """Yield ``band`` as it is, then shifted by half a pixel down, right and both (bilinear)."""
    half = np.float32(0.5)
    down = (band + moved(band, 1, 0)) * half
    yield band
    yield down
    yield (band + moved(band, 0, 1)) * half
    yield (down + moved(down, 0, 1)) * half
