"""Pages with several characters, composed of published 28 x 28 images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from _picture_kinds import cropped, encoded, noisy, shading
from PIL import Image

from oraclezoo.imaging.find import Box
from oraclezoo.imaging.polarity import Gray
from oraclezoo.imaging.several import Order

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Page:
    """A picture file and the box of each character, in reading order."""

    data: bytes
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """How pages are made, and the order to read them in."""

    how: str
    make: Callable[[list[Gray], Rng], Page]
    order: Order


def enlarged(gray: Gray, times: float) -> Gray:
    """Return an image without its black padding, enlarged (bicubic)."""
    inside = cropped(gray)
    size = [max(1, round(times * edge)) for edge in inside.shape[::-1]]
    return np.asarray(Image.fromarray(inside).resize(size, Image.Resampling.BICUBIC))


def inked(gray: Gray) -> Gray:
    """Return the strokes of an image: gray values above its background, stretched to 0 to 255."""
    top, ground = float(gray.max()), float(np.quantile(gray, 0.6))
    if top - ground < 60:  # broken surface covers most of it
        ground = float(np.quantile(gray, 0.2))
    low = ground + 0.15 * (top - ground)
    strokes = (gray - low) / max(top - low, 1)
    return np.rint(255 * strokes.clip(0, 1)).astype(np.uint8)


def arranged(
    tiles: Sequence[Gray],
    rng: Rng,
    order: Order,
    gap: tuple[float, float],
    lines: int,
    ink: int = 60,
) -> tuple[Gray, tuple[Box, ...]]:
    """Put light tiles on black in columns from right to left, or in rows from top to bottom.

    The gaps between characters are uniform within ``gap``, in longest edges of a tile. A box
    contains the gray values above ``ink``.
    """
    edge = max(max(tile.shape) for tile in tiles)
    per_line = -(-len(tiles) // lines)
    step = edge * (1 + gap[1])
    page = np.zeros((round(step * (per_line + 2)), round(step * (lines + 2))), np.uint8)
    if order == "rows":
        page = page.T.copy()
    boxes = []
    for line in range(lines):
        at = edge * rng.uniform(0.3, 1)
        for tile in tiles[line * per_line : (line + 1) * per_line]:
            height, width = tile.shape
            middle = round(step * (line + 1))
            if order == "columns":
                y, x = round(at), page.shape[1] - middle - width // 2
                at += height + edge * rng.uniform(*gap)
            else:
                y, x = middle - height // 2, round(at)
                at += width + edge * rng.uniform(*gap)
            part = page[y : y + height, x : x + width]
            np.maximum(part, tile, out=part)
            rows, columns = np.flatnonzero(tile.max(1) > ink), np.flatnonzero(tile.max(0) > ink)
            boxes.append(
                Box(
                    x + int(columns[0]),
                    y + int(rows[0]),
                    int(columns[-1] - columns[0]) + 1,
                    int(rows[-1] - rows[0]) + 1,
                )
            )
    return page, tuple(boxes)


def contact_sheet(images: list[Gray], rng: Rng) -> Page:
    """Scans in rows on a white sheet."""
    tiles = [enlarged(image, 3) for image in images]
    tiles = [np.maximum(tile, 1) for tile in tiles]  # 0 is the sheet
    lines = max(1, round(len(tiles) ** 0.5))
    page, boxes = arranged(tiles, rng, "rows", (0.15, 0.5), lines, ink=0)
    return Page(encoded(np.where(page == 0, 250, page).astype(np.uint8)), boxes)


def inscription(images: list[Gray], rng: Rng) -> Page:
    """Strokes in ink on cream paper, in columns, with light that falls off."""
    tiles = [inked(enlarged(image, 4 * rng.uniform(0.8, 1.1))) for image in images]
    lines = max(1, len(tiles) // 6)
    page, boxes = arranged(tiles, rng, "columns", (0.15, 0.4), lines)
    levels = (225 - page.astype(np.float64) * 0.75) * shading(page.shape, 0.8, rng)
    return Page(encoded(noisy(levels, rng, 2), "JPEG", quality=88), boxes)


def rubbing(images: list[Gray], rng: Rng) -> Page:
    """Light strokes on dark, noisy stone, in columns."""
    tiles = [inked(enlarged(image, 4 * rng.uniform(0.8, 1.1))) for image in images]
    page, boxes = arranged(tiles, rng, "columns", (0.15, 0.4), max(1, len(tiles) // 6))
    return Page(encoded(noisy(30 + page.astype(np.float64) * 0.8, rng, 6)), boxes)


def line(images: list[Gray], rng: Rng) -> Page:
    """Strokes in black on white, in one row."""
    tiles = [inked(enlarged(image, 3 * rng.uniform(0.8, 1.2))) for image in images]
    page, boxes = arranged(tiles, rng, "rows", (0.2, 0.6), 1)
    return Page(encoded(255 - page), boxes)


KINDS: dict[str, Kind] = {
    "contact sheet": Kind(
        "scans of 84 px in rows on white; gaps of 15 to 50% of a scan", contact_sheet, "rows"
    ),
    "line": Kind("strokes of scans in black on white, one row; gaps of 20 to 60%", line, "rows"),
    "ink": Kind(
        "strokes of scans in brown ink on cream paper, in columns, light falling off to 80%, "
        "noise of 2 gray levels, JPEG 88; gaps of 15 to 40%",
        inscription,
        "columns",
    ),
    "rubbing": Kind(
        "strokes of scans, light on dark stone with noise of 6 gray levels, in columns; gaps of "
        "15 to 40%",
        rubbing,
        "columns",
    ),
}
