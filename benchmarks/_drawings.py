"""Small drawings of the ten characters, as people make them on a canvas."""

from __future__ import annotations

import numpy as np

from oraclezoo.data.foreign.pen import drawing
from oraclezoo.data.glyphs.forms import ORACLE, arranged
from oraclezoo.data.glyphs.written import read
from oraclezoo.imaging.polarity import Gray

TIMES = 4
"""Enlargement in which pen strokes are drawn."""


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
        chosen.append((label, drawing(known, int(rng.choice(forms, p=shares)), rng, times=TIMES)))
    return chosen
