"""Contact sheet: some images of each class, next to the label, name and glyph of the class."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from oraclezoo.data.lettering import Lettering
from oraclezoo.errors import DataError, UsageError

_PAPER, _INK, _FAINT = 255, 0, 128  # gray levels
_GAP = 2  # pixels between images
_MARGIN = 12  # pixels around everything
_MIN_ROW = 34  # pixels: a row holds two lines of text
_SMALL = 15  # pixels: font size of the names


def contact_sheet(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    classes: Sequence[str],
    glyphs: Sequence[str],
    *,
    per_class: int = 10,
    scale: int = 3,
    say: Callable[[str], None] | None = None,
) -> Image.Image:
    """Draw a contact sheet with one row per class: label, name and glyph, then images.

    For names and glyphs in other scripts, installed fonts are used. A name or glyph that no font
    can draw is omitted.

    Args:
        images: uint8 ``(N, H, W)``.
        labels: int64 ``(N,)``, below ``len(classes)``.
        classes: Class names, in label order.
        glyphs: Modern character of each class.
        per_class: Number of images per class.
        scale: Zoom factor in screen pixels per image pixel.
        say: Receives a message if some names cannot be drawn with any font.

    Returns:
        A gray picture.

    Raises:
        UsageError: If ``per_class`` or ``scale`` is less than 1.
        DataError: If the shapes of the arguments do not match.
    """
    if per_class < 1 or scale < 1:
        raise UsageError("a contact sheet requires per_class and scale to be at least 1")
    if images.ndim != 3 or len(images) != len(labels) or len(glyphs) != len(classes):
        raise DataError(
            "a contact sheet requires images (N, H, W), one label per image and one glyph per "
            f"class, not images {images.shape}, {len(labels)} labels, {len(classes)} classes and "
            f"{len(glyphs)} glyphs"
        )
    height, width = images.shape[1] * scale, images.shape[2] * scale
    row = max(height, _MIN_ROW) + _GAP
    large = min(max(height // 2, 20), 44)
    fonts = Lettering([*classes, *glyphs, *map(str, range(10))], say)
    characters = [glyph if fonts.covers(glyph) else "" for glyph in glyphs]
    texts = [fonts.label(label, name) for label, name in enumerate(classes)]
    text_width = max((fonts.width(text, _SMALL) for text in texts), default=0)
    glyph_width = max((fonts.width(text, large) for text in characters), default=0)
    start = _MARGIN + text_width + 10 + glyph_width + 14
    sheet = Image.new(
        "L",
        (start + per_class * (width + _GAP) - _GAP + _MARGIN, len(classes) * row + 2 * _MARGIN),
        _PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    for label in range(len(classes)):
        top = _MARGIN + label * row
        center = top + (row - _GAP) // 2
        fonts.draw(draw, (_MARGIN, center), texts[label], _SMALL, _INK)
        fonts.draw(draw, (_MARGIN + text_width + 10, center), characters[label], large, _INK)
        for column, at in enumerate(np.flatnonzero(labels == label)[:per_class]):
            tile = Image.fromarray(images[at]).resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(tile, (start + column * (width + _GAP), center - height // 2))
    return sheet
