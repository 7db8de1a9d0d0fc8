"""Connected components of a mask, compared with SciPy's."""

from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from oraclezoo.imaging.components import components
from oraclezoo.imaging.polarity import Mask

SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)


def check(mask: Mask) -> int:
    """Compare areas, boxes and pixels with SciPy's; return the number of components."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    parts = components(mask)
    assert len(parts.area) == count
    assert parts.area.tolist() == np.bincount(labels.reshape(-1), minlength=count + 1)[1:].tolist()
    boxes = [
        (columns.start, rows.start, columns.stop, rows.stop)
        for rows, columns in ndimage.find_objects(labels)
    ]
    assert list(map(tuple, parts.box.tolist())) == boxes
    for number in range(min(count, 20)):
        chosen = np.arange(count) == number
        assert np.array_equal(parts.mask(chosen, mask.shape), labels == number + 1)
    if count:
        assert np.array_equal(parts.mask(np.ones(count, bool), mask.shape), mask)
    return int(count)


@given(arrays.arrays(np.bool_, SHAPES))
def test_components_are_those_of_scipy(mask: Mask) -> None:
    """In number, order, area, box and pixels, for any small mask."""
    check(mask)


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_components_of_noise_are_those_of_scipy(seed: int, share: float) -> None:
    """At every density: many single pixels, winding parts, one part with holes."""
    check(np.random.default_rng(seed).random((40, 56)) < share)


def spiral(size: int) -> Mask:
    """Return one winding line of one pixel's width: the most rows between two joined runs."""
    mask = np.zeros((size, size), bool)
    y = x = 0
    steps = [(0, 1), (1, 0), (0, -1), (-1, 0)]
    for turn in range(size):
        dy, dx = steps[turn % 4]
        length = size - 1 - 2 * ((turn - 1) // 2 if turn else 0)
        for _ in range(max(length, 0)):
            mask[y, x] = True
            y, x = y + dy, x + dx
    return mask


def test_a_spiral_is_one_component() -> None:
    """Labels travel through all of its turns."""
    assert check(spiral(41)) == 1


def test_a_million_components_need_bounded_memory() -> None:
    """Single pixels, and a checkerboard, whose pixels touch diagonally."""
    dots = np.zeros((2_000, 2_000), bool)
    dots[::2, ::2] = True
    tracemalloc.start()
    try:
        parts = components(dots)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(parts.area) == 1_000_000
    assert set(parts.area.tolist()) == {1}
    assert peak < 100 * dots.size
    y, x = np.indices((1_000, 1_000))
    board = components((x + y) % 2 == 0)
    assert board.area.tolist() == [500_000]
    assert board.box.tolist() == [[0, 0, 1_000, 1_000]]
