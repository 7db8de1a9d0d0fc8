"""Scatter plot of accuracy against a cost, as deterministic SVG.

The vertical axis is logarithmic in the error, so that 98 to 99% spans the same distance as
80 to 90%. The horizontal axis is logarithmic in the cost.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from oraclezoo.ranking.page.bars import spaced
from oraclezoo.ranking.page.text import element, empty, safe
from oraclezoo.ranking.pareto import Cost, Point

WIDTH, HEIGHT = 480, 340
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 14, 46
GLYPH = 7
"""Maximum width of a character in a label, in pixels."""
SHAPES = ("circle", "square", "diamond", "up", "down", "plus")
AXES: dict[Cost, tuple[str, float]] = {
    "latency_ms": ("latency of one image, ms (p50)", 1.0),
    "size_bytes": ("saved weights or ONNX file, MB", 1e6),
    "train_s": ("training time, s (median over seeds)", 1.0),
}
"""Axis label and unit divisor for each cost."""
TICKS = (0, 20, 40, 60, 70, 80, 85, 90, 92, 94, 95, 96, 97, 98, 99, 99.5, 99.8, 99.9)


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear map from [low, high] to pixels [start, end]."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        fraction = (value - self.low) / (self.high - self.low)
        return self.start + fraction * (self.end - self.start)


def scatter(points: Sequence[Point], cost: Cost, *, images: int, names: bool = False) -> str:
    """Draw the points with their 95% intervals, and the Pareto front of each group.

    A label that would overlap the label of a more accurate point is omitted. The script of the page
    places the labels again, by their size in the browser and for the rows that a visitor selects.

    Args:
        points: The points to draw.
        cost: The cost on the horizontal axis.
        images: Number of test images N; errors below 0.5 / N are drawn as 0.5 / N.
        names: Whether to label only the points on the front, with full recipe names, and to leave
            out what the script needs. Otherwise, points that are not beaten are labeled too, with
            the last part of the name.
    """
    name, unit = AXES[cost]
    least = 50 / images
    across = _across([point.cost / unit for point in points])
    upright = _upright(points, least)
    groups = sorted({point.group for point in points})
    parts = _grid(across, upright, least, name)
    for index, group in enumerate(groups):
        members = [point for point in points if point.group == group]
        parts.append(_front(members, across, upright, unit, least, index))
    places = [
        (across(math.log10(point.cost / unit)), _height(point, upright, least)) for point in points
    ]
    shown = _without_overlaps([_label(point, names) for point in points], places)
    for point, place, label in zip(points, places, shown, strict=True):
        index = groups.index(point.group)
        parts.append(_mark(point, place, upright, least, index, label, live=not names))
    return element(
        "svg", "".join(parts), xmlns="http://www.w3.org/2000/svg", class_="oz-chart",
        viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=f"accuracy against {name}",
    )  # fmt: skip


def _label(point: Point, names: bool) -> str:
    if names:
        return point.row.label if point.on_front else ""
    return "" if point.beaten and not point.on_front else _brief(point)


def _brief(point: Point) -> str:
    """Return the label of a row without the folder of its recipe."""
    return point.row.label.rpartition("/")[2]


def _without_overlaps(labels: Sequence[str], places: Sequence[tuple[float, float]]) -> list[str]:
    """Return the labels, except those that overlap a label higher up."""
    visible = [""] * len(labels)
    boxes: list[tuple[float, float, float]] = []
    for index in sorted(range(len(labels)), key=lambda i: (places[i][1], i)):
        if not labels[index]:
            continue
        x, y, anchor = _beside(labels[index], places[index])
        wide = GLYPH * len(labels[index])
        left = x - wide if anchor == "end" else x
        if all(abs(y - b) >= 11 or left > end or left + wide < start for start, end, b in boxes):
            boxes.append((left, left + wide, y))
            visible[index] = labels[index]
    return visible


def _beside(label: str, place: tuple[float, float]) -> tuple[float, float, str]:
    """Return the position and text anchor of a point's label."""
    x, y = place
    flip = x + 7 + GLYPH * len(label) > WIDTH
    return x - 7 if flip else x + 7, y - 5, "end" if flip else "start"


def legend(points: Sequence[Point]) -> list[tuple[str, str]]:
    """Return the name and SVG symbol of each group, in the order of :func:`scatter`."""
    groups = sorted({point.group for point in points})
    entries = []
    for index, group in enumerate(groups):
        symbol = element(
            "g", _symbol(index, 7, 7), class_=f"oz-point oz-front oz-group{index % len(SHAPES)}"
        )
        symbol_svg = element(
            "svg", symbol, viewBox="0 0 14 14", width=14, height=14, aria_hidden="true"
        )
        entries.append((symbol_svg, group))
    return entries


def _across(costs: Sequence[float]) -> Axis:
    low, high = math.log10(min(costs)), math.log10(max(costs))
    margin = max(0.06 * (high - low), 0.1)
    return Axis(low - margin, high + margin, LEFT, WIDTH - RIGHT)


def _upright(points: Sequence[Point], least: float) -> Axis:
    bounds = [value for point in points for value in _ends(point)]
    low, high = spaced(min(bounds), least), spaced(max(bounds), least)
    margin = max(0.04 * (high - low), 0.03)
    return Axis(low - margin, high + margin, HEIGHT - BOTTOM, TOP)


def _ends(point: Point) -> tuple[float, float]:
    row = point.row
    middle = row.accuracy_percent or 0.0
    if row.ci95_low_percent is None or row.ci95_high_percent is None:
        return middle, middle
    return row.ci95_low_percent, row.ci95_high_percent


def _height(point: Point, upright: Axis, least: float) -> float:
    return upright(spaced(point.row.accuracy_percent or 0.0, least))


def _grid(across: Axis, upright: Axis, least: float, name: str) -> list[str]:
    parts = []
    last = math.inf
    for tick in TICKS:
        y = upright(spaced(tick, least))
        if not TOP <= y <= HEIGHT - BOTTOM or last - y < 18:
            continue
        last = y
        parts.append(_line("oz-grid", LEFT, y, WIDTH - RIGHT, y))
        parts.append(_text(f"{tick:g}", LEFT - 6, y + 4, "end"))
    for value in _ticks(across):
        x = across(math.log10(value))
        parts.append(_line("oz-grid", x, TOP, x, HEIGHT - BOTTOM))
        parts.append(_text(f"{value:g}", x, HEIGHT - BOTTOM + 16, "middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(_text(name, middle, HEIGHT - 8, "middle"))
    up = element(
        "text", "test accuracy, %", text_anchor="middle",
        transform=f"translate(12 {(TOP + HEIGHT - BOTTOM) / 2:.1f}) rotate(-90)",
    )  # fmt: skip
    return [*parts, up]


def _ticks(across: Axis) -> list[float]:
    """Return the finest of several sets of round numbers that fits on the axis."""
    decades = range(math.floor(across.low), math.ceil(across.high) + 1)
    steps: tuple[tuple[int, ...], ...] = ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))
    for each in steps:
        ticks = [m * 10.0**d for d in decades for m in each]
        ticks = [t for t in ticks if across.low <= math.log10(t) <= across.high]
        places = [across(math.log10(tick)) for tick in ticks]
        if all(b - a >= 34 for a, b in itertools.pairwise(places)):
            return ticks
    return ticks


def _front(
    members: Sequence[Point], across: Axis, upright: Axis, unit: float, least: float, index: int
) -> str:
    """Draw the Pareto front of a group as a step line."""
    first = sorted((p for p in members if p.on_front), key=lambda p: p.cost)
    places = [(across(math.log10(p.cost / unit)), _height(p, upright, least)) for p in first]
    path = f"M{places[0][0]:.1f} {places[0][1]:.1f}"
    for x, y in places[1:]:
        path += f"H{x:.1f}V{y:.1f}"
    return empty("path", class_=f"oz-line oz-group{index % len(SHAPES)}", d=path, fill="none")


def _mark(
    point: Point,
    place: tuple[float, float],
    upright: Axis,
    least: float,
    index: int,
    label: str,
    *,
    live: bool,
) -> str:
    row, (x, y) = point.row, place
    low, high = (upright(spaced(end, least)) for end in _ends(point))
    state = "oz-front" if point.on_front else "oz-beaten" if point.beaten else "oz-open"
    title = f"{row.number}: {row.label}, {row.accuracy_percent:.2f}%"
    content = element("title", safe(title))
    content += _line("oz-whisker", x, low, x, high) + _symbol(index, x, y)
    if label:
        content += _text(label, *_beside(label, place))
    kind = f"oz-point {state} oz-group{index % len(SHAPES)}"
    data = {"data_x": f"{x:.1f}", "data_y": f"{y:.1f}", "data_label": _brief(point)} if live else {}
    return element("g", content, class_=kind, data_row=row.number, **data)


def _symbol(index: int, x: float, y: float) -> str:
    shape = SHAPES[index % len(SHAPES)]
    if shape == "circle":
        return empty("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=4.5)
    outline = {
        "square": "-4 -4h8v8h-8z",
        "diamond": "0 -5.5l5.5 5.5l-5.5 5.5l-5.5 -5.5z",
        "up": "0 -5.5l5 9h-10z",
        "down": "0 5.5l5 -9h-10z",
        "plus": "-2 -5h4v3h3v4h-3v3h-4v-3h-3v-4h3z",
    }[shape]
    dx, dy, rest = _start(outline)
    return empty("path", d=f"M{x + dx:.1f} {y + dy:.1f}{rest}")


def _start(outline: str) -> tuple[float, float, str]:
    """Split an outline into its first two numbers and the remaining text."""
    dx, _, after = outline.partition(" ")
    end = next(i for i, c in enumerate(after) if c.isalpha())
    return float(dx), float(after[:end]), after[end:]


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return empty(
        "line", class_=kind, x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}"
    )


def _text(text: str, x: float, y: float, anchor: str) -> str:
    return element("text", safe(text), x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)
