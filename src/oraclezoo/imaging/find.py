"""Find the character in a picture: its box, its polarity and the page around it.

The picture is downscaled to at most 112 pixels. If it has a page (:mod:`~oraclezoo.imaging.page`)
with one object on it (:mod:`~oraclezoo.imaging.objects`) that is clearly smaller than the picture,
that object is the character, or a sheet of the opposite tone, in which the search is repeated.
Otherwise the picture is used unchanged: a hand-cropped scan has no page around it.

docs/internals/finding.md specifies the algorithm and how to measure its accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from oraclezoo.imaging.objects import find_object
from oraclezoo.imaging.page import Doubles, Edges, Page, Tone, find_pages, quantile
from oraclezoo.imaging.polarity import (
    FRAME_SHARE,
    Gray,
    Mask,
    Pixel,
    border,
    is_bar,
    is_dark_on_light,
    is_dark_on_page,
    otsu,
)

WORK = 112
"""Maximum edge, in pixels, of the downscaled picture that is searched for a character."""

_SHEETS = 3
"""Maximum nesting depth of sheets."""
_LEAST_PIXELS = 12
_LEAST = 0.12
"""Minimum longer edge of an object, in pixels and as a fraction of the picture's."""

_FILLED = 0.9
"""Maximum longer edge of a filled object (a scan with a margin), relative to the picture's."""
_FILLED_AT_EDGE = 0.8
"""Maximum longer edge of a filled object within 2% of the picture's edge."""
_STROKES = 0.85
"""Maximum longer edge of strokes, where the page cannot be the background of a scan."""
_STROKES_ON_CLEAN = 0.72
"""Maximum longer edge of strokes on a page as dark, or as light, as the background of scans."""
_STROKES_ON_ROUGH = 0.55
"""Maximum longer edge of strokes on a dark noisy page, which resembles a hand-cropped scan."""
_SCAN_LEVEL, _SCAN_CONTRAST = 80, 100
"""Maximum brightness of a scan's background, and minimum contrast of its strokes."""

OUTLINE = 0.5
"""Minimum fraction of a filled object's outline that the object covers."""
_SOLID, _SOLID_PIXELS = 0.93, 56
"""Alternative for large objects: minimum sum of outline and box coverage, and minimum edge."""
DENSE = 0.7
"""Minimum coverage of its box at which an object counts as dense and gets no margin."""
_HOLLOW = 0.6
"""Minimum box coverage of a filled object; below it, the object is a drawn outline, as in 田."""
_SHEET = 0.6
"""Minimum box coverage of a sheet."""
_SIDE = 0.97
"""Minimum coverage of each side of a sheet after its folded corners are cropped."""
_MAJORITY = 0.6
_NARROW = 2899
"""Side of the largest block for which 511 times its area is below 2 ** 32."""


class Box(NamedTuple):
    """A rectangle in pixels of the upright picture; x and y are its left and upper edge."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Surface:
    """The page around a character, fitted to a region of the picture.

    Attributes:
        tone: Tone of the page in the downscaled region.
        spread: Noise of the page in gray levels.
        part: The region of the picture.
        factor: Pixels of the picture per pixel of the downscaled region.
    """

    tone: Tone
    spread: int
    part: Box
    factor: int

    def level(self, box: Box) -> Doubles:
        """Return the page's tone at every pixel of a box, float64 ``(height, width)``."""
        x = self._positions(box.x - self.part.x, box.width, self.part.width)
        y = self._positions(box.y - self.part.y, box.height, self.part.height)
        return self.tone.at(x, y)

    def _positions(self, first: int, count: int, length: int) -> Doubles:
        pixels = np.arange(first, first + count, dtype=np.float64)
        reduced = -(-length // self.factor)
        return (2 * pixels - (self.factor - 1)) / self.factor - (reduced - 1)


@dataclass(frozen=True, slots=True)
class Found:
    """A character in a picture.

    Attributes:
        box: The character, without a margin.
        dark_on_light: Whether it is darker than its background.
        needs_margin: Whether the box ends at the strokes.
        surface: The page around it, if the page is its background.
    """

    box: Box
    dark_on_light: bool
    needs_margin: bool
    surface: Surface | None


def find(gray: Gray) -> Found | None:
    """Find the character in a picture; return None if the picture should be used unchanged.

    >>> page = np.full((200, 200), 240, np.uint8)
    >>> page[30:80, 120:126] = page[50:56, 110:140] = 20
    >>> find(page).box
    Box(x=110, y=30, width=30, height=50)
    """
    height, width = gray.shape
    part, match = Box(0, 0, width, height), None
    for _ in range(_SHEETS + 1):
        step = _find_in(gray, part, on_sheet=match is not None)
        if step is None:
            break
        match = step
        if step.surface is not None:
            break
        part = step.box
    return match


def moved(found: Found, by: int) -> Found:
    """Translate a result found inside a frame of ``by`` pixels to coordinates of the picture."""
    if not by:
        return found
    surface = found.surface
    if surface is not None:
        surface = replace(surface, part=_shifted(surface.part, by))
    return replace(found, box=_shifted(found.box, by), surface=surface)


def _shifted(box: Box, by: int) -> Box:
    return box._replace(x=box.x + by, y=box.y + by)


def find_at(gray: Gray, box: Box, size: int) -> Found:
    """Return the character in a given box; the page is fitted to the whole picture.

    ``size`` is the height and width of the model's input.
    """
    height, width = gray.shape
    inside = gray[box.y : box.y + box.height, box.x : box.x + box.width]
    dark = is_dark_on_light(inside, size)
    factor = -(-max(gray.shape) // WORK)
    small = reduced(gray, factor)
    surface = None
    page = next(find_pages(small), None) if min(small.shape) >= 8 else None
    if page is not None:
        candidate = Surface(page.tone, page.spread, Box(0, 0, width, height), factor)
        middle = Box(box.x + box.width // 2, box.y + box.height // 2, 1, 1)
        if is_dark_on_page(inside, float(candidate.level(middle)[0, 0])) == dark:
            surface = candidate
    return Found(box, dark, False, surface)


def reduced(gray: Gray, factor: int) -> Gray:
    """Downscale by averaging blocks of ``factor`` pixels; 0.5 rounds up, edges are replicated."""
    if factor == 1:
        return gray
    # larger blocks occur only in pictures that are far longer than wide
    wide: Any = np.uint32 if factor <= _NARROW else np.uint64
    sums = _block_sums(_block_sums(gray, factor, wide).T, factor, wide).T
    area = factor * factor
    means: Gray = ((2 * sums + area) // (2 * area)).astype(np.uint8)
    return means


def _block_sums(values: npt.NDArray[Any], factor: int, wide: Any) -> npt.NDArray[Any]:
    """Sum each ``factor`` rows; the last row is replicated to fill the last block.

    The replicated rows are not stored: one block of a line of 16 million pixels is wider than the
    line by a factor of 100,000.
    """
    length = len(values)
    whole = length // factor
    sums = np.zeros((-(-length // factor), values.shape[1]), wide)
    for offset in range(factor if whole else 0):
        sums[:whole] += values[offset : whole * factor : factor]
    if whole < len(sums):
        rest = values[whole * factor :]
        sums[whole] = rest.sum(0, dtype=wide)
        sums[whole] += wide(factor - len(rest)) * values[-1]
    return sums


def _find_in(gray: Gray, part: Box, *, on_sheet: bool) -> Found | None:
    """Find the object in a region of the picture; the result for a sheet has no surface."""
    region = gray[part.y : part.y + part.height, part.x : part.x + part.width]
    factor = -(-max(region.shape) // WORK)
    small = reduced(region, factor)
    match = _object(small)
    if match is None:
        return None
    page, edges = match
    longest = max(edges[2] - edges[0], edges[3] - edges[1])
    if longest < max(_LEAST * max(small.shape), -(-_LEAST_PIXELS // factor)):
        return None
    left, top, right, bottom = edges
    differs = page.differs[top:bottom, left:right]
    outline, cover = float(border(differs).mean()), float(differs.mean())
    level = float(page.level[(top + bottom) // 2, (left + right) // 2])
    dark = is_dark_on_page(small[top:bottom, left:right], level)
    solid = page.spread > 0 and longest * factor >= _SOLID_PIXELS and outline + cover >= _SOLID
    filled = outline >= OUTLINE or solid
    sheet = None
    if cover > _SHEET and not page.ruled:
        sheet = _sheet(small, page, edges, level)
    if sheet is not None:
        edges, dark, filled = sheet, level <= otsu(_cut(small, sheet)), True
    limit = _FILLED if filled else _STROKES if on_sheet else _limit(page, edges, level, dark)
    if filled and _clear(edges, small) < 0.02 * max(small.shape):
        limit = _FILLED_AT_EDGE
    if max(edges[2] - edges[0], edges[3] - edges[1]) > limit * max(small.shape):
        return None
    left, top, right, bottom = (edge * factor for edge in edges)
    box = Box(
        part.x + left,
        part.y + top,
        min(right, part.width) - left,
        min(bottom, part.height) - top,
    )
    surface = None if sheet else Surface(page.tone, page.spread, part, factor)
    return Found(box, dark, cover < (_HOLLOW if filled else DENSE), surface)


def _object(gray: Gray) -> tuple[Page, Edges] | None:
    if min(gray.shape) < 8:
        return None
    for page in find_pages(gray):
        edges = find_object(gray, page)
        if edges is not None:
            return page, edges
    return None


def _cut(image: npt.NDArray[Pixel], edges: Edges) -> npt.NDArray[Pixel]:
    left, top, right, bottom = edges
    return image[top:bottom, left:right]


def _clear(edges: Edges, gray: Gray) -> int:
    """Return the distance of a box from the nearest edge of the image."""
    height, width = gray.shape
    return int(min(edges[0], edges[1], width - edges[2], height - edges[3]))


def _sheet(gray: Gray, page: Page, edges: Edges, level: float) -> Edges | None:
    """Return the box of a sheet of the opposite tone, without folded corners, or None.

    The outline of the sheet has the tone of strokes on the surrounding page: almost all of it (a
    scan), or most of it if the sheet itself has an object. A long bar of one tone is a stroke.
    """
    inner = _upright(page.differs, edges)
    if 2 * _area(inner) < _area(edges):
        return None
    threshold = otsu(_cut(gray, inner))
    opposite = (gray > threshold) != (level > threshold)
    if is_bar(_cut(opposite, inner)):
        return None
    if border(_cut(opposite, edges)).mean() >= FRAME_SHARE:
        return inner
    left, top, right, bottom = inner
    inner = left + 1, top + 1, right - 1, bottom - 1  # the sheet's edge may be blurred
    if right - left <= 2 or bottom - top <= 2:
        return None
    if border(_cut(opposite, inner)).mean() < _MAJORITY or _object(_cut(gray, inner)) is None:
        return None
    return inner


def _area(edges: Edges) -> int:
    return (edges[2] - edges[0]) * (edges[3] - edges[1])


def _upright(differs: Mask, edges: Edges) -> Edges:
    """Shrink a box by the side that differs least, until every side differs from the page."""
    left, top, right, bottom = edges
    while right - left > 6 and bottom - top > 6:
        sides = (
            differs[top:bottom, left],
            differs[top, left:right],
            differs[top:bottom, right - 1],
            differs[bottom - 1, left:right],
        )
        shares = [float(side.mean()) for side in sides]
        worst = shares.index(min(shares))
        if shares[worst] >= _SIDE:
            break
        left, top = left + (worst == 0), top + (worst == 1)
        right, bottom = right - (worst == 2), bottom - (worst == 3)
    return left, top, right, bottom


def _limit(page: Page, edges: Edges, level: float, dark: bool) -> float:
    """Return the maximum longer edge of strokes, as a fraction of the picture's."""
    left, top, right, bottom = edges
    contrast = quantile(page.distance[top:bottom, left:right], 99, 100)
    if contrast < _SCAN_CONTRAST or (255 - level if dark else level) > _SCAN_LEVEL:
        return _STROKES
    outside = page.distance > 2
    outside[max(top - 3, 0) : bottom + 3, max(left - 3, 0) : right + 3] = False
    return _STROKES_ON_CLEAN if dark or not outside.any() else _STROKES_ON_ROUGH
