"""Data structures for written characters: strokes, written variants and classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["line", "ring", "curve", "loop"]
KINDS: tuple[Kind, ...] = ("line", "ring", "curve", "loop")
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Stroke:
    """Points (x, y), y downward, joined by lines or a spline, open or closed (ring, loop)."""

    kind: Kind
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """A written variant of a character.

    Attributes:
        strokes: Strokes in the unit box.
        aspect: Width over height of the strokes' bounding box.
        weight: Frequency relative to the class's other variants.
    """

    strokes: tuple[Stroke, ...]
    aspect: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Character:
    """A class of characters.

    Attributes:
        name: Class name.
        forms: Written variants.
        glyph: The modern character, or "".
        thickness: Stroke width in pixels, for a longer side of 28.
        margin: Margin around the ink on each side, as a fraction of the longer side.
        mirrored: Fraction of images that are mirrored.
    """

    name: str
    forms: tuple[Form, ...]
    glyph: str = ""
    thickness: float = 1.9
    margin: float = 0.08
    mirrored: float = 0.0
