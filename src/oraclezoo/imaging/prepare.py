"""Preprocess an image of any size, color, polarity and format to a model's input.

``predict``, ``drift``, ``data convert`` and the Python API all call :func:`prepare`. The steps are
those that produced Oracle-MNIST: convert to gray; invert if the character is darker than the
background; resize the longest side to the input size (bicubic); center on a square padded with
zeros. Source: Wang and Deng, "A dataset of oracle characters for benchmarking machine learning
algorithms", Scientific Data 11:87 (2024), arXiv 2205.09442. The polarity is detected by
:mod:`oraclezoo.imaging.polarity`, and small JPEG images are smoothed for models that were trained
without JPEG augmentation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from oraclezoo.card import SMOOTH
from oraclezoo.contracts import Images
from oraclezoo.errors import DataError, UsageError
from oraclezoo.imaging.cutting import cut, frame_width, is_one_bit, soften
from oraclezoo.imaging.decode import MAX_FILE_BYTES, TOO_LARGE, read_image, to_gray, upright
from oraclezoo.imaging.find import Box, Found, find, find_at, moved
from oraclezoo.imaging.polarity import Gray, Polarity, is_dark_on_light
from oraclezoo.imaging.several import Order, find_several

BLANK = "the image is blank"
"""Beginning of the error message for an image without a character."""

Picture = str | Path | bytes | Image.Image | npt.NDArray[np.uint8]
"""A file name, the bytes of a file, a Pillow image, or uint8 ``(H, W)`` or ``(H, W, 3 or 4)``."""


Source = bytes | Image.Image | npt.NDArray[np.uint8]


class Prepared(NamedTuple):
    """A model's input, and how it was prepared.

    ``gray`` is uint8 ``(size, size)``, a light character on zero; ``inverted`` is true if the
    picture was dark on light; ``box`` is where the character was found in the upright picture.
    """

    gray: Gray
    inverted: bool
    box: Box


def prepare(
    picture: Picture,
    size: int,
    polarity: Polarity = "auto",
    smoothing: float = SMOOTH,
    box: Box | None = None,
    max_pixels: int | None = None,
) -> Prepared:
    """Convert a picture to a model's input.

    Args:
        picture: A file name, the bytes of a file, a Pillow image or an array.
        size: Height and width of the model's input in pixels.
        polarity: ``auto`` detects whether the character is lighter than its background.
        smoothing: Standard deviation in pixels of the Gaussian blur applied to JPEG images smaller
            than twice ``size``; 0 disables it.
        box: Box of the character in the upright picture; None to detect it.
        max_pixels: Larger image files are refused before they are decoded; 64 million by default.

    Raises:
        DataError: The picture cannot be read or is blank; the message gives the reason without the
            file name.
        UsageError: An array is not an image.

    >>> page = np.full((60, 40), 220, np.uint8)
    >>> page[10:50, 18:22] = 30
    >>> image, inverted, box = prepare(page, 28)
    >>> image.shape, image.dtype, inverted
    ((28, 28), dtype('uint8'), True)
    """
    source, gray = _opened(picture, max_pixels)
    return _finished(source, gray, _found(gray, size, box), size, polarity, smoothing)


def prepare_several(
    picture: Picture,
    size: int,
    polarity: Polarity = "auto",
    smoothing: float = SMOOTH,
    order: Order = "columns",
    max_pixels: int | None = None,
) -> list[Prepared]:
    """Convert each separate character of a picture to a model's input, in reading order.

    Args:
        picture: As in :func:`prepare`, as are ``size``, ``polarity``, ``smoothing`` and
            ``max_pixels``.
        order: ``columns`` reads columns from right to left, each from top to bottom, as in oracle
            bone inscriptions; ``rows`` reads rows from top to bottom, each from left to right.

    Returns:
        One input per character; a picture with one character gives that of :func:`prepare`.

    Raises:
        DataError: As in :func:`prepare`.
        UsageError: An array is not an image, or the order is unknown.
    """
    source, gray = _opened(picture, max_pixels)
    frame = frame_width(gray)
    height, width = gray.shape
    match = find_several(gray[frame : height - frame, frame : width - frame], size, order)
    every = [moved(each, frame) for each in match] or [_found(gray, size, None)]
    return [_finished(source, gray, each, size, polarity, smoothing) for each in every]


def _opened(picture: Picture, max_pixels: int | None) -> tuple[Source, Gray]:
    """Return a picture and its gray values. Raises DataError, UsageError."""
    source = read_bytes(picture) if isinstance(picture, (str, Path)) else picture
    gray = to_gray(_open(source, max_pixels))
    if gray.min() == gray.max():
        raise DataError(f"{BLANK}: every pixel has the same gray value")
    return source, gray


def _finished(
    source: Source, gray: Gray, found: Found, size: int, polarity: Polarity, smoothing: float
) -> Prepared:
    """Crop a character and scale it to the size of the model's input."""
    if polarity == "auto":
        inverted = found.dark_on_light
    else:
        inverted = is_dark_on_light(gray, size, polarity)
        found = replace(found, dark_on_light=inverted)
    light = cut(gray, found)
    if max(light.shape) < 2 * size:  # downscaling smooths larger images
        if smoothing and _is_jpeg(source):
            light = smooth(light, smoothing)
        elif is_one_bit(light):
            light = soften(light)
    return Prepared(fit(light, size), inverted, found.box)


def _found(gray: Gray, size: int, box: Box | None) -> Found:
    """Return the character in a picture, or the whole picture if there is nothing to crop.

    Raises DataError if ``box`` is not inside the picture.
    """
    height, width = gray.shape
    if box is not None:
        if min(box) < 0 or box.x + box.width > width or box.y + box.height > height:
            raise DataError(
                f"the box {','.join(map(str, box))} is not inside the image, "
                f"which has {width} x {height} pixels"
            )
        return find_at(gray, box, size)
    frame = frame_width(gray)
    inside = gray[frame : height - frame, frame : width - frame]
    # a picture of the input's size, or smaller, is most likely preprocessed
    match = find(inside) if max(inside.shape) > size else None
    if match is None:
        whole = Box(0, 0, width - 2 * frame, height - 2 * frame)
        match = Found(whole, is_dark_on_light(inside, size), False, None)
    return moved(match, frame)


def prepare_all(
    pictures: Iterable[Picture],
    size: int,
    polarity: Polarity = "auto",
    smoothing: float = SMOOTH,
) -> npt.NDArray[np.uint8]:
    """Convert pictures to model inputs, uint8 ``(N, size, size)``.

    Raises DataError, which names the picture that cannot be read.
    """
    images = []
    for number, picture in enumerate(pictures):
        try:
            images.append(prepare(picture, size, polarity, smoothing).gray)
        except DataError as error:
            name = str(picture) if isinstance(picture, (str, Path)) else f"image {number}"
            raise DataError(f"{name}: {error}") from error
    return np.stack(images) if images else np.zeros((0, size, size), np.uint8)


def as_batch(
    images: Any, size: int, polarity: Polarity = "auto", smoothing: float = SMOOTH
) -> Images:
    """Convert any input of ``predict`` to a batch of model inputs, uint8 ``(N, size, size)``.

    An array uint8 ``(N, size, size)``, in memory or read from a file on demand (contracts.Images),
    counts as preprocessed and is returned unchanged, and so does a single image ``(size, size)``.
    Anything else is one :data:`Picture` or an iterable of pictures, each preprocessed by
    :func:`prepare`. Raises DataError, UsageError.
    """
    shape = tuple(getattr(images, "shape", ()))
    if getattr(images, "dtype", None) == np.uint8 and shape[-2:] == (size, size):
        if len(shape) == 3:
            return images  # type: ignore[no-any-return]  # shape and dtype were checked
        if len(shape) == 2:
            return np.asarray(images)[None]
    if isinstance(images, (str, Path, bytes, Image.Image)) or _is_picture(images):
        return prepare_all([images], size, polarity, smoothing)
    several = isinstance(images, Iterable) and len(shape) in (0, 3, 4)
    if not several or (shape and images.dtype != np.uint8):
        what = f"{images.dtype} {shape}" if shape else f"a {type(images).__name__}"
        raise UsageError(f"images must be files or uint8 (N, {size}, {size}), not {what}")
    return prepare_all(images, size, polarity, smoothing)


def fit(gray: Gray, size: int) -> Gray:
    """Resize the longest side to ``size`` (bicubic) and center the image on zeros.

    The aspect ratio is kept; each side has at least one pixel. An odd pixel of padding goes to the
    right or the bottom. Takes uint8 ``(H, W)``, returns uint8 ``(size, size)``.
    """
    longest = max(gray.shape)
    height, width = (max(1, round(edge * size / longest)) for edge in gray.shape)
    # rows first, in two calls: Pillow 13 takes the columns of tall images first, older ones do not
    scaled = Image.fromarray(gray).resize((width, len(gray)), Image.Resampling.BICUBIC)
    scaled = scaled.resize((width, height), Image.Resampling.BICUBIC)
    padded = np.zeros((size, size), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    padded[top : top + height, left : left + width] = np.asarray(scaled)
    return padded


def smooth(gray: Gray, deviation: float) -> Gray:
    """Apply a Gaussian blur with a standard deviation of at most 1 pixel and replicated borders."""
    taps = np.exp(-0.5 * (np.arange(-3, 4) / deviation) ** 2)
    taps /= taps.sum()
    blurred = gray.astype(np.float64)
    for axis in (0, 1):
        padded = np.pad(blurred, [(3, 3) if axis == each else (0, 0) for each in (0, 1)], "edge")
        blurred = sum(
            tap * np.take(padded, np.arange(offset, offset + gray.shape[axis]), axis)
            for offset, tap in enumerate(taps)
        )
    return np.rint(blurred).astype(np.uint8)


def read_bytes(path: str | Path) -> bytes:
    """Return the content of an image file, which may be empty.

    Raises DataError if it cannot be read or is too large; the message gives the reason without the
    file name.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: an invalid file name
        text = getattr(error, "strerror", None) or error
        raise DataError(f"the file cannot be read ({text})") from error
    if len(data) > MAX_FILE_BYTES:
        raise DataError(TOO_LARGE)
    return data


def limited(data: bytes) -> bytes:
    """Return ``data`` unless it is empty or too large. Raises DataError."""
    if not data:
        raise DataError("the file is empty")
    if len(data) > MAX_FILE_BYTES:
        raise DataError(TOO_LARGE)
    return data


def _is_picture(images: Any) -> bool:
    """Return whether ``images`` is an array of a single image."""
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        return False
    return images.ndim == 2 or (images.ndim == 3 and images.shape[2] in (3, 4))


def _is_jpeg(source: bytes | Image.Image | npt.NDArray[np.uint8]) -> bool:
    if isinstance(source, bytes):
        return source.startswith(b"\xff\xd8\xff")
    return isinstance(source, Image.Image) and source.format == "JPEG"


def _open(
    source: bytes | Image.Image | npt.NDArray[np.uint8], max_pixels: int | None
) -> Image.Image:
    if isinstance(source, Image.Image):
        return upright(source)
    if isinstance(source, bytes):
        return read_image(BytesIO(limited(source)), max_pixels)
    if not _is_picture(source) or not source.size:
        raise UsageError(
            "an image must be uint8 (H, W), (H, W, 3) or (H, W, 4), not "
            f"{source.dtype} {source.shape}"
        )
    return Image.fromarray(source)
