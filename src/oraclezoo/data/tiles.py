"""Pictures composed of small images: rows of image groups, or cells with captions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from oraclezoo.contracts import Dataset
from oraclezoo.data.lettering import Lettering
from oraclezoo.errors import DataError, UsageError

Images = npt.NDArray[np.uint8]

_PAPER, _INK = 255, 0  # gray levels
_GAP, _GROUP_GAP, _MARGIN = 2, 10, 12  # pixels
_TEXT, _LINE = 13, 16  # pixels: font size, line height


def rows_sheet(rows: Sequence[tuple[str, Sequence[Images]]], *, scale: int = 2) -> Image.Image:
    """Draw a picture with one row per entry: its text, then its groups of images.

    Args:
        rows: Text and groups of images, uint8 ``(K, H, W)``, of each row.
        scale: Zoom factor in screen pixels per image pixel.

    Returns:
        A gray picture.

    Raises:
        DataError: If there are no images.
    """
    if not rows or not rows[0][1]:
        raise DataError("a contact sheet requires at least one image")
    _, height, width = rows[0][1][0].shape
    fonts = Lettering(text for text, _ in rows)
    start = _MARGIN + max(fonts.width(text, _TEXT) for text, _ in rows) + _GROUP_GAP
    step_x, step_y = width * scale + _GAP, max(height * scale, _LINE) + _GAP
    widest = max(
        sum(len(group) for group in groups) * step_x + (len(groups) - 1) * _GROUP_GAP
        for _, groups in rows
    )
    sheet = Image.new("L", (start + widest + _MARGIN, len(rows) * step_y + 2 * _MARGIN), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for row, (text, groups) in enumerate(rows):
        x, y = start, _MARGIN + row * step_y
        fonts.draw(draw, (_MARGIN, y + (step_y - _GAP) // 2), text, _TEXT, _INK)
        for group in groups:
            for image in group:
                sheet.paste(_tile(image, scale), (x, y))
                x += step_x
            x += _GROUP_GAP
    return sheet


def classes_beside(
    left: Dataset,
    right: Dataset,
    split: str,
    per_class: int,
    say: Callable[[str], None] | None = None,
) -> Image.Image:
    """Draw images of two data sets side by side, one row per class.

    Args:
        left: The data set on the left.
        right: The data set on the right, with the same classes.
        split: Name of the split.
        per_class: Number of images per class and data set.
        say: Receives a message if some names cannot be drawn with any font.

    Returns:
        A gray picture.

    Raises:
        UsageError: If the classes differ.
        DataError: If a split cannot be read.
    """
    if left.classes != right.classes:
        raise UsageError("two tracks can be shown side by side only if they have the same classes")
    parts = [left.split(split), right.split(split)]
    fonts = Lettering([*left.classes, *left.glyphs], say)
    return rows_sheet(
        [
            (
                fonts.label(label, name, glyph),
                [part.images[np.flatnonzero(part.labels == label)[:per_class]] for part in parts],
            )
            for label, (name, glyph) in enumerate(zip(left.classes, left.glyphs, strict=True))
        ]
    )


def captioned_sheet(
    cells: Sequence[tuple[Sequence[str], Images]], *, columns: int = 6, scale: int = 3
) -> Image.Image:
    """Draw a picture of cells in reading order: images side by side, above lines of text.

    Args:
        cells: Text lines and images, uint8 ``(K, H, W)``, of each cell; K, the image size and the
            number of lines may differ between cells.
        columns: Number of cells per row.
        scale: Zoom factor in screen pixels per image pixel.

    Returns:
        A gray picture.

    Raises:
        DataError: If there are no cells.
    """
    if not cells:
        raise DataError("a contact sheet requires at least one image")
    fonts = Lettering(text for texts, _ in cells for text in texts)
    lines = max(len(texts) for texts, _ in cells)
    widths = [fonts.width(text, _TEXT) for texts, _ in cells for text in texts]
    widths += [len(images) * (images.shape[2] * scale + _GAP) for _, images in cells]
    high = max(images.shape[1] for _, images in cells) * scale
    step_x, step_y = max(widths) + _GROUP_GAP, high + lines * _LINE + _GROUP_GAP
    columns = min(columns, len(cells))
    size = (columns * step_x + 2 * _MARGIN, -(-len(cells) // columns) * step_y + 2 * _MARGIN)
    sheet = Image.new("L", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    for at, (texts, images) in enumerate(cells):
        x, y = _MARGIN + at % columns * step_x, _MARGIN + at // columns * step_y
        for place, image in enumerate(images):
            sheet.paste(_tile(image, scale), (x + place * (image.shape[1] * scale + _GAP), y))
        for line, text in enumerate(texts):
            fonts.draw(draw, (x, y + high + 2 + line * _LINE + _LINE // 2), text, _TEXT, _INK)
    return sheet


def _tile(image: Images, scale: int) -> Image.Image:
    height, width = image.shape
    return Image.fromarray(image).resize((width * scale, height * scale), Image.Resampling.NEAREST)
