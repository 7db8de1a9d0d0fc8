"""Model of the page around a character: its tone at every pixel, and the pixels that differ.

A page is a large, flat region: neighboring pixels differ little. Its tone is a polynomial of
degree 2, so that lighting may vary across it. All arithmetic is on integers, or on doubles in a
fixed order (docs/internals/finding.md), so that equal pixels give equal results in any language.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt
from PIL import Image

from oraclezoo.imaging.components import components
from oraclezoo.imaging.polarity import Gray, Mask, border

Doubles = npt.NDArray[np.float64]
Edges = tuple[int, int, int, int]
"""Left, top, right and bottom (exclusive)."""

SPREAD = 3
"""Maximum spread of a page's tone around the model; rubbings are rougher than paper."""

_HOPELESS = 8
"""Maximum spread after the first fit; further fits reduce the spread of a page to at most 4."""
_FLATTEST = 6
"""Maximum local range of a flat pixel on a page without noise."""
_ROUGHEST = 48
"""Maximum local range of a flat pixel on any page; also the contrast of ruled lines on a page."""
_RULED = (0.4, 2, 3)
"""Ruled page: minimum fraction of the picture, maximum spread, maximum range between lines."""
_MIN_SHARE = 0.1
_DIFFERS = 10
"""Minimum difference from a noisy page that counts, or four spreads if that is larger."""
_DIFFERS_EXACT = 5
"""Minimum difference from a page without noise that counts."""
_BAND = 0.12
"""Width of the outer band, which is fitted first, as a fraction of the page's shorter edge."""
_BAND_FLAT = 0.35
_RING = 0.72
"""Minimum fraction of a page's outline that must not differ from the page."""


@dataclass(frozen=True, slots=True)
class Tone:
    """A page's tone: ``c0 + c1 x + c2 y + c3 x^2 + c4 x y + c5 y^2``.

    x and y count half pixels from the center of the image that was fitted.
    """

    c: tuple[float, float, float, float, float, float]

    def at(self, x: Doubles, y: Doubles) -> Doubles:
        """Return the tone ``(len(y), len(x))``."""
        c0, c1, c2, c3, c4, c5 = self.c
        if not any(self.c[1:]):
            return np.full((len(y), len(x)), c0)
        rows = (c0 + c2 * y) + c5 * (y * y)
        slopes = c1 + c4 * y
        tone: Doubles = (rows[:, None] + slopes[:, None] * x) + c3 * (x * x)
        return tone


@dataclass(frozen=True, slots=True)
class Page:
    """A page in an image.

    Attributes:
        tone: Its tone.
        level: Its tone at every pixel, float64 ``(H, W)``.
        spread: 17/25 quantile of the distances of its pixels from the model.
        distance: Distance of every pixel from the model in gray levels, at most
            255, uint8 ``(H, W)``.
        differs: Pixels that are too far from the model to belong to the page.
        edges: Bounding box of the page.
        ruled: Whether the page has ruled lines, which belong to it.
    """

    tone: Tone
    level: Doubles
    spread: int
    distance: Gray
    differs: Mask
    edges: Edges
    ruled: bool


def find_pages(gray: Gray) -> Iterator[Page]:
    """Yield the page of an image, fitted as plain and then as ruled paper, where possible."""
    variation = _local_range(gray)
    quarter = quantile(variation, 1, 4)
    page = _page(gray, variation, min(2 * quarter + _FLATTEST, _ROUGHEST), ruled=False)
    if page is not None:
        yield page
    if quantile(variation, 1, 10) <= _RULED[2]:
        page = _page(gray, variation, _ROUGHEST, ruled=True)
        if page is not None:
            yield page


def quantile(values: Gray, part: int, of: int) -> int:
    """Return the smallest value such that ``part / of`` of the values are at most that large."""
    # Pillow counts uint8 several times as fast as NumPy
    counts = list(accumulate(Image.fromarray(values.reshape(1, -1)).histogram()))
    return bisect_left(counts, -(-counts[-1] * part // of))


def half_pixels(length: int) -> Doubles:
    """Return the position of each pixel of an edge in half pixels from the edge's center."""
    return np.arange(1 - length, length, 2, dtype=np.float64)


def _page(gray: Gray, variation: Gray, flattest: int, *, ruled: bool) -> Page | None:
    flat = components(variation <= flattest)
    if not len(flat.area):
        return None
    largest = int(flat.area.argmax())
    if flat.area[largest] < (_RULED[0] if ruled else _MIN_SHARE) * gray.size:
        return None
    mask = flat.mask(np.arange(len(flat.area)) == largest, gray.shape)
    left, top, right, bottom = (int(edge) for edge in flat.box[largest])
    # a tinted object may have joined the page, so the tone is fitted to the outer band first
    width = max(2, int(_BAND * min(bottom - top, right - left)))
    band = mask.copy()
    band[top + width : bottom - width, left + width : right - width] = False
    inner = max(bottom - top - 2 * width, 0) * max(right - left - 2 * width, 0)
    has_band = band.sum() >= _BAND_FLAT * ((bottom - top) * (right - left) - inner)
    fitted = band if has_band else mask
    tone = _fit(gray, fitted)
    level, distance, spread = _compare(gray, tone, fitted)
    if spread > _HOPELESS:  # a hand-cropped scan; further fits would only take time
        return None
    if spread > 1:  # lines or tinted parts may have biased the fit
        tone = _fit(gray, fitted & (distance <= max(4, 2 * spread)))
        level, distance, spread = _compare(gray, tone, fitted)
    if spread > (_RULED[1] if ruled else SPREAD + 1):
        return None
    if has_band and any(tone.c[1:]):
        fitted = mask & (distance <= max(_DIFFERS, 4 * spread))
        tone = _fit(gray, fitted)
        level, distance, spread = _compare(gray, tone, fitted)
    if spread > SPREAD:
        return None
    threshold = max(_DIFFERS if spread else _DIFFERS_EXACT, 4 * spread)
    differs = distance > (_ROUGHEST + 8 if ruled else threshold)
    inset = 2 if min(bottom - top, right - left) > 20 else 0
    outline = border(differs[top + inset : bottom - inset, left + inset : right - inset])
    if outline.mean() > 1 - _RING:
        return None
    return Page(tone, level, spread, distance, differs, (left, top, right, bottom), ruled)


def _local_range(gray: Gray) -> Gray:
    """Return the range of gray values in each 3 x 3 neighborhood; edges are replicated."""
    padded = np.pad(gray, 1, "edge")
    high = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    low = np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
    high = np.maximum(np.maximum(high[:, :-2], high[:, 1:-1]), high[:, 2:])
    low = np.minimum(np.minimum(low[:, :-2], low[:, 1:-1]), low[:, 2:])
    return high - low


def _compare(gray: Gray, tone: Tone, fitted: Mask) -> tuple[Doubles, Gray, int]:
    """Return the level of the page, the distance from it and the spread of the fitted pixels."""
    height, width = gray.shape
    level = tone.at(half_pixels(width), half_pixels(height))
    deviation = gray - level
    deviation += 0.5
    np.abs(np.floor(deviation, out=deviation), out=deviation)
    distance = np.minimum(deviation, 255, out=deviation).astype(np.uint8)
    return level, distance, quantile(distance[fitted], 17, 25)


_POWERS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))  # of x and y, by coefficient


def _fit(gray: Gray, fitted: Mask) -> Tone:
    """Fit the tone by least squares to the fitted pixels."""
    values = gray[fitted]
    lowest = int(values.min())
    if lowest == int(values.max()):
        return Tone((float(lowest), 0.0, 0.0, 0.0, 0.0, 0.0))
    x, y = _powers_of(gray.shape[1]), _powers_of(gray.shape[0])
    # sums of x^i y^j, exact: integers far below 2^53
    weights = fitted.astype(np.float64)
    sums = y @ (weights @ x.T)
    weighted = y[:3] @ ((weights * gray) @ x[:3].T)
    rows = [
        [float(sums[j + m, i + k]) for k, m in _POWERS] + [float(weighted[j, i])]
        for i, j in _POWERS
    ]
    solution = _solve(rows)
    if solution is None:  # the pixels lie on a line
        return Tone((float(np.median(values)), 0.0, 0.0, 0.0, 0.0, 0.0))
    c0, c1, c2, c3, c4, c5 = solution
    return Tone((c0, c1, c2, c3, c4, c5))


def _powers_of(length: int) -> Doubles:
    """Return the powers 0 to 4 of the half pixels of an edge, float64 ``(5, length)``."""
    x = half_pixels(length)
    square = x * x
    return np.stack([np.ones_like(x), x, square, square * x, square * square])


def _solve(rows: list[list[float]]) -> list[float] | None:
    """Solve linear equations (last column: right-hand side) by Gauss-Jordan elimination.

    The pivot is the largest of its column, the first if there are several.
    """
    size = len(rows)
    for k in range(size):
        pivot = max(range(k, size), key=lambda row: (abs(rows[row][k]), -row))
        rows[k], rows[pivot] = rows[pivot], rows[k]
        if abs(rows[k][k]) < 1e-6:
            return None
        for row in range(size):
            if row != k:
                factor = rows[row][k] / rows[k][k]
                for column in range(k, size + 1):
                    rows[row][column] -= factor * rows[k][column]
    return [rows[k][size] / rows[k][k] for k in range(size)]
