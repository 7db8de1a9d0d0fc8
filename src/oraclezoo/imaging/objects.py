"""Find the object on a page: the parts of the character, without specks, frames, lids and text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oraclezoo.imaging.components import Components, components
from oraclezoo.imaging.page import Edges, Page
from oraclezoo.imaging.polarity import Gray

_GAP = 0.2
"""Maximum gap between parts of one object, as a fraction of its longer edge."""
_SPECK = 0.04
"""Maximum area of a speck, as a fraction of the area of the largest part."""
_AROUND = 0.1
"""Maximum fraction of the page outside the object that may differ from the page."""
WHOLE = 0.8
"""Fraction of the image above which the box of a part surrounds the page."""
_LONG = 0.95
_THIN = 0.15
"""Maximum box coverage of a frame; a frame lies within an eighth of the edges."""
_LID_DISTANCE = 0.05
_LID_AREA = 0.02


def find_object(gray: Gray, page: Page) -> Edges | None:
    """Return the box of the object on a page, or None if there is none.

    The object starts from the part with the largest bounding box and absorbs nearby parts. A part
    that touches three edges of the image, or spans a whole edge, is a lid: the scanner lid or table
    next to the page. A thin part around everything is a frame. Text and the status bar of a screen
    are excluded because they are too far away or too small.
    """
    parts = components(page.differs)
    if not len(parts.area):
        return None
    lids = find_lids(parts, gray.shape)
    left, top, right, bottom = parts.box.T
    boxes = (right - left) * (bottom - top)
    around = ~lids & (boxes > WHOLE * gray.size)
    inside = ~lids & ~around
    if not inside.any():
        return None
    edges = _grown(parts, inside, int(np.where(inside, boxes, -1).argmax()))
    if _is_littered(page, edges, int(parts.area[~inside].sum())):
        return None
    if around.any() and not all(_is_frame(parts, int(i), gray) for i in np.flatnonzero(around)):
        return None
    if lids.any() and not _is_beside(gray, page, parts, lids, edges):
        return None
    return edges


def find_lids(parts: Components, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Return which parts of an image ``(H, W)`` are lids, bool ``(K,)``."""
    height, width = shape
    at = (parts.box == np.array([0, 0, width, height])).T
    long = np.array([[width], [height]]) * _LONG < (parts.box[:, 2:] - parts.box[:, :2]).T
    lids: npt.NDArray[np.bool_] = (
        (np.count_nonzero(at, axis=0) >= 3)
        | (long[0] & (at[1] | at[3]))
        | (long[1] & (at[0] | at[2]))
    )
    return lids


def _grown(parts: Components, inside: npt.NDArray[np.bool_], seed: int) -> Edges:
    """Return the bounding box of a part and, transitively, of all parts near it."""
    left, top, right, bottom = parts.box.T
    chosen = np.arange(len(parts.area)) == seed
    while True:
        x0, y0 = left[chosen].min(), top[chosen].min()
        x1, y1 = right[chosen].max(), bottom[chosen].max()
        gap = np.maximum(
            np.maximum(left - x1, x0 - right),
            np.maximum(top - y1, y0 - bottom),
        )
        near = gap <= _GAP * max(x1 - x0, y1 - y0)
        near &= inside & (parts.area >= _SPECK * parts.area[chosen].max())
        if not (near & ~chosen).any():
            return int(x0), int(y0), int(x1), int(y1)
        chosen |= near


def _is_littered(page: Page, edges: Edges, elsewhere: int) -> bool:
    """Return whether much of the page differs from it outside the object, frames and lids."""
    left, top, right, bottom = edges
    x0, y0, x1, y1 = page.edges
    on_page = int(page.differs[y0:y1, x0:x1].sum())
    of_object = int(page.differs[max(top, y0) : bottom, max(left, x0) : right].sum())
    outside = (y1 - y0) * (x1 - x0) - (bottom - top) * (right - left)
    return on_page - of_object - elsewhere > _AROUND * outside


def _is_frame(parts: Components, number: int, gray: Gray) -> bool:
    left, top, right, bottom = parts.box[number]
    if parts.area[number] > _THIN * (right - left) * (bottom - top):
        return False
    height, width = gray.shape
    mask = parts.mask(np.arange(len(parts.area)) == number, gray.shape)
    return not mask[height // 8 : height - height // 8, width // 8 : width - width // 8].any()


def _is_beside(
    gray: Gray, page: Page, parts: Components, lids: npt.NDArray[np.bool_], edges: Edges
) -> bool:
    """Return whether the lids are darker than the page and the object is inside the page.

    Otherwise they belong to the damaged surface of a rubbing.
    """
    x0, y0, x1, y1 = page.edges
    clear = min(edges[0] - x0, edges[1] - y0, x1 - edges[2], y1 - edges[3])
    if clear < _LID_DISTANCE * max(gray.shape):
        return False
    level = page.level[(y0 + y1) // 2, (x0 + x1) // 2]
    for number in np.flatnonzero(lids & (parts.area > _LID_AREA * gray.size)):
        mask = parts.mask(np.arange(len(parts.area)) == number, gray.shape)
        if gray[mask].mean() > level:
            return False
    return True
