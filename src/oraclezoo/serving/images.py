"""From an image of any size, colour, polarity and format to the square gray one that models read.

The steps are those of :mod:`oraclezoo.data.preprocess`, but for the decision of polarity
(:mod:`oraclezoo.serving.polarity`).
"""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from oraclezoo.contracts import Images
from oraclezoo.data.preprocess import Gray, fit, read_image, to_gray, upright
from oraclezoo.data.scans.files import MAX_FILE_BYTES, TOO_LARGE
from oraclezoo.errors import DataError, UsageError
from oraclezoo.serving.polarity import Polarity, is_dark_on_light

Picture = str | Path | bytes | Image.Image | npt.NDArray[np.uint8]
"""A file, the bytes of one, an image of Pillow's, or uint8 ``(H, W)``, ``(H, W, 3 or 4)``."""


class Prepared(NamedTuple):
    """Gray uint8 ``(size, size)``, bright on zero, and whether it had to be inverted for that."""

    gray: Gray
    inverted: bool


def prepare(picture: Picture, size: int, polarity: Polarity = "auto") -> Prepared:
    """``picture`` as a model reads it. Raises DataError, whose message is the reason alone.

    UsageError for an array that is no image.
    """
    gray = to_gray(_open(picture))
    if gray.min() == gray.max():
        raise DataError("it is blank: every pixel has the same gray")
    inverted = is_dark_on_light(gray, size, polarity)
    return Prepared(fit(255 - gray if inverted else gray, size), inverted)


def prepare_all(
    pictures: Iterable[Picture], size: int, polarity: Polarity = "auto"
) -> npt.NDArray[np.uint8]:
    """All of ``pictures``, uint8 ``(N, size, size)``. Raises DataError that names a bad one."""
    found = []
    for number, picture in enumerate(pictures):
        try:
            found.append(prepare(picture, size, polarity).gray)
        except DataError as error:
            who = str(picture) if isinstance(picture, (str, Path)) else f"image {number}"
            raise DataError(f"{who}: {error}") from error
    return np.stack(found) if found else np.zeros((0, size, size), np.uint8)


def as_batch(images: Any, size: int, polarity: Polarity = "auto") -> Images:
    """What ``predict`` takes, as images uint8 ``(N, size, size)``.

    uint8 ``(N, size, size)``, an array or what reads like one (contracts.Images), is taken for
    prepared and given back as it is; so is one ``(size, size)``. Anything else is one
    :data:`Picture` or an iterable of them, each prepared. Raises DataError, UsageError.
    """
    shape = tuple(getattr(images, "shape", ()))
    if getattr(images, "dtype", None) == np.uint8 and shape[-2:] == (size, size):
        if len(shape) == 3:
            return images  # type: ignore[no-any-return]  # it has a shape and a dtype
        if len(shape) == 2:
            return np.asarray(images)[None]
    if isinstance(images, (str, Path, bytes, Image.Image)) or _is_picture(images):
        return prepare_all([images], size, polarity)
    several = isinstance(images, Iterable) and len(shape) in (0, 3, 4)
    if not several or (shape and images.dtype != np.uint8):
        what = f"{images.dtype} {shape}" if shape else f"a {type(images).__name__}"
        raise UsageError(f"images are {what}; give files, or uint8 (N, {size}, {size})")
    return prepare_all(images, size, polarity)


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


def _open(picture: Picture) -> Image.Image:
    if isinstance(picture, Image.Image):
        return upright(picture)
    if isinstance(picture, np.ndarray):
        if not _is_picture(picture) or not picture.size:
            raise UsageError(
                f"an image is {picture.dtype} {picture.shape}; "
                "give uint8 (H, W), (H, W, 3) or (H, W, 4)"
            )
        return Image.fromarray(picture)
    data = picture if isinstance(picture, bytes) else read_bytes(picture)
    return read_image(BytesIO(limited(data)))
