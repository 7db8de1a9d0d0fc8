"""Connected components of a mask, by runs; without SciPy, which is slow to import."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from oraclezoo.imaging.polarity import Mask

Ints = npt.NDArray[np.int64]


class Components(NamedTuple):
    """The 8-connected components of a mask, in the order of their first pixel, row by row.

    Attributes:
        area: Number of pixels, int64 ``(K,)``.
        box: Left, top, right and bottom (exclusive), int64 ``(K, 4)``.
        label: Component of each run, int64 ``(R,)``.
        row: Row of each run.
        start: First column of each run.
        end: Last column of each run plus one.
    """

    area: Ints
    box: Ints
    label: Ints
    row: Ints
    start: Ints
    end: Ints

    def mask(self, chosen: npt.NDArray[np.bool_], shape: tuple[int, int]) -> Mask:
        """Return a mask of the components that are true in ``chosen`` ``(K,)``."""
        runs = chosen[self.label]
        steps = np.zeros((shape[0], shape[1] + 1), np.int64)
        steps[self.row[runs], self.start[runs]] = 1
        steps[self.row[runs], self.end[runs]] -= 1
        return np.cumsum(steps, axis=1)[:, :-1] > 0


def components(mask: Mask) -> Components:
    """Return the 8-connected components of a mask ``(H, W)``."""
    height, width = mask.shape
    line = width + 2  # the two free columns keep runs of different rows apart
    padded = np.zeros((height, line), np.int8)
    padded[:, :width] = mask
    change = np.diff(padded.reshape(-1), prepend=np.int8(0))
    first, last = np.flatnonzero(change > 0), np.flatnonzero(change < 0)
    if len(last) < len(first):
        last = np.append(last, padded.size)
    roots = _joined(first, last, line)
    named, label = np.unique(roots, return_inverse=True)
    row, start, end = first // line, first % line, first % line + (last - first)
    count = len(named)
    area = np.bincount(label, last - first, count).astype(np.int64)
    box = np.empty((count, 4), np.int64)
    box[:, :2], box[:, 2:] = max(height, width), 0
    np.minimum.at(box[:, 0], label, start)
    np.minimum.at(box[:, 1], label, row)
    np.maximum.at(box[:, 2], label, end)
    np.maximum.at(box[:, 3], label, row + 1)
    return Components(area, box, label.astype(np.int64), row, start, end)


def _joined(first: Ints, last: Ints, line: int) -> Ints:
    """Return the first run of each run's component; ``line`` is the length of a row."""
    # the runs of the next row that touch run i, diagonally too, are low[i] to high[i] - 1
    low = np.searchsorted(last, first + line, side="left")
    high = np.searchsorted(first, last + line, side="right")
    count = np.maximum(high - low, 0)
    upper = np.repeat(np.arange(len(first)), count)
    lower = np.arange(len(upper)) - np.repeat(np.cumsum(count) - count, count)
    lower += np.repeat(low, count)
    root = np.arange(len(first))
    while True:
        one, other = root[upper], root[lower]
        if (one == other).all():
            return root
        least = np.minimum(one, other)
        np.minimum.at(root, one, least)
        np.minimum.at(root, other, least)
        while True:
            jumped = root[root]
            if (jumped == root).all():
                break
            root = jumped
