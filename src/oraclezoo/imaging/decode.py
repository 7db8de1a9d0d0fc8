"""Decode an image file or a Pillow image of any mode to 8-bit gray values.

Needs only NumPy and Pillow.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from oraclezoo.errors import DataError
from oraclezoo.imaging.formats import NAMES, formats_of
from oraclezoo.imaging.polarity import Gray, Mask

MAX_FILE_BYTES = 64 << 20
"""Size limit of an image file: 64 MiB."""

TOO_LARGE = f"the file is larger than {MAX_FILE_BYTES >> 20} MiB"

MAX_PIXELS = 64_000_000
"""Size limit of a decoded image: 8,000 x 8,000 pixels."""

_INTEGER_RANGES = (255, 4_095, 65_535)
"""White levels of images with more than 8 bits: 8 and 12 bits in a larger container, 16 bits."""
_FLOAT_RANGES = (1, 255, 65_535)
_CONTRAST = 64
"""Minimum difference in gray between a character and its background."""


def read_image(file: BinaryIO, max_pixels: int | None = None) -> Image.Image:
    """Decode the first frame or page of an image file and apply its EXIF orientation.

    The size in the header is compared with ``max_pixels`` (:data:`MAX_PIXELS` by default) before
    anything is decoded.

    Raises:
        DataError: The image cannot be decoded; the message gives the reason without the file name.
    """
    with _as_data_errors(), Image.open(file, formats=formats_of(file)) as image:
        return _decode(image, max_pixels)


def upright(image: Image.Image) -> Image.Image:
    """Load a Pillow image and apply its EXIF orientation. Raises DataError."""
    with _as_data_errors():
        return _decode(image)


def to_gray(image: Image.Image) -> Gray:
    """Return the gray values uint8 ``(H, W)`` of an image of any mode (ITU-R 601-2 weights).

    16-bit, integer and float images are scaled without clipping: by the smallest common white level
    that covers the image, otherwise from minimum to maximum. Transparent pixels become background
    (see :func:`_over_background`).

    Raises:
        DataError: The mode has no gray equivalent, values are not finite, or every pixel is
            transparent.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _to_8_bit(np.asarray(image))
    if image.has_transparency_data:
        keyed = isinstance(image.info.get("transparency"), (int, tuple))
        return _over_background(image.convert("RGBA"), keyed)
    if image.mode == "LAB":
        return np.asarray(image.getchannel("L"))
    try:
        color = image if image.mode in ("1", "L") else image.convert("RGB")
        return np.asarray(color.convert("L"))
    except ValueError as error:
        raise DataError(f"images of mode {image.mode} cannot be converted to gray") from error


@contextmanager
def _as_data_errors() -> Iterator[None]:
    """Convert any exception that Pillow raises for an image to a DataError with the reason."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # suppress warnings only
            yield
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"the file is not a {NAMES} image") from error
    except Image.DecompressionBombError as error:
        raise DataError(_too_large("too many pixels")) from error
    except Exception as error:  # Pillow's decoders raise many types for corrupt files
        text = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"corrupt or truncated image ({text[:120]})") from error


def _decode(image: Image.Image, max_pixels: int | None = None) -> Image.Image:
    """Load the pixels and apply the EXIF orientation, which is ignored if it cannot be read."""
    limit = MAX_PIXELS if max_pixels is None else max_pixels
    if image.width * image.height > limit:
        size = f"{image.width:,} x {image.height:,} pixels"
        raise DataError(_too_large(size, limit))
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # corrupt EXIF data do not make the pixels unusable
        return image.copy()


def _to_8_bit(values: npt.NDArray[Any]) -> Gray:
    """Scale integers or floats to gray values without clipping. Raises DataError."""
    is_integer = values.dtype.kind in "iu"
    if not is_integer and not np.isfinite(values).all():
        raise DataError("some pixel values are not finite")
    low, high = float(values.min()), float(values.max())
    ranges = _INTEGER_RANGES if is_integer else _FLOAT_RANGES
    whites = [white for white in ranges if white >= high]
    black, white = (0.0, float(whites[0])) if low >= 0 and whites else (low, high)
    wide: Any = np.float32 if values.dtype.itemsize <= 2 else np.float64  # 16 bits fit in float32
    scaled = (values.astype(wide) - black) * (255 / ((white - black) or 1))
    gray: Gray = np.rint(scaled).astype(np.uint8)
    return gray


def _over_background(image: Image.Image, keyed: bool) -> Gray:
    """Blend an RGBA image with a uniform background. Raises DataError if all is transparent.

    A color that was made transparent (``keyed``, or one color other than black in all transparent
    pixels) is the background. Otherwise transparent pixels around a character are its background:
    white or black, whichever is farther from the visible pixels. If most of the image is opaque and
    has contrast, the background is part of it (for example, a scan rotated by a few degrees), and
    the transparent pixels take the gray next to them.
    """
    alpha = np.asarray(image.getchannel("A"))
    shade = np.asarray(image.convert("RGB").convert("L"))
    if alpha.min() == 255:
        return shade
    if alpha.max() == 0:
        raise DataError("the image is blank: every pixel is transparent")
    visible = shade[alpha >= 128]
    erased = shade[alpha == 0]
    color = int(erased[0]) if erased.size and np.ptp(erased) == 0 else None
    if color is not None and (keyed or color) and _differs(visible, color):
        background = color
    elif 2 * visible.size > shade.size and np.ptp(np.percentile(visible, (5, 95))) >= _CONTRAST:
        beside = shade[(alpha == 255) & _dilated(alpha < 255)]
        background = int(np.median(beside if beside.size else visible))
    else:
        background = 255 if np.average(shade, weights=alpha) < 128 else 0
    mixed = shade.astype(np.uint32) * alpha + background * (255 - alpha.astype(np.uint32))
    gray: Gray = ((mixed + 127) // 255).astype(np.uint8)
    return gray


def _differs(visible: Gray, background: int) -> bool:
    """Return whether a character in these pixels has contrast with a background."""
    distance = np.abs(visible.astype(np.int16) - background)
    return bool(distance.size and np.percentile(distance, 95) >= _CONTRAST)


def _dilated(mask: Mask) -> Mask:
    """Add the eight neighbors of each pixel of a mask."""
    padded = np.pad(mask, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    return np.asarray(rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:])


def _too_large(what: str, limit: int | None = None) -> str:
    limit = MAX_PIXELS if limit is None else limit
    return f"{what}: the limit is {limit:,}; resize the image"
