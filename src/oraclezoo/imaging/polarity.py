"""Polarity: whether a character is brighter or darker than what it stands on.

The paper takes the larger class of Otsu's threshold for background. That fails on characters with
white damage around them; what lies at the border fails far less often, since characters are
centred. ``benchmarks/predict_polarity.py`` compares the rules on training images.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from oraclezoo.errors import UsageError
from oraclezoo.imaging.decode import Gray, otsu

Polarity = Literal["auto", "light-on-dark", "dark-on-light"]
POLARITIES: tuple[Polarity, ...] = get_args(Polarity)

PREPARED_SHARE = 0.55
"""Bright share of the border at which an image that looks prepared already is inverted."""


def border(gray: Gray) -> npt.NDArray[np.uint8]:
    """The outermost pixels of ``gray``, each once, ``(P,)``."""
    if min(gray.shape) <= 2:
        return gray.reshape(-1)
    return np.concatenate([gray[0], gray[-1], gray[1:-1, 0], gray[1:-1, -1]])


def bright_border(gray: Gray) -> float:
    """Share of the border that lies above Otsu's threshold of the whole image."""
    return float(np.mean(border(gray) > otsu(gray)))


def is_dark_on_light(gray: Gray, size: int, polarity: Polarity = "auto") -> bool:
    """Whether ``gray`` has to be inverted for a model that reads ``size`` x ``size`` pixels.

    By ``auto``: if most of its border is bright. An image of exactly the model's size is likely to
    be prepared, and so in the right polarity: it takes :data:`PREPARED_SHARE` to say otherwise.
    Raises UsageError for another polarity.
    """
    if polarity not in POLARITIES:
        raise UsageError(f"polarity is '{polarity}'; it must be one of {', '.join(POLARITIES)}")
    if polarity != "auto":
        return polarity == "dark-on-light"
    return bright_border(gray) > (PREPARED_SHARE if gray.shape == (size, size) else 0.5)
