"""Several characters in a picture, in reading order."""

from __future__ import annotations

import numpy as np
import pytest

from oraclezoo.errors import UsageError
from oraclezoo.imaging.find import Box
from oraclezoo.imaging.polarity import Gray
from oraclezoo.imaging.prepare import prepare, prepare_several
from oraclezoo.imaging.several import find_several


def page(*boxes: Box, tone: int = 240, ink: int = 20, edge: int = 400) -> Gray:
    """Return a page with crosses in these boxes."""
    gray = np.full((edge, edge), tone, np.uint8)
    for x, y, width, height in boxes:
        gray[y + height // 2 - 2 : y + height // 2 + 2, x : x + width] = ink
        gray[y : y + height, x + width // 2 - 2 : x + width // 2 + 2] = ink
    return gray


GRID = [Box(300, 40, 52, 60), Box(300, 200, 60, 60), Box(60, 48, 60, 60), Box(60, 208, 60, 52)]


@pytest.mark.parametrize(("tone", "ink"), [(240, 20), (0, 255), (60, 180)])
def test_columns_are_read_from_right_to_left(tone: int, ink: int) -> None:
    """Each character gets its box, on light and on dark pages."""
    every = prepare_several(page(*GRID, tone=tone, ink=ink), 28)
    assert [each.box for each in every] == GRID
    assert {each.inverted for each in every} == {tone > ink}


def test_rows_are_read_from_left_to_right() -> None:
    """The order is an option; others are refused."""
    every = prepare_several(page(*GRID), 28, order="rows")
    assert [each.box for each in every] == [GRID[2], GRID[0], GRID[3], GRID[1]]
    with pytest.raises(UsageError, match="order must be one of columns, rows"):
        prepare_several(page(*GRID), 28, order="circles")  # type: ignore[arg-type]  # not an order


def test_a_character_of_a_page_is_seen_as_alone() -> None:
    """The input is that of a picture with this character only."""
    every = prepare_several(page(*GRID), 28)
    for each, box in zip(every, GRID, strict=True):
        alone = prepare(page(box), 28)
        assert np.abs(each.gray.astype(int) - alone.gray).mean() < 2


@pytest.mark.parametrize("boxes", [GRID[:1], []])
def test_a_picture_of_one_character_is_unchanged(boxes: list[Box]) -> None:
    """Also a scan without a page around its character."""
    gray = page(*boxes) if boxes else np.random.default_rng(0).integers(0, 99, (90, 60), np.uint8)
    (one,) = prepare_several(gray, 28)
    plain = prepare(gray, 28)
    assert np.array_equal(one.gray, plain.gray)
    assert one[1:] == plain[1:]


def test_separate_strokes_of_a_character_stay_together() -> None:
    """A dot beside a stroke is no character of its own; specks and rules are none either."""
    gray = page(*GRID)
    gray[76:84, 352:360] = 20  # a dot beside the first character
    gray[390:392, 20:380] = 20  # a rule
    gray[150, 200] = 0  # a speck
    boxes = [each.box for each in find_several(gray, 28)]
    assert len(boxes) == 4
    assert boxes[0] == Box(300, 40, 60, 60)  # with the dot


def test_a_frame_is_left_out() -> None:
    """Boxes count from the corner of the picture."""
    framed = np.pad(page(*GRID), 6)
    boxes = [each.box for each in prepare_several(framed, 28)]
    assert boxes == [box._replace(x=box.x + 6, y=box.y + 6) for box in GRID]
