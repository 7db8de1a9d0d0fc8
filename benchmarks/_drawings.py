"""Small drawings of the ten characters, as people make them on a canvas."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from oraclezoo.data.glyphs.forms import ORACLE, Forms, arranged
from oraclezoo.data.glyphs.written import read
from oraclezoo.imaging.polarity import Gray

Rng = np.random.Generator


def drawings(count: int = 50, seed: int = 0) -> list[tuple[int, Gray]]:
    """Return small drawings: label and picture.

    The written forms of the ten characters (data/glyphs), bent and stretched by hand, in one
    stroke width of 3 to 8 px, black on a white canvas of 280 px or white on black, 70 to 140 px
    high and anywhere on it.
    """
    rng = np.random.default_rng(seed)
    known = arranged(read(ORACLE))
    chosen = []
    for number in range(count):
        label = number % known.classes
        forms = np.flatnonzero(known.label == label)
        shares = known.share[forms] / known.share[forms].sum()
        chosen.append((label, _drawing(known, int(rng.choice(forms, p=shares)), rng)))
    return chosen


def _drawing(known: Forms, form: int, rng: Rng, size: int = 280) -> Gray:
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
    gray = stroked(strokes, float(rng.uniform(3, 8)), (size, size))
    return 255 - gray if rng.random() < 0.5 else gray


def stroked(strokes: list[npt.NDArray[np.float64]], width: float, size: tuple[int, int]) -> Gray:
    """Draw strokes, points (x, y) in pixels, in black on white with a round pen."""
    times = 4  # drawn larger and scaled down, which smooths the edges
    page = Image.new("L", (times * size[0], times * size[1]), 255)
    draw = ImageDraw.Draw(page)
    reach = times * width / 2
    for stroke in strokes:
        line = [(times * float(x), times * float(y)) for x, y in stroke]
        draw.line(line, fill=0, width=round(2 * reach), joint="curve")
        for x, y in line:
            draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=0)
    return np.asarray(page.resize(size, Image.Resampling.BOX))
