"""Bars: an interval on a scale that all rows share, and which rows a row ties with."""

from __future__ import annotations

import math
from collections.abc import Sequence

from oraclezoo.leaderboard.page.text import element, empty
from oraclezoo.leaderboard.render import ranges
from oraclezoo.leaderboard.table import Row

WIDTH, HEIGHT = 120, 14
CELL = 8
"""Widest a row is drawn in the strip of ties."""


def bounds(rows: Sequence[Row]) -> tuple[float, float]:
    """Ends of the scale that holds each row's interval, on multiples of five percent."""
    ends = [
        value
        for row in rows
        for value in (row.accuracy_percent, row.ci95_low_percent, row.ci95_high_percent)
        if value is not None
    ]
    if not ends:
        return 0.0, 100.0
    low = max(0.0, 5 * math.floor(min(ends) / 5))
    return low, max(min(100.0, 5 * math.ceil(max(ends) / 5)), low + 5)


def interval(row: Row, scale: tuple[float, float]) -> str:
    """The 95% interval as a bar, the mean as a line across it; the mean alone without interval."""
    if row.accuracy_percent is None:
        return ""
    mean = _place(row.accuracy_percent, scale)
    parts = [empty("line", class_="oz-track", x1=0, y1=7, x2=WIDTH, y2=7)]
    said = f"mean {row.accuracy_percent:.2f}%, no interval"
    if row.ci95_low_percent is not None and row.ci95_high_percent is not None:
        low, high = _place(row.ci95_low_percent, scale), _place(row.ci95_high_percent, scale)
        parts.append(
            empty(
                "rect", class_="oz-ci", x=f"{low:.1f}", y=4, width=f"{max(high - low, 1):.1f}",
                height=6, rx=1,
            )
        )  # fmt: skip
        said = (
            f"mean {row.accuracy_percent:.2f}%, 95% interval {row.ci95_low_percent:.2f} to "
            f"{row.ci95_high_percent:.2f}"
        )
    parts.append(
        empty("line", class_="oz-mean", x1=f"{mean:.1f}", y1=1, x2=f"{mean:.1f}", y2=HEIGHT - 1)
    )
    said += f"; bar from {scale[0]:g} to {scale[1]:g}%"
    return _svg("oz-bar", WIDTH, said, parts)


def ties(row: Row, rows: Sequence[Row]) -> str:
    """A strip with a cell for each row of the table: this one, and those it is not told from."""
    if not row.compared_with:
        return ""
    width = min(CELL, 96 / len(rows))
    parts = []
    for other in rows:
        kind = (
            "oz-self"
            if other.number == row.number
            else "oz-tie"
            if other.number in row.ties_with
            else "oz-apart"
        )
        left = (other.number - 1) * width
        parts.append(
            empty(
                "rect", class_=kind, x=f"{left:.2f}", y=3, width=f"{max(width - 1, 0.8):.2f}",
                height=8,
            )
        )  # fmt: skip
    said = f"row {row.number} of {len(rows)}; ties with {ranges(row.ties_with)}"
    return _svg("oz-strip", round(width * len(rows)), said, parts)


def _place(value: float, scale: tuple[float, float]) -> float:
    low, high = scale
    return WIDTH * min(max((value - low) / (high - low), 0.0), 1.0)


def _svg(kind: str, width: int, said: str, parts: Sequence[str]) -> str:
    drawn = element("title", said) + "".join(parts)
    return element(
        "svg", drawn, class_=kind, viewBox=f"0 0 {width} {HEIGHT}", width=width, height=HEIGHT,
        role="img", aria_label=said,
    )  # fmt: skip
