"""Ten image corruptions at five severity levels each, for measuring robustness.

>>> import numpy as np
>>> from oraclezoo.data.corrupt import CORRUPTIONS, corrupt
>>> image = np.zeros((1, 28, 28), np.uint8)
>>> image[0, 4:24, 12:16] = 200
>>> corrupted = {name: corrupt(image, name, severity=3) for name in CORRUPTIONS}
>>> corrupted["grain"].shape, corrupted["grain"].dtype
((1, 28, 28), dtype('uint8'))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from oraclezoo.data.corrupt import kinds
from oraclezoo.data.corrupt.draws import Draws, Floats
from oraclezoo.errors import DataError, UnknownNameError, UsageError

__all__ = ["CORRUPTIONS", "MIN_EDGE", "SEVERITIES", "VERSION", "Corruption", "corrupt"]

VERSION = "1"
"""Version of the corruptions. Increase it with every change that alters a pixel: robustness results
are comparable only within a version.
"""

SEVERITIES = (1, 2, 3, 4, 5)
"""Severity levels, from 1 (barely noticeable) to 5 (a person can still read most images)."""

MIN_EDGE = 8
"""Minimum height and width of an image in pixels."""

_CHUNK_PIXELS = 1 << 20  # processed at a time; bounds memory without affecting the result


@dataclass(frozen=True, slots=True)
class Corruption:
    """A corruption and its parameters.

    Attributes:
        name: Name of the corruption, a key of :data:`CORRUPTIONS`.
        summary: One-line description.
        unit: Unit of the strengths. Lengths in pixels are for images with a longer side of 28
            pixels and scale with that side.
        strengths: Strength at each of the five severities.
        apply: Function that maps images float32 ``(N, H, W)``, a strength and draws to images.
    """

    name: str
    summary: str
    unit: str
    strengths: tuple[float, float, float, float, float]
    apply: Callable[[Floats, float, Draws], Floats]


CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {
        each.name: each
        for each in (
            Corruption(
                "grain",
                "noise in every pixel",
                "gray levels",
                (8, 14, 22, 31, 42),
                kinds.grain,
            ),
            Corruption(
                "speckle",
                "bright and a few dark specks",
                "fraction of the image",
                (0.015, 0.03, 0.055, 0.085, 0.13),
                kinds.speckle,
            ),
            Corruption(
                "blots",
                "soft bright stains",
                "fraction of the image",
                (0.03, 0.06, 0.10, 0.15, 0.21),
                kinds.blots,
            ),
            Corruption(
                "rubbing-edge",
                "a white area with a ragged edge from one side",
                "fraction of the image",
                (0.08, 0.15, 0.23, 0.31, 0.40),
                kinds.rubbing_edge,
            ),
            Corruption(
                "blur",
                "Gaussian blur",
                "pixels",
                (0.5, 0.8, 1.1, 1.4, 1.8),
                kinds.blur,
            ),
            Corruption(
                "contrast",
                "reduced contrast",
                "fraction of contrast lost",
                (0.3, 0.5, 0.65, 0.76, 0.85),
                kinds.contrast,
            ),
            Corruption(
                "erosion",
                "thinned and broken strokes",
                "fraction of an erosion",
                (0.2, 0.4, 0.6, 0.8, 1.0),
                kinds.erosion,
            ),
            Corruption(
                "shift",
                "translation in a random direction",
                "pixels",
                (1, 2.5, 4, 5.5, 7),
                kinds.shift,
            ),
            Corruption(
                "rotate",
                "rotation in a random direction",
                "degrees",
                (6, 12, 18, 25, 33),
                kinds.rotate,
            ),
            Corruption(
                "occlusion",
                "a uniform square over part of the image",
                "pixels per side",
                (3, 5, 7, 9, 11),
                kinds.occlusion,
            ),
        )
    }
)
"""Corruptions by name, in display order."""


def corrupt(
    images: npt.NDArray[np.uint8], name: str, severity: int, seed: int = 0
) -> npt.NDArray[np.uint8]:
    """Apply a corruption to images with bright strokes on a dark background.

    Black bars around a picture stay black, except that ``shift`` and ``rotate`` transform the whole
    image. The result for an image depends only on its bytes, ``name``, ``severity``, ``seed`` and
    :data:`VERSION`, not on the rest of the batch. Random numbers do not depend on ``severity``, so
    a higher severity is a stronger version of the same corruption. With a different processor or
    version of NumPy or SciPy, a pixel may differ by one gray level (rounding).

    Args:
        images: uint8 ``(N, H, W)``, with height and width of at least :data:`MIN_EDGE` pixels.
        name: A key of :data:`CORRUPTIONS`.
        severity: 1 to 5.
        seed: Random seed, at least 0.

    Returns:
        Corrupted images in a new array, uint8 ``(N, H, W)``.

    Raises:
        UnknownNameError: If no corruption has this name.
        UsageError: If ``severity`` or ``seed`` is out of range.
        DataError: If the images have the wrong dtype or shape, or are too small.
    """
    if name not in CORRUPTIONS:
        raise UnknownNameError("corruption", name, CORRUPTIONS)
    if severity not in SEVERITIES:
        raise UsageError(f"severity must be an integer from 1 to 5, not {severity!r}")
    if seed < 0:
        raise UsageError(f"seed must be a non-negative integer, not {seed!r}")
    if images.dtype != np.uint8 or images.ndim != 3 or min(images.shape[1:]) < MIN_EDGE:
        raise DataError(
            f"images must be uint8 (N, H, W) with edges of at least {MIN_EDGE} pixels, "
            f"not {images.dtype} {images.shape}"
        )
    kind = CORRUPTIONS[name]
    purpose = f"oraclezoo corrupt {VERSION} {name} {int(seed)}"
    strength = kind.strengths[severity - 1]
    chunk = max(1, _CHUNK_PIXELS // (images.shape[1] * images.shape[2]))
    result = np.empty_like(images)
    for start in range(0, len(images), chunk):
        part = images[start : start + chunk]
        corrupted = kind.apply(part.astype(np.float32), strength, Draws(part, purpose))
        result[start : start + chunk] = np.rint(np.clip(corrupted, 0, 255))
    return result
