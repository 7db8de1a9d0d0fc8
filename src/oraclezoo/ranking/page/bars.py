"""Inline SVG for a row: its confidence interval on a common scale, and its ties."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from oraclezoo.ranking.page.text import element, empty
from oraclezoo.ranking.rows import Row
from oraclezoo.ranking.text import ranges, runs

WIDTH, HEIGHT = 96, 14
CELL, STRIP = 8, 80
"""Maximum width in pixels of one cell, and of all cells together, in the strip of ties."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale from ``low`` to ``high`` percent, logarithmic in the error as in the charts.

    ``least`` is the smallest error on the scale, in percent.
    """

    low: float
    high: float
    least: float

    def __call__(self, accuracy: float) -> float:
        """Return the horizontal position of an accuracy, from 0 to WIDTH."""
        low, high, at = (spaced(v, self.least) for v in (self.low, self.high, accuracy))
        return WIDTH * min(max((at - low) / (high - low), 0.0), 1.0)


def scale_of(rows: Sequence[Row], images: int) -> Scale:
    """Return a scale that covers all intervals; ``images`` is the number of test images."""
    bounds = [
        value
        for row in rows
        for value in (row.accuracy_percent, row.ci95_low_percent, row.ci95_high_percent)
        if value is not None
    ]
    low = max(0.0, math.floor(min(bounds, default=0.0)))
    high = min(100.0, math.ceil(max(bounds, default=100.0)))
    least = 50 / images
    return Scale(min(low, high - 1, max(0.0, 100 - 4 * least)), high, least)


def spaced(accuracy: float, least: float) -> float:
    """Return the negative logarithm of the error; both arguments are in percent."""
    return -math.log10(min(max(100 - accuracy, least), 100))


def interval(row: Row, scale: Scale) -> str:
    """Draw the 95% interval as a bar with a line at the mean, or the mean alone."""
    if row.accuracy_percent is None:
        return ""
    mean = scale(row.accuracy_percent)
    parts = [empty("line", class_="oz-track", x1=0, y1=7, x2=WIDTH, y2=7)]
    label = f"mean {row.accuracy_percent:.2f}%, no interval"
    if row.ci95_low_percent is not None and row.ci95_high_percent is not None:
        low, high = scale(row.ci95_low_percent), scale(row.ci95_high_percent)
        parts.append(
            empty(
                "rect", class_="oz-ci", x=f"{low:.1f}", y=4, width=f"{max(high - low, 1):.1f}",
                height=6, rx=1,
            )
        )  # fmt: skip
        label = (
            f"mean {row.accuracy_percent:.2f}%, 95% interval {row.ci95_low_percent:.2f} to "
            f"{row.ci95_high_percent:.2f}"
        )
    parts.append(
        empty("line", class_="oz-mean", x1=f"{mean:.1f}", y1=1, x2=f"{mean:.1f}", y2=HEIGHT - 1)
    )
    label += f"; bar from {scale.low:g} to {scale.high:g}%"
    return _svg("oz-bar", WIDTH, label, parts)


def ties(row: Row, rows: Sequence[Row]) -> str:
    """Draw a strip with one cell per row of the table, which highlights this row and its ties."""
    if not row.compared_with:
        return ""
    width = min(CELL, STRIP / len(rows))
    gap = 1 if width > 3 else 0
    parts = [_cells("oz-apart", 1, len(rows), width, gap)]
    parts += [_cells("oz-tie", first, last, width, gap) for first, last in runs(row.ties_with)]
    parts.append(_cells("oz-self", row.number, row.number, width, gap))
    label = f"row {row.number} of {len(rows)}; ties with {ranges(row.ties_with)}"
    return _svg("oz-strip", round(width * len(rows)), label, parts)


def _cells(kind: str, first: int, last: int, width: float, gap: int) -> str:
    """Draw consecutive rows as one rectangle."""
    wide = max((last - first + 1) * width - gap, 0.8)
    left = (first - 1) * width
    return empty("rect", class_=kind, x=f"{left:.2f}", y=3, width=f"{wide:.2f}", height=8)


def _svg(kind: str, width: int, label: str, parts: Sequence[str]) -> str:
    content = element("title", label) + "".join(parts)
    return element(
        "svg", content, class_=kind, viewBox=f"0 0 {width} {HEIGHT}", width=width, height=HEIGHT,
        role="img", aria_label=label,
    )  # fmt: skip
