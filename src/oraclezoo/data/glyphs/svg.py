"""Read strokes from SVG files: the center lines of shapes, regardless of width and color.

The svgelements library parses paths and basic shapes, groups, transforms and ``use``.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from oraclezoo.data.glyphs.strokes import Kind, Point, Stroke
from oraclezoo.documents import read_file
from oraclezoo.errors import DataError

MAX_BYTES = 1 << 20
"""Maximum size of an SVG file in bytes."""

MAX_ELEMENTS = 10_000
"""Maximum number of elements; a target of ``use`` counts once for every use."""

MAX_COORDINATE = 1e6
"""Maximum magnitude of coordinates in pixels."""

_INNER = (1 / 3, 2 / 3)
"""Curve parameters of additional points, which keep the spline close to the curve."""
_CORNER = math.cos(math.radians(50))
"""Cosine of the maximum angle between the chords of two curves that join smoothly."""


def read_svg(path: Path) -> tuple[Stroke, ...]:
    """Read the strokes of an SVG file.

    Args:
        path: The file, whose size is at most :data:`MAX_BYTES`.

    Returns:
        The strokes, in pixels of the viewport, y downward.

    Raises:
        DataError: If the file cannot be read, is too large or contains no shapes.
    """
    try:
        content = read_file(path, MAX_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # too large, or an invalid file name
        advice = "; simplify the SVG" if path.name.isprintable() else ""
        raise DataError(f"{path}: {error}{advice}") from error
    import svgelements

    try:
        if _expanded(ElementTree.fromstring(content)) > MAX_ELEMENTS:
            raise ValueError(f"more than {MAX_ELEMENTS:,} elements once 'use' is resolved")
        drawing = svgelements.SVG.parse(io.BytesIO(content))
        shapes = [each for each in drawing.elements() if isinstance(each, svgelements.Shape)]
        strokes = tuple(
            stroke
            for shape in shapes
            for walk in _walks(svgelements.Path(shape))
            for stroke in _split(*walk)
        )
    except Exception as error:  # svgelements raises exceptions of many types
        raise DataError(f"{path}: cannot be read as SVG ({error})") from error
    if not strokes:
        raise DataError(f"{path}: contains no path, line or other shape")
    return strokes


def _expanded(root: ElementTree.Element) -> int:
    """Return the number of elements after replacing each ``use`` by its target.

    For an element that refers to itself, the number exceeds the limit.
    """
    named = {each.get("id"): each for each in root.iter() if each.get("id")}
    counts: dict[ElementTree.Element, int] = {}

    def count(element: ElementTree.Element, above: frozenset[ElementTree.Element]) -> int:
        if element in above:
            return MAX_ELEMENTS + 1
        if element not in counts:
            below = above | {element}
            reference = element.get("href") or element.get("{http://www.w3.org/1999/xlink}href")
            used = named.get(reference[1:]) if reference and reference.startswith("#") else None
            counts[element] = 1 + sum(count(child, below) for child in element)
            if used is not None:
                counts[element] += count(used, below)
        return counts[element]

    return count(root, frozenset())


Segment = tuple[bool, list[Point]]
"""Whether a segment is curved, and its points, including both endpoints."""


def _walks(path: Any) -> Iterator[tuple[list[Segment], bool]]:
    """Yield the segments of each subpath of an svgelements.Path, and whether it is closed."""
    segments: list[Segment] = []
    for piece in path:
        name = type(piece).__name__
        if name == "Move":
            if segments:
                yield segments, False
            segments = []
            continue
        curved = name not in ("Line", "Close")
        at = (0.0, *_INNER, 1.0) if curved else (0.0, 1.0)
        points = [_rounded(piece.point(t)) for t in at] if piece.start != piece.end else []
        if len(set(points)) > 1:
            segments.append((curved, points))
        if name == "Close":
            if segments:
                yield segments, True
            segments = []
    if segments:
        yield segments, False


def _rounded(point: Any) -> Point:
    """Return a point rounded to 4 digits, so that coincident endpoints are equal."""
    if not max(abs(point.x), abs(point.y)) <= MAX_COORDINATE:
        raise ValueError(f"a coordinate is beyond {MAX_COORDINATE:,.0f}")
    return round(float(point.x), 4), round(float(point.y), 4)


def _split(segments: list[Segment], closed: bool) -> Iterator[Stroke]:
    """Yield the strokes of a subpath: straight sections, and smooth sections that end at corners.

    Strokes that meet share a point, so they stay connected when the character is warped.
    """
    runs = [segments[:1]]
    for before, after in itertools.pairwise(segments):
        corner = before[0] and after[0] and _turns(before[1], after[1])
        if before[0] != after[0] or corner:
            runs.append([])
        runs[-1].append(after)
    for run in runs:
        points = [run[0][1][0], *(point for _, inner in run for point in inner[1:])]
        ring = closed and len(runs) == 1 and len(points) > 3 and points[0] == points[-1]
        if ring and run[0][0] and _turns(run[-1][1], run[0][1]):
            ring = False
        kinds: tuple[Kind, Kind] = ("curve", "loop") if run[0][0] else ("line", "ring")
        yield Stroke(kinds[ring], tuple(points[:-1] if ring else points))


def _turns(before: list[Point], after: list[Point]) -> bool:
    """Return whether two curves meet at a corner, according to the chords on both sides."""
    (ax, ay), (bx, by), (cx, cy) = before[-2], before[-1], after[1]
    ux, uy, vx, vy = bx - ax, by - ay, cx - bx, cy - by
    size = math.hypot(ux, uy) * math.hypot(vx, vy)
    return size > 0 and (ux * vx + uy * vy) / size < _CORNER
