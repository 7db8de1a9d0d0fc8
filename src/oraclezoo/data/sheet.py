"""Contact sheet: some images of each class, next to its label, name and glyph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from oraclezoo.data.characters import GLYPHS
from oraclezoo.errors import DataError, UsageError

COVERED = frozenset(map(chr, range(0x20, 0x7F))) | frozenset(GLYPHS)
"""Characters in the label font."""

FONT = Path(__file__).parent / "fonts" / "labels.otf"
"""The label font, with the characters in :data:`COVERED`."""

_PAPER, _INK, _FAINT = 255, 0, 128  # gray levels
_GAP = 2  # pixels between images
_MARGIN = 12  # pixels around everything
_MIN_ROW = 34  # pixels: a row holds two lines of text


def printable(text: str) -> str:
    """Replace characters that are missing from the label font.

    Args:
        text: The text.

    Returns:
        The text with missing characters written as U+XXXX.
    """
    return "".join(c if c in COVERED else f"U+{ord(c):04X}" for c in text)


def contact_sheet(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    classes: Sequence[str],
    glyphs: Sequence[str],
    *,
    per_class: int = 10,
    scale: int = 3,
) -> Image.Image:
    """Draw a contact sheet with one row per class, which starts with label, name and glyph.

    Args:
        images: uint8 ``(N, H, W)``.
        labels: int64 ``(N,)``, below ``len(classes)``.
        classes: Class names, in label order.
        glyphs: Character of each class.
        per_class: Number of images per class.
        scale: Zoom factor, screen pixels per image pixel.

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
    large = ImageFont.truetype(FONT, min(max(height // 2, 20), 44))
    small = ImageFont.truetype(FONT, 15)
    characters = [printable(glyph) for glyph in glyphs]
    texts = [f"{label}  {printable(name)}" for label, name in enumerate(classes)]
    text_width = _widest(small, texts)
    start = _MARGIN + text_width + 10 + _widest(large, characters) + 14
    sheet = Image.new(
        "L",
        (start + per_class * (width + _GAP) - _GAP + _MARGIN, len(classes) * row + 2 * _MARGIN),
        _PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    for label in range(len(classes)):
        top = _MARGIN + label * row
        centre = top + (row - _GAP) // 2
        draw.text((_MARGIN, centre), texts[label], _INK, small, anchor="lm")
        draw.text((_MARGIN + text_width + 10, centre), characters[label], _INK, large, anchor="lm")
        for column, at in enumerate(np.flatnonzero(labels == label)[:per_class]):
            tile = Image.fromarray(images[at]).resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(tile, (start + column * (width + _GAP), centre - height // 2))
    return sheet


def _widest(font: ImageFont.FreeTypeFont, texts: Sequence[str]) -> int:
    return max((round(font.getlength(text)) for text in texts), default=0)
