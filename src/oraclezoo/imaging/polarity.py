"""Polarity detection: whether a character is lighter or darker than its background.

The border of the image shows the background, unless the image is a scan of a rubbing on a sheet of
the opposite tone: then the border shows the sheet. The rule therefore combines the border pixels
with the rectangle inside a uniform margin and with Otsu's threshold of all pixels.
``benchmarks/studies/predict_polarity.py`` compares it with other rules on training images.

For a character on a page, ``find.py`` decides; ``page/static/imaging/polarity.js`` is its
JavaScript counterpart.
"""

from __future__ import annotations

from typing import Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from oraclezoo.errors import UsageError

Gray = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Pixel = TypeVar("Pixel", bound=np.generic)

Polarity = Literal["auto", "light-on-dark", "dark-on-light"]
POLARITIES: tuple[Polarity, ...] = get_args(Polarity)

PREPARED_SHARE = 0.55
"""Fraction of bright border pixels above which an image of the model's input size is inverted.

Such an image is most likely preprocessed and light on dark already, so more evidence is required.
"""

FRAME_SHARE = 0.9
"""Minimum fraction of a rectangle's outline that differs from the margin in a scan's outline."""

FRAME_SHARE_BY_MAJORITY = 0.75
"""The same minimum if most pixels of the image also differ from the margin."""

_SOLID_SHARE = 0.97
"""Fraction of a rectangle's area above which no character is visible in it."""
_MAX_ASPECT = 1.75
"""Maximum aspect ratio of a scan without a visible character; a longer bar is a stroke."""
_STRAY_SHARE = 0.02
"""Maximum fraction of other pixels in a row or column that belongs to the margin."""
_MIN_MARGIN_SHARE = 0.01
"""Minimum width of a margin, as a fraction of the image's longer side."""
_MIN_EDGE = 8
"""Minimum length of the shorter side of a rectangle inside a margin, in pixels."""


def is_dark_on_light(gray: Gray, size: int, polarity: Polarity = "auto") -> bool:
    """Return whether an image must be inverted to show a light character on dark.

    With ``auto``, the tone of most border pixels (split by Otsu's threshold of the whole image) is
    the background, except for a scan on a sheet of the opposite tone: a rectangle with a margin on
    all four sides, whose outline and area mostly differ from the margin. A tie goes to the tone of
    most pixels. An image of the model's input size is most likely preprocessed; it is inverted only
    if more than :data:`PREPARED_SHARE` of its border is bright.

    Args:
        gray: uint8 ``(H, W)``.
        size: Height and width of the model's input in pixels.
        polarity: ``light-on-dark`` and ``dark-on-light`` skip the detection.

    Raises:
        UsageError: ``polarity`` is not one of :data:`POLARITIES`.

    >>> page = np.full((60, 40), 220, np.uint8)
    >>> page[10:50, 18:22] = 30
    >>> is_dark_on_light(page, 28)
    True
    """
    if polarity not in POLARITIES:
        raise UsageError(f"polarity must be one of {', '.join(POLARITIES)}, not '{polarity}'")
    if polarity != "auto":
        return polarity == "dark-on-light"
    bright = gray > otsu(gray)
    share = float(border(bright).mean())
    if gray.shape == (size, size):
        return share > PREPARED_SHARE
    if share == 0.5:
        return bool(bright.mean() > 0.5)
    light_border = share > 0.5
    return light_border != is_framed(bright != light_border)


def is_dark_on_page(inside: Gray, level: float) -> bool:
    """Return whether a character is darker than the page that it was found on.

    The page takes the place of the border in :func:`is_dark_on_light`.

    Args:
        inside: uint8 ``(H, W)``, the character.
        level: Gray value of the page at the character.
    """
    return level > otsu(inside)


def is_framed(other: Mask) -> bool:
    """Return whether a mask shows a scan: a rectangle, mostly filled, with a margin around it.

    Args:
        other: bool ``(H, W)``, true where the tone is not that of most border pixels. For a
            character on its own background, the rectangle around it is mostly false; for a scan on
            a sheet of the opposite tone, it is mostly true.
    """
    height, width = other.shape
    rows = np.flatnonzero(np.count_nonzero(other, axis=1) > _STRAY_SHARE * width)
    columns = np.flatnonzero(np.count_nonzero(other, axis=0) > _STRAY_SHARE * height)
    if not len(rows) or not len(columns):
        return False
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    margin = min(top, left, height - bottom, width - right)
    inside = other[top:bottom, left:right]
    if margin < _MIN_MARGIN_SHARE * max(other.shape) or min(inside.shape) < _MIN_EDGE:
        return False
    if inside.mean() <= 0.5 or is_bar(inside):
        return False
    required = FRAME_SHARE_BY_MAJORITY if other.mean() > 0.5 else FRAME_SHARE
    return bool(border(inside).mean() > required)


def is_bar(other: Mask) -> bool:
    """Return whether a rectangle that differs from its surroundings is a stroke, not a scan.

    Args:
        other: bool ``(H, W)``, the rectangle; true where it differs.
    """
    height, width = other.shape
    long = max(height, width) > _MAX_ASPECT * min(height, width)
    return long and bool(other.mean() > _SOLID_SHARE)


def border(image: npt.NDArray[Pixel]) -> npt.NDArray[Pixel]:
    """Return the outermost pixels of an image ``(H, W)``, each once, ``(P,)``."""
    if min(image.shape) <= 2:
        return image.reshape(-1)
    return np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])


def otsu(gray: Gray) -> int:
    """Return Otsu's threshold of a gray image; pixels above it form one class, the rest the other.

    It is the smallest gray value that maximizes the variance between the two classes; for an image
    of one gray value, that value. Source: Otsu, "A threshold selection method from gray-level
    histograms", IEEE Trans. SMC 9(1), 1979, equation 18.
    """
    # float64 holds the counts exactly
    counts = np.array(Image.fromarray(gray).histogram(), np.float64)
    below, weighted = np.cumsum(counts), np.cumsum(counts * np.arange(256))
    total, above = below[-1], below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = weighted / below - (weighted[-1] - weighted) / above
        between = below * above * distance**2 / total**2
    if not np.isfinite(between).any():  # one gray: there are no two classes
        return int(np.argmax(counts))
    return int(np.nanargmax(between))
