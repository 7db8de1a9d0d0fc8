"""The contact sheet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont

from oraclezoo.data import sheet
from oraclezoo.data.characters import CLASSES, GLYPHS
from oraclezoo.data.sheet import COVERED, contact_sheet, printable
from oraclezoo.errors import DataError, UsageError

FONT = Path(sheet.__file__).parent / "fonts" / "labels.otf"


def test_the_font_draws_every_covered_character() -> None:
    """Each covered character has a distinct shape; only the space is empty."""
    font = ImageFont.truetype(FONT, 40)
    shapes = {bytes(font.getmask(c)): c for c in COVERED}
    assert len(shapes) == len(COVERED)
    assert [c for shape, c in shapes.items() if not any(shape)] == [" "]
    assert set(GLYPHS) <= COVERED


def test_the_font_is_small_and_licensed() -> None:
    """The wheel contains a subset of the font and its licence."""
    assert FONT.stat().st_size < 60_000
    licence = (FONT.parent / "OFL.txt").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    assert "Adobe" in licence


def test_other_characters_are_shown_by_number() -> None:
    """Characters missing from the font appear as U+XXXX."""
    assert printable("木 tree") == "木 tree"
    assert printable("鬼é") == "U+9B3CU+00E9"


@pytest.mark.parametrize(("size", "scale"), [(28, 3), (9, 1)])
def test_each_row_shows_its_class(size: int, scale: int) -> None:
    """Row k shows the first images of class k, enlarged, and no others."""
    count = 40
    labels = np.arange(count, dtype=np.int64) % 10
    images = np.empty((count, size, size), np.uint8)
    images[:] = (labels * 10 + 40)[:, None, None]
    labels[-1] = 0  # class 9 has one image less
    picture = np.asarray(contact_sheet(images, labels, CLASSES, GLYPHS, per_class=4, scale=scale))
    rows = []
    for label in range(10):
        at = np.flatnonzero((picture == label * 10 + 40).sum(axis=1) >= 3 * size * scale)
        assert len(at) == size * scale
        rows.append(at[0])
        images_wide = (picture[at[0]] == label * 10 + 40).sum() / (size * scale)
        assert round(images_wide) == (3 if label == 9 else 4)
    assert rows == sorted(rows)


def test_labels_take_part_in_the_picture() -> None:
    """Another name or glyph changes the picture to the left of the images."""
    images, labels = np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.int64)
    one = np.asarray(contact_sheet(images, labels, ["big"], ["大"]))
    other = np.asarray(contact_sheet(images, labels, ["big"], ["木"]))
    assert one.shape == other.shape
    assert (one != other).any()
    unknown = contact_sheet(images, labels, ["big"], ["鬼"])
    assert unknown.width > one.shape[1]


def test_what_makes_no_sheet_is_refused() -> None:
    """Unequal counts raise DataError, numbers below one UsageError."""
    images, labels = np.zeros((2, 28, 28), np.uint8), np.zeros(2, np.int64)
    with pytest.raises(DataError, match="1 labels"):
        contact_sheet(images, labels[:1], CLASSES, GLYPHS)
    with pytest.raises(DataError, match="9 glyphs"):
        contact_sheet(images, labels, CLASSES, GLYPHS[:9])
    for bad in ({"per_class": 0}, {"scale": 0}):
        with pytest.raises(UsageError):
            contact_sheet(images, labels, CLASSES, GLYPHS, **bad)
