"""From an image of any size, colour, polarity and format to the square gray one that models read.

The steps are those of :mod:`oraclezoo.imaging.decode`, but for the decision of polarity
(:mod:`oraclezoo.imaging.polarity`), and for small JPEG images, whose blocks are smoothed.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from oraclezoo.card import SMOOTH
from oraclezoo.contracts import Images
from oraclezoo.errors import DataError, UsageError
from oraclezoo.imaging.decode import (
    MAX_FILE_BYTES,
    TOO_LARGE,
    Gray,
    fit,
    read_image,
    to_gray,
    upright,
)
from oraclezoo.imaging.polarity import Polarity, is_dark_on_light

Picture = str | Path | bytes | Image.Image | npt.NDArray[np.uint8]
"""A file, the bytes of one, an image of Pillow's, or uint8 ``(H, W)``, ``(H, W, 3 or 4)``."""


class Prepared(NamedTuple):
    """Gray uint8 ``(size, size)``, bright on zero, and whether it had to be inverted for that."""

    gray: Gray
    inverted: bool


def prepare(
    picture: Picture, size: int, polarity: Polarity = "auto", smoothing: float = SMOOTH
) -> Prepared:
    """``picture`` as a model reads it; ``smoothing`` is of small JPEG images, in pixels.

    Raises DataError, whose message is the reason alone, UsageError for an array that is no image.
    """
    source = _load(picture)
    gray = to_gray(_open(source))
    if gray.min() == gray.max():
        raise DataError("it is blank: every pixel has the same gray")
    inverted = is_dark_on_light(gray, size, polarity)
    if smoothing and _is_jpeg(source) and max(gray.shape) < 2 * size:
        gray = smooth(gray, smoothing)  # larger ones are smoothed by scaling down
    return Prepared(fit(255 - gray if inverted else gray, size), inverted)


def prepare_all(
    pictures: Iterable[Picture],
    size: int,
    polarity: Polarity = "auto",
    smoothing: float = SMOOTH,
) -> npt.NDArray[np.uint8]:
    """All of ``pictures``, uint8 ``(N, size, size)``. Raises DataError that names a bad one."""
    found = []
    for number, picture in enumerate(pictures):
        try:
            found.append(prepare(picture, size, polarity, smoothing).gray)
        except DataError as error:
            who = str(picture) if isinstance(picture, (str, Path)) else f"image {number}"
            raise DataError(f"{who}: {error}") from error
    return np.stack(found) if found else np.zeros((0, size, size), np.uint8)


def as_batch(
    images: Any, size: int, polarity: Polarity = "auto", smoothing: float = SMOOTH
) -> Images:
    """What ``predict`` takes, as images uint8 ``(N, size, size)``.

    uint8 ``(N, size, size)``, an array or what reads like one (contracts.Images), is taken for
    prepared and given back as it is; so is one ``(size, size)``. Anything else is one
    :data:`Picture` or an iterable of them, each prepared as :func:`prepare` does. Raises
    DataError, UsageError.
    """
    shape = tuple(getattr(images, "shape", ()))
    if getattr(images, "dtype", None) == np.uint8 and shape[-2:] == (size, size):
        if len(shape) == 3:
            return images  # type: ignore[no-any-return]  # it has a shape and a dtype
        if len(shape) == 2:
            return np.asarray(images)[None]
    if isinstance(images, (str, Path, bytes, Image.Image)) or _is_picture(images):
        return prepare_all([images], size, polarity, smoothing)
    several = isinstance(images, Iterable) and len(shape) in (0, 3, 4)
    if not several or (shape and images.dtype != np.uint8):
        what = f"{images.dtype} {shape}" if shape else f"a {type(images).__name__}"
        raise UsageError(f"images are {what}; give files, or uint8 (N, {size}, {size})")
    return prepare_all(images, size, polarity, smoothing)


def smooth(gray: Gray, deviation: float) -> Gray:
    """``gray`` under a Gaussian of that many pixels, at most 1; the border's pixels go on."""
    taps = np.exp(-0.5 * (np.arange(-3, 4) / deviation) ** 2)
    taps /= taps.sum()
    found = gray.astype(np.float64)
    for axis in (0, 1):
        padded = np.pad(found, [(3, 3) if axis == each else (0, 0) for each in (0, 1)], "edge")
        found = sum(
            tap * np.take(padded, np.arange(place, place + gray.shape[axis]), axis)
            for place, tap in enumerate(taps)
        )
    return np.rint(found).astype(np.uint8)


def read_bytes(path: str | Path) -> bytes:
    """The content of an image file. Raises DataError, whose message is the reason alone."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        text = getattr(error, "strerror", None) or error
        raise DataError(f"it cannot be read ({text})") from error
    return limited(data)


def limited(data: bytes) -> bytes:
    """``data``, unless it is empty or too large. Raises DataError."""
    if not data:
        raise DataError("it is empty")
    if len(data) > MAX_FILE_BYTES:
        raise DataError(TOO_LARGE)
    return data


def _is_picture(images: Any) -> bool:
    """Whether it is an array of one image."""
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        return False
    return images.ndim == 2 or (images.ndim == 3 and images.shape[2] in (3, 4))


def _load(picture: Picture) -> bytes | Image.Image | npt.NDArray[np.uint8]:
    """``picture``, but the bytes of a file in place of its name."""
    return read_bytes(picture) if isinstance(picture, (str, Path)) else picture


def _is_jpeg(source: bytes | Image.Image | npt.NDArray[np.uint8]) -> bool:
    if isinstance(source, bytes):
        return source.startswith(b"\xff\xd8\xff")
    return isinstance(source, Image.Image) and source.format == "JPEG"


def _open(source: bytes | Image.Image | npt.NDArray[np.uint8]) -> Image.Image:
    if isinstance(source, Image.Image):
        return upright(source)
    if isinstance(source, bytes):
        return read_image(BytesIO(limited(source)))
    if not _is_picture(source) or not source.size:
        raise UsageError(
            f"an image is {source.dtype} {source.shape}; give uint8 (H, W), (H, W, 3) or (H, W, 4)"
        )
    return Image.fromarray(source)
