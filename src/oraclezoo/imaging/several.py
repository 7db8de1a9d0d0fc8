"""Find several characters in a picture: a line of drawings, a contact sheet, an inscription.

The page of the picture (:mod:`~oraclezoo.imaging.page`) is searched at a higher resolution than for
one character. The regions that differ from it are grouped by distance and size into characters.
docs/internals/finding.md specifies the algorithm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from oraclezoo.errors import UsageError
from oraclezoo.imaging.components import Components, components
from oraclezoo.imaging.find import DENSE, OUTLINE, Box, Found, Surface, find, reduced
from oraclezoo.imaging.objects import WHOLE, find_lids
from oraclezoo.imaging.page import Edges, Page, find_pages
from oraclezoo.imaging.polarity import Gray, border, is_dark_on_light, is_dark_on_page

Order = Literal["columns", "rows"]
ORDERS: tuple[Order, ...] = get_args(Order)

WORK = 448
"""Maximum longer edge of the downscaled picture."""

MOST = 200
"""Maximum number of characters; more regions than that are noise."""

_LEAST = 6
"""Minimum longer edge of a character in the downscaled picture, in pixels."""
_SMALL = 0.4
"""Minimum size of a character relative to the typical size; smaller objects are specks or text."""
_LARGE = 2.5
"""Maximum size of a character relative to the typical size."""
_GAP = 0.2
"""Maximum gap between parts of a character, as a fraction of the larger part's longer edge."""
_PART = 0.6
"""Maximum size, relative to the typical size, of a part that may belong to its neighbor."""
_GROWTH = 1.25
"""Maximum size of two merged parts, relative to the typical size."""
_TOUCHES = 0.04
"""Maximum gap (or 2 pixels) within an object, as a fraction of the larger part's longer edge."""
_SLIM = 5
"""Maximum aspect ratio of a character; lines of text and bars are longer."""
_ONE = 2.2
"""Maximum size, relative to the typical size, of a single object that is one character."""
_FILL = 0.25
"""Maximum coverage of its box by the parts of a single object that is one character."""
_OVERLAP = 0.5
"""Minimum fraction of the narrower box that overlaps with its column or row."""


@dataclass(frozen=True, slots=True)
class _Object:
    edges: Edges
    outline: float
    cover: float


def find_several(gray: Gray, size: int, order: Order = "columns") -> list[Found]:
    """Return the separate characters of a picture in reading order.

    Args:
        gray: The picture, uint8 ``(H, W)``.
        size: Height and width of the model's input in pixels.
        order: ``columns``, from right to left, or ``rows``, from top to bottom.

    Returns:
        At least two characters; an empty list if the picture has only one, or no page.

    Raises:
        UsageError: The order is unknown.

    >>> page = np.full((100, 300), 240, np.uint8)
    >>> page[30:70, 30:60] = page[30:70, 230:260] = 20
    >>> [found.box.x for found in find_several(page, 28)]
    [230, 30]
    """
    if order not in ORDERS:
        raise UsageError(f"order must be one of {', '.join(ORDERS)}, not '{order}'")
    if max(gray.shape) <= size:
        return []
    factor = -(-max(gray.shape) // WORK)
    small = reduced(gray, factor)
    if min(small.shape) < 8:
        return []
    for page in find_pages(small):
        objects = _objects(small, page)
        if 1 < len(objects) <= MOST and not _is_one(gray, factor, [e.edges for e in objects]):
            ordered = _ordered([each.edges for each in objects], order)
            return [_found(gray, small, page, objects[number], factor, size) for number in ordered]
    return []


def _objects(small: Gray, page: Page) -> list[_Object]:
    """Return the objects on a page whose size is close to the typical size."""
    parts = components(page.differs)
    boxes = _inside(parts, small)
    if not 1 < len(boxes) <= 20 * MOST:
        return []
    usual = _usual(boxes)
    grouped = _grouped(boxes, usual)
    longer = _longer(grouped)
    usual = _usual(grouped)
    fine = (longer >= max(_LEAST, _SMALL * usual)) & (longer <= _LARGE * usual)
    fine &= longer <= _SLIM * (grouped[:, 2:] - grouped[:, :2]).min(1)
    objects = []
    for left, top, right, bottom in grouped[fine]:
        differs = page.differs[top:bottom, left:right]
        edges = (int(left), int(top), int(right), int(bottom))
        objects.append(_Object(edges, float(border(differs).mean()), float(differs.mean())))
    return objects


def _is_one(gray: Gray, factor: int, objects: list[Edges]) -> bool:
    """Return whether objects are parts of the single character found at low resolution."""
    one = find(gray)
    if one is None:
        return False
    boxes = np.array(objects, np.int64)
    usual, box = _usual(boxes) * factor, one.box
    filled = int((boxes[:, 2:] - boxes[:, :2]).prod(1).sum()) * factor * factor
    if max(box.width, box.height) >= _ONE * usual and filled >= _FILL * box.width * box.height:
        return False
    middle = (boxes[:, :2] + boxes[:, 2:]) * factor // 2
    inside = (middle >= [box.x, box.y]).all(1)
    inside &= (middle < [box.x + box.width, box.y + box.height]).all(1)
    return bool(inside.all())


def _inside(parts: Components, small: Gray) -> npt.NDArray[np.int64]:
    """Return the boxes of the parts, without lids, specks and parts that surround the page."""
    if not len(parts.area):
        return np.zeros((0, 4), np.int64)
    sizes = (parts.box[:, 2:] - parts.box[:, :2]).prod(1)
    kept = (
        ~find_lids(parts, small.shape) & (sizes <= WHOLE * small.size) & (_longer(parts.box) >= 3)
    )
    boxes: npt.NDArray[np.int64] = parts.box[kept]
    return boxes


def _longer(boxes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    longer: npt.NDArray[np.int64] = (boxes[:, 2:] - boxes[:, :2]).max(1)
    return longer


def _usual(boxes: npt.NDArray[np.int64]) -> float:
    """Return the typical character size: the median of the longer edges, weighted by area."""
    longer = _longer(boxes)
    order = np.argsort(longer, kind="stable")
    weight = np.cumsum((boxes[:, 2:] - boxes[:, :2]).prod(1)[order])
    return float(longer[order][int(np.searchsorted(2 * weight, weight[-1]))])


def _grouped(boxes: npt.NDArray[np.int64], usual: float) -> npt.NDArray[np.int64]:
    """Merge the boxes of parts of one character, closest pairs first.

    Two boxes are merged if they overlap in both directions or are near each other, one of them is
    clearly smaller than a character, and the result is not clearly larger than one.
    """
    current = boxes
    while len(current) > 1:
        left, top, right, bottom = current.T
        gap = np.maximum(
            np.maximum(left[:, None] - right, left - right[:, None]),
            np.maximum(top[:, None] - bottom, top - bottom[:, None]),
        )
        longer = _longer(current)
        larger = np.maximum(longer[:, None], longer)
        smaller = np.minimum(longer[:, None], longer)
        union = np.maximum(
            np.maximum(right[:, None], right) - np.minimum(left[:, None], left),
            np.maximum(bottom[:, None], bottom) - np.minimum(top[:, None], top),
        )
        within = (gap < 0) & (union <= 1.1 * larger)
        within |= gap <= np.maximum(2, _TOUCHES * larger)
        near = (gap <= _GAP * larger) & (smaller < _PART * usual)
        near &= union <= _GROWTH * np.maximum(usual, larger)
        allowed = np.triu(within | near, 1)
        if not allowed.any():
            break
        relative = np.where(allowed, gap / larger, np.inf)
        one, other = np.unravel_index(int(relative.argmin()), relative.shape)
        merged = np.concatenate(
            [
                np.minimum(current[one, :2], current[other, :2]),
                np.maximum(current[one, 2:], current[other, 2:]),
            ]
        )
        current = np.vstack([np.delete(current, [one, other], axis=0), merged])
    return current


def _found(gray: Gray, small: Gray, page: Page, found: _Object, factor: int, size: int) -> Found:
    """Return an object as a character: strokes on the page, or a hand-cropped scan."""
    height, width = gray.shape
    left, top, right, bottom = found.edges
    x, y = left * factor, top * factor
    box = Box(x, y, min(right * factor, width) - x, min(bottom * factor, height) - y)
    if found.outline >= OUTLINE:
        inset = factor - 1  # page pixels at the edges would bias the polarity
        box = Box(x + inset, y + inset, box.width - 2 * inset, box.height - 2 * inset)
        inside = gray[box.y : box.y + box.height, box.x : box.x + box.width]
        return Found(box, is_dark_on_light(inside, size), False, None)
    level = float(page.level[(top + bottom) // 2, (left + right) // 2])
    dark = is_dark_on_page(small[top:bottom, left:right], level)
    surface = Surface(page.tone, page.spread, Box(0, 0, width, height), factor)
    return Found(box, dark, found.cover < DENSE, surface)


def _ordered(boxes: list[Edges], order: Order) -> list[int]:
    """Return the indices of the boxes in reading order."""
    across, along = (0, 1) if order == "columns" else (1, 0)
    # columns are read from the right, rows from the top
    spans = [(b[across], b[across + 2]) for b in boxes]
    first = sorted(
        range(len(boxes)),
        key=lambda n: (-spans[n][1] if order == "columns" else spans[n][0], boxes[n][along]),
    )
    lines: list[list[int]] = []
    for number in first:
        low, high = spans[number]
        for line in lines:
            middle = [spans[n] for n in line]
            start = sum(each[0] for each in middle) / len(middle)
            end = sum(each[1] for each in middle) / len(middle)
            shared = min(high, end) - max(low, start)
            if shared >= _OVERLAP * min(high - low, end - start):
                line.append(number)
                break
        else:
            lines.append([number])
    return [n for line in lines for n in sorted(line, key=lambda each: boxes[each][along])]
