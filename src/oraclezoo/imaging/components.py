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
        """Return a mask of the components that are selected by ``chosen``, bool ``(K,)``."""
        runs = chosen[self.label]
        steps = np.zeros((shape[0], shape[1] + 1), np.int8)
        row = self.row[runs]
        steps[row, self.start[runs]] = 1
        steps[row, self.end[runs]] = -1  # runs of a row have a gap between them
        mask: Mask = np.cumsum(steps, axis=1, dtype=np.int8)[:, :-1].astype(np.bool_)
        return mask


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
    named = np.flatnonzero(roots == np.arange(len(roots)))
    count = len(named)
    label = np.empty(len(roots), np.int64)
    label[named] = np.arange(count)
    label = label[roots]
    row, start = np.divmod(first, line)
    end = start + (last - first)
    area = np.bincount(label, last - first, count).astype(np.int64)
    box = np.empty((count, 4), np.int64)
    # runs go row by row: the first of a component is the highest, and the last the lowest
    box[:, 0], box[:, 1], box[:, 2] = width, row[named], 0
    np.minimum.at(box[:, 0], label, start)
    np.maximum.at(box[:, 2], label, end)
    box[label, 3] = row + 1
    return Components(area, box, label, row, start, end)


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
