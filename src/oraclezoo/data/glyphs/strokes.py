"""Records of written characters: strokes, forms and classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["line", "ring", "curve", "loop"]
KINDS: tuple[Kind, ...] = ("line", "ring", "curve", "loop")
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Stroke:
    """Points (x, y), y downward, joined straight or smoothly, open or closed (ring, loop)."""

    kind: Kind
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """One way of writing a character.

    ``weight``: how often, relative to the class's other forms. ``aspect``: width over height of the
    strokes' bounding box, into which any coordinates are fitted.
    """

    strokes: tuple[Stroke, ...]
    aspect: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Character:
    """One class: its name, the character it stands for (or ""), its forms, and how it is written.

    ``thickness``: pixels, where the longer edge is 28. ``margin``: share of the longer edge around
    the ink, on each side. ``mirrored``: share of images that are mirrored.
    """

    name: str
    forms: tuple[Form, ...]
    glyph: str = ""
    thickness: float = 1.9
    margin: float = 0.08
    mirrored: float = 0.0
