"""The contact sheet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont

from oraclezoo.data import lettering
from oraclezoo.data.characters import CLASSES, GLYPHS
from oraclezoo.data.lettering import COVERED, Lettering
from oraclezoo.data.sheet import contact_sheet
from oraclezoo.errors import DataError, UsageError
from oraclezoo.imaging.polarity import Gray

FONT = Path(lettering.__file__).parent / "fonts" / "labels.otf"


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


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without installed fonts."""
    monkeypatch.setattr(lettering, "installed", lambda: ())


def picture(name: str, glyph: str = "", say: Callable[[str], None] | None = None) -> Gray:
    """Return a sheet of one black image: its text is the rest."""
    images, labels = np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.int64)
    return np.asarray(contact_sheet(images, labels, [name], [glyph], per_class=1, say=say))


@pytest.mark.parametrize("name", ["été", "солнце", "ἥλιος", "شمس"])
def test_names_in_other_scripts_use_installed_fonts(name: str) -> None:
    """Each name has its own shape, neither the label's alone nor that of missing characters."""
    messages: list[str] = []
    fonts = Lettering([name], messages.append)
    if fonts.missing:
        pytest.skip("no installed font has these characters")
    assert not messages
    drawing = picture(name, say=messages.append)
    assert not messages
    alone = picture("")
    assert drawing.shape[1] > alone.shape[1] + 10
    assert drawing.tobytes() != picture("\u25a1" * len(name)).tobytes()


@pytest.mark.usefixtures("no_fonts")
def test_names_that_no_font_has_are_shown_by_their_label() -> None:
    """One message names the characters; other classes keep their names."""
    messages: list[str] = []
    images, labels = np.zeros((3, 28, 28), np.uint8), np.arange(3, dtype=np.int64)
    names = ["鬼", "tree", "鬼火"]
    contact_sheet(images, labels, names, ["鬼", "木", ""], say=messages.append)
    (message,) = messages
    assert "no installed font has 火鬼" in message
    fonts = Lettering(["鬼", "tree"])
    assert [fonts.label(3, "鬼"), fonts.label(4, "tree")] == ["3", "4  tree"]
    assert picture("鬼", "鬼").tobytes() == picture("", "").tobytes()
    assert fonts.label(5, "two\nlines") == "5"


def test_fonts_are_found_by_the_characters_they_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not a font, and a font without the character, are passed over."""
    monkeypatch.setattr(lettering, "COVERED", frozenset("abc "))
    monkeypatch.setattr(lettering, "installed", lambda: (Path(__file__), FONT))
    assert Lettering(["木 abc"]).covers("木 abc")
    assert Lettering(["鬼"]).missing == {"鬼"}


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
