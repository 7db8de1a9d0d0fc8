"""Crop the character with the margin of training images, without page, shading and frame."""

from __future__ import annotations

import numpy as np

from oraclezoo.imaging.find import Box, Found, Surface
from oraclezoo.imaging.page import Tone, quantile
from oraclezoo.imaging.polarity import Gray, border, otsu

_MARGIN = 12
"""Margin around strokes in percent of the character's longer edge."""
_NOISE = 4
"""Gray levels subtracted from the difference on a noisy page."""
_FAINT, _STRONG = 200, 240
"""If the 99th percentile of the strokes is below the first value, scale it to the second."""
_BLACK, _WHITE = (Tone((level, 0.0, 0.0, 0.0, 0.0, 0.0)) for level in (0.0, 255.0))
_STRIP_PIXELS = 1 << 20

_FRAME_TOLERANCE = 8
_FRAME_SHARE = 8
"""Maximum width of a frame: the shorter edge divided by this number."""
_LEAST_CONTRAST = 32


def frame_width(gray: Gray) -> int:
    """Return the width of the frame around a picture in pixels, 0 if it has none.

    A frame has a single tone, opposite to that of the background inside it.
    """
    height, width = gray.shape
    tone, most = int(gray[0, 0]), min(height, width) // _FRAME_SHARE
    frame = 0
    while frame <= most:
        ring = border(gray[frame : height - frame, frame : width - frame])
        if int(ring.max()) - tone > _FRAME_TOLERANCE or tone - int(ring.min()) > _FRAME_TOLERANCE:
            break
        frame += 1
    if not 0 < frame <= most:
        return 0
    inside = gray[frame : height - frame, frame : width - frame]
    if int(inside.max()) - int(inside.min()) < _LEAST_CONTRAST:
        return 0
    threshold = otsu(inside)
    is_light = bool((border(inside) > threshold).mean() > 0.5)
    return frame if (tone > threshold) != is_light else 0


def cut(gray: Gray, found: Found) -> Gray:
    """Crop a character, light on dark, with its margin.

    On a page, each pixel becomes its difference from the page; faint strokes are brightened unless
    the page is plain black or white. Pixels outside the picture are 0.
    """
    box = found.box
    around = (_MARGIN * max(box.width, box.height) + 50) // 100 if found.needs_margin else 0
    height, width = gray.shape
    left, top = max(box.x - around, 0), max(box.y - around, 0)
    right = min(box.x + box.width + around, width)
    bottom = min(box.y + box.height + around, height)
    light = gray[top:bottom, left:right]
    if found.surface is None:
        light = 255 - light if found.dark_on_light else light
    else:
        light = _freed(light, found.surface, found.dark_on_light, (left, top))
        if found.surface.spread or found.surface.tone not in (_BLACK, _WHITE):
            inside = light[box.y - top :, box.x - left :][: box.height, : box.width]
            light = _brightened(light, inside)
    if not around:
        return light
    return np.pad(
        light,
        (
            (top - box.y + around, box.y + box.height + around - bottom),
            (left - box.x + around, box.x + box.width + around - right),
        ),
    )


def _freed(gray: Gray, surface: Surface, dark_on_light: bool, at: tuple[int, int]) -> Gray:
    """Return the difference from the page; ``at`` is the position of the upper left pixel."""
    height, width = gray.shape
    freed = np.empty_like(gray)
    strip = max(1, _STRIP_PIXELS // width)  # a large picture in doubles would need gigabytes
    for first in range(0, height, strip):
        rows = gray[first : first + strip]
        level = surface.level(Box(at[0], at[1] + first, width, len(rows)))
        difference = level - rows if dark_on_light else rows - level
        difference -= _NOISE if surface.spread else 0
        freed[first : first + strip] = np.floor(difference + 0.5).clip(0, 255)
    return freed


def soften(gray: Gray) -> Gray:
    """Blur with the binomial kernel 1, 2, 1 in both directions; edges are replicated."""
    padded = np.pad(gray, 1, "edge").astype(np.uint32)
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    sums = rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]
    blurred: Gray = ((sums + 8) // 16).astype(np.uint8)
    return blurred


def is_one_bit(gray: Gray) -> bool:
    """Return whether an image has at most two gray values."""
    return bool(((gray == gray.min()) | (gray == gray.max())).all())


def _brightened(light: Gray, inside: Gray) -> Gray:
    top = max(quantile(inside, 99, 100), 1)
    if top >= _FAINT:
        return light
    grays = np.arange(256)
    brighter = ((grays * _STRONG + top // 2) // top).clip(0, 255).astype(np.uint8)
    scaled: Gray = brighter[light]
    return scaled
