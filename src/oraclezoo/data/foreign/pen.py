"""Clean pen drawings on a canvas: known characters, and random strokes that form none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from oraclezoo.data.glyphs.forms import Forms
from oraclezoo.data.glyphs.strokes import Character, Form, Stroke
from oraclezoo.imaging.polarity import Gray

Rng = np.random.Generator
Points = npt.NDArray[np.float64]


def drawing(known: Forms, form: int, rng: Rng, size: int = 280, times: int = 2) -> Gray:
    """Draw a character by hand: warped, stretched, small, at a random position on a canvas.

    All strokes have the same width of 3 to 8 pixels, black on white or white on black. The longer
    side of the character is 70 to 140 pixels.
    """
    control = known.control[form] + rng.normal(0, 0.015, known.control[form].shape)
    points = (control[known.neighbor[form]] * known.weight[form][..., None]).sum(1) - 0.5
    points[:, 0] *= known.aspect[form] * np.exp(rng.normal(0, 0.08))
    angle = rng.normal(0, 0.08)
    cosine, sine = np.cos(angle), np.sin(angle)
    points = points @ np.array([[cosine, sine], [-sine, cosine]])
    points -= points.min(0)
    points *= rng.uniform(70, 140) / points.max()
    points += rng.uniform(16, size - 16 - points.max(0))
    strokes = [points[known.stroke[form] == stroke] for stroke in np.unique(known.stroke[form])]
    gray = stroked(strokes, float(rng.uniform(3, 8)), (size, size), times)
    return 255 - gray if rng.random() < 0.5 else gray


def stroked(strokes: Sequence[Points], width: float, size: tuple[int, int], times: int = 2) -> Gray:
    """Draw strokes, points (x, y) in pixels, with a round black pen on white.

    They are drawn ``times`` as large and scaled down, which smooths the edges.
    """
    page = Image.new("L", (times * size[0], times * size[1]), 255)
    draw = ImageDraw.Draw(page)
    reach = times * width / 2
    for stroke in strokes:
        line = [(times * float(x), times * float(y)) for x, y in stroke]
        draw.line(line, fill=0, width=round(2 * reach), joint="curve")
        for x, y in line:
            draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=0)
    return np.asarray(page.resize(size, Image.Resampling.BOX))


def invented(characters: Sequence[Character], count: int, rng: Rng) -> tuple[Character, ...]:
    """Return nonexistent characters, each with one form.

    Half of them recombine strokes of the given characters at other positions (near misses); the
    others have random strokes.
    """
    thickness = float(np.mean([each.thickness for each in characters]))
    margin = float(np.mean([each.margin for each in characters]))
    forms = [
        _recombined(characters, rng) if rng.random() < 0.5 else _random(rng) for _ in range(count)
    ]
    return tuple(
        Character(f"invented {number}", (form,), thickness=thickness, margin=margin, mirrored=0.5)
        for number, form in enumerate(forms)
    )


def _recombined(characters: Sequence[Character], rng: Rng) -> Form:
    strokes: list[Stroke] = []
    for owner in rng.choice(len(characters), int(rng.integers(2, 4)), replace=False):
        forms = characters[int(owner)].forms
        form = forms[int(rng.integers(len(forms)))]
        share = rng.uniform(0.35, 0.9)
        chosen = [each for each in form.strokes if rng.random() < share] or list(form.strokes[:1])
        angle = rng.choice([0.0, 0.0, np.pi / 2, np.pi]) + rng.normal(0, 0.2)
        scale, shift = rng.uniform(0.5, 1.0, 2), rng.uniform(0, 0.5, 2)
        strokes += [_moved(each, angle, scale, shift) for each in chosen]
    return _boxed(strokes, float(rng.uniform(0.5, 1.2)))


def _moved(stroke: Stroke, angle: float, scale: Points, shift: Points) -> Stroke:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = ((np.array(stroke.points) - 0.5) @ turn + 0.5) * scale + shift
    return Stroke(stroke.kind, tuple((float(x), float(y)) for x, y in points))


def _random(rng: Rng) -> Form:
    strokes = []
    for _ in range(int(rng.integers(1, 8))):
        points = rng.uniform(0, 1, (int(rng.integers(2, 5)), 2))
        if len(points) == 2 and rng.random() < 0.5:  # straight strokes are common in writing
            points[1, int(rng.integers(2))] = points[0, 0]
        kind = "curve" if len(points) > 2 and rng.random() < 0.6 else "line"
        if len(points) > 2 and rng.random() < 0.2:
            kind = "ring" if kind == "line" else "loop"
        strokes.append(Stroke(kind, tuple((float(x), float(y)) for x, y in points)))  # type: ignore[arg-type]  # one of KINDS
    return _boxed(strokes, float(rng.uniform(0.5, 1.2)))


def _boxed(strokes: list[Stroke], aspect: float) -> Form:
    """Scale strokes to the unit box."""
    every = np.concatenate([np.array(each.points) for each in strokes])
    low, size = every.min(0), np.maximum(np.ptp(every, axis=0), 0.05)
    boxed = tuple(
        Stroke(
            each.kind,
            tuple(
                (float((x - low[0]) / size[0]), float((y - low[1]) / size[1]))
                for x, y in each.points
            ),
        )
        for each in strokes
    )
    return Form(boxed, aspect)
