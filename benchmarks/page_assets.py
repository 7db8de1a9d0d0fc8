"""Write the drawing page's characters and example pictures.

    python benchmarks/page_assets.py [--out FOLDER]

``characters.json`` has the meaning and the oracle form of each of the ten characters as an SVG
path; ``examples/`` has a picture of each. Both come from the project's own forms
(data/glyphs/oracle.toml).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from _drawings import TIMES
from _picture_kinds import Color, encoded, inked, noisy, shading
from PIL import Image

from oraclezoo.data.characters import CLASSES
from oraclezoo.data.foreign.pen import stroked
from oraclezoo.data.glyphs.forms import ORACLE, arranged
from oraclezoo.data.glyphs.strokes import Form, Point, Stroke
from oraclezoo.data.glyphs.written import read
from oraclezoo.imaging.polarity import Gray
from oraclezoo.page.files import STATIC

SHOWS = (
    "a person standing, arms apart",
    "the disk of the sun",
    "a half moon",
    "the head of an ox, with horns",
    "a wing; borrowed for “the next day”",
    "a field and the paths that divide it",
    "a bent line with marks beside it; borrowed for “do not”",
    "an arrow: head, shaft and tail",
    "a small child; a sign of the calendar",
    "a tree with branches and roots",
)
"""What each character shows, in label order."""

EDGE = 100
"""Longer edge of a form's SVG path."""

Doubles = npt.NDArray[np.float64]


def path(form: Form) -> tuple[str, tuple[float, float]]:
    """Return the strokes of a form as SVG path data, and their width and height."""
    longest = max(form.aspect, 1.0)
    width, height = EDGE * form.aspect / longest, EDGE / longest
    parts = [_stroke_path(stroke, width, height) for stroke in form.strokes]
    return " ".join(parts), (round(width, 1), round(height, 1))


def _stroke_path(stroke: Stroke, width: float, height: float) -> str:
    points = [(x * width, y * height) for x, y in stroke.points]
    closed = stroke.kind in ("ring", "loop")
    steps = len(points) if closed else len(points) - 1
    words = ["M", _pair(points[0])]
    for step in range(steps):
        before, start, end, after = (_at(points, step + k, closed) for k in (-1, 0, 1, 2))
        if stroke.kind in ("curve", "loop"):  # a Catmull-Rom segment is a cubic Bezier curve
            first = tuple(s + (e - b) / 6 for b, s, e in zip(before, start, end, strict=True))
            second = tuple(e - (a - s) / 6 for s, e, a in zip(start, end, after, strict=True))
            words += ["C", _pair(first), _pair(second), _pair(end)]
        else:
            words += ["L", _pair(end)]
    return " ".join([*words, "Z"] if closed else words)


def _at(points: list[Point], index: int, closed: bool) -> Point:
    if closed:
        return points[index % len(points)]
    return points[min(max(index, 0), len(points) - 1)]


def _pair(point: tuple[float, ...]) -> str:
    return " ".join(f"{value:.1f}".removesuffix(".0") for value in point)


def characters() -> str:
    """Return ``characters.json``."""
    rows = []
    for character, shows in zip(read(ORACLE), SHOWS, strict=True):
        data, (width, height) = path(character.forms[0])
        rows.append(
            {
                "glyph": character.glyph,
                "meaning": character.name,
                "shows": shows,
                "width": width,
                "height": height,
                "path": data,
            }
        )
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


@dataclass(frozen=True, slots=True)
class Material:
    """What a character is drawn with and on; ``noise`` is in gray levels, ``light`` the darkest."""

    paper: Color
    ink: Color
    pen: float
    noise: float
    light: float = 1.0
    ruled: bool = False


MATERIALS = (
    Material((226, 205, 168), (84, 50, 30), 12, 2.5, 0.8),  # brown ink on old paper
    Material((34, 32, 30), (214, 210, 202), 13, 5),  # a rubbing
    Material((250, 250, 248), (28, 56, 132), 9, 1, ruled=True),  # a pen on squared paper
    Material((52, 78, 66), (236, 236, 228), 11, 3, 0.9),  # chalk
    Material((246, 238, 214), (176, 34, 30), 18, 2),  # cinnabar
)


def example(label: int, size: int = 320) -> bytes:
    """Return a picture of a character as a JPEG file."""
    material = MATERIALS[label % len(MATERIALS)]
    rng = np.random.default_rng([17, label])
    ink = _ink(label, rng, material.pen, size)
    picture = inked(ink, material.paper, material.ink)
    if material.ruled:
        lines = np.zeros((size, size), bool)
        lines[9::20], lines[:, 9::20] = True, True
        picture[lines & (ink == 0)] = (214, 226, 234)
    if material.light < 1:
        picture *= shading((size, size), material.light, rng)[..., None]
    return encoded(Image.fromarray(noisy(picture, rng, material.noise)), "JPEG", quality=85)


def _ink(label: int, rng: np.random.Generator, pen: float, size: int) -> Gray:
    """Draw the first form of a character, a little bent, somewhere on a square."""
    known = arranged(read(ORACLE))
    form = int(np.flatnonzero(known.label == label)[0])
    control = known.control[form] + rng.normal(0, 0.012, known.control[form].shape)
    points: Doubles = (control[known.neighbor[form]] * known.weight[form][..., None]).sum(1)
    points[:, 0] *= known.aspect[form]
    points -= points.min(0)
    points *= rng.uniform(0.42, 0.56) * size / points.max()
    room = size - 2 * 36 - points.max(0)
    points += 36 + rng.uniform(0.2, 0.8, 2) * room
    strokes = [points[known.stroke[form] == stroke] for stroke in np.unique(known.stroke[form])]
    return 255 - stroked(strokes, pen, (size, size), TIMES)


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=STATIC)
    out: Path = parser.parse_args().out
    (out / "examples").mkdir(parents=True, exist_ok=True)
    (out / "characters.json").write_text(characters(), encoding="utf-8")
    for label, name in enumerate(CLASSES):
        (out / "examples" / f"{name}.jpg").write_bytes(example(label))


if __name__ == "__main__":
    main()
