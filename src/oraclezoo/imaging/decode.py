"""From a scan of any size, colour and polarity to the square gray image that models read.

The steps are those by which Oracle-MNIST was made: gray; inverted when the foreground is darker
than the background; longest edge to the size, bicubic; zero-padded to a square, centred. Source:
Wang and Deng, "A dataset of oracle characters for benchmarking machine learning algorithms",
Scientific Data 11:87 (2024), arXiv 2205.09442. Needs NumPy and Pillow, nothing else.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from oraclezoo.errors import DataError

Gray = npt.NDArray[np.uint8]

FORMATS = ("BMP", "PNG", "JPEG", "TIFF", "WEBP")
"""What is read, in Pillow's names; a file's content says which it is, not its name."""

MAX_FILE_BYTES = 64 << 20
"""Largest image file that is read: 64 MiB."""

TOO_LARGE = f"it has more than {MAX_FILE_BYTES >> 20} MiB"

MAX_PIXELS = 64_000_000
"""Largest image that is decoded: 8,000 x 8,000."""

_INTEGER_RANGES = (255, 4_095, 65_535)
"""White in images of more than 8 bits: 8 and 12 bits in a larger container, 16 bits."""
_FLOAT_RANGES = (1, 255, 65_535)


def prepare(image: Image.Image | Path, size: int) -> Gray:
    """The image as models read it, uint8 ``(size, size)``: bright character on zero.

    ``image`` is an image of Pillow's, turned as its EXIF orientation says, or a file. Raises
    DataError for one that cannot be read or holds nothing; the message names the file.
    """
    if isinstance(image, Image.Image):
        return prepare_gray(to_gray(upright(image)), size)
    try:
        return prepare_gray(to_gray(read_image(image)), size)
    except DataError as error:
        raise DataError(f"{image}: {error}") from error


def prepare_gray(gray: Gray, size: int) -> Gray:
    """:func:`prepare` for a gray image uint8 ``(H, W)``. Raises DataError if it has one gray."""
    if gray.min() == gray.max():
        raise DataError("it is blank: every pixel has the same gray")
    return fit(255 - gray if has_bright_background(gray) else gray, size)


def read_image(source: Path | BinaryIO) -> Image.Image:
    """The first frame or page of an image file, decoded whole and turned upright.

    Its size is taken from the header and held against :data:`MAX_PIXELS` before anything is
    decoded. Raises DataError, whose message is the reason alone.
    """
    with _reasons(), Image.open(source, formats=FORMATS) as image:
        return _decode(image)


def upright(image: Image.Image) -> Image.Image:
    """An image of Pillow's in memory, turned as :func:`read_image` does it. Raises DataError."""
    with _reasons():
        return _decode(image)


def to_gray(image: Image.Image) -> Gray:
    """Gray values uint8 ``(H, W)`` of an image of any mode, by ITU-R 601-2's weights.

    16-bit, integer and float images are scaled without clipping: by the smallest usual white that
    is no less than their largest value, else from their smallest to their largest value. What is
    transparent becomes background (:func:`_over_background`). Raises DataError.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _to_8_bit(np.asarray(image))
    if image.has_transparency_data:
        return _over_background(image.convert("RGBA"))
    if image.mode == "LAB":
        return np.asarray(image.getchannel("L"))
    try:
        colour = image if image.mode in ("1", "L") else image.convert("RGB")
        return np.asarray(colour.convert("L"))
    except ValueError as error:
        raise DataError(f"images of mode {image.mode} cannot be made gray") from error


def otsu(gray: Gray) -> int:
    """Otsu's threshold of a gray image: pixels above it are one class, all others the other.

    It is the smallest gray that makes the variance between the two classes largest; for an image
    of one gray, that gray. Source: Otsu, "A threshold selection method from gray-level
    histograms", IEEE Trans. SMC 9(1), 1979, equation 18.
    """
    return _otsu(_histogram(gray))


def has_bright_background(gray: Gray) -> bool:
    """Whether most pixels of ``gray`` lie above Otsu's threshold, as background does."""
    counts = _histogram(gray)
    return bool(2 * counts[_otsu(counts) + 1 :].sum() > gray.size)


def fit(gray: Gray, size: int) -> Gray:
    """``gray`` with its longest edge scaled to ``size`` (bicubic), centred on zeros.

    The other edge keeps the proportion, and one pixel at least; an odd pixel of padding goes to
    the right or the bottom.
    """
    longest = max(gray.shape)
    height, width = (max(1, round(edge * size / longest)) for edge in gray.shape)
    scaled = Image.fromarray(gray).resize((width, height), Image.Resampling.BICUBIC)
    padded = np.zeros((size, size), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    padded[top : top + height, left : left + width] = np.asarray(scaled)
    return padded


@contextmanager
def _reasons() -> Iterator[None]:
    """Turns whatever Pillow raises for an image into a DataError that says why."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on oddities that do no harm; errors stay errors
            yield
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError("it is no BMP, PNG, JPEG, TIFF or WebP image") from error
    except Image.DecompressionBombError as error:
        raise DataError(_too_large("too many pixels")) from error
    except Exception as error:  # Pillow's readers raise whatever broken bytes lead them to
        text = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"it is broken or cut short ({text[:120]})") from error


def _decode(image: Image.Image) -> Image.Image:
    """The image in memory, upright; left as it is where its EXIF data are broken."""
    if image.width * image.height > MAX_PIXELS:
        raise DataError(_too_large(f"{image.width:,} x {image.height:,} pixels"))
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF beside a good image, which is all that is asked for
        return image.copy()


def _to_8_bit(values: npt.NDArray[Any]) -> Gray:
    """Integers or floats as gray values, scaled without clipping. Raises DataError."""
    whole = values.dtype.kind in "iu"
    if not whole and not np.isfinite(values).all():
        raise DataError("some of its values are not finite numbers")
    low, high = float(values.min()), float(values.max())
    fitting = [white for white in (_INTEGER_RANGES if whole else _FLOAT_RANGES) if white >= high]
    black, white = (0.0, float(fitting[0])) if low >= 0 and fitting else (low, high)
    wide: Any = np.float32 if values.dtype.itemsize <= 2 else np.float64  # 16 bits fit in float32
    scaled = (values.astype(wide) - black) * (255 / ((white - black) or 1))
    gray: Gray = np.rint(scaled).astype(np.uint8)
    return gray


def _over_background(image: Image.Image) -> Gray:
    """An RGBA image on a background of one gray. Raises DataError if nothing of it shows.

    Transparent pixels around a character are its background: white or black, whichever is farther
    from what shows. Where most of the image is opaque and has contrast of its own, its background
    is in it (a scan turned by a few degrees, say), and the corners get its median gray.
    """
    alpha = np.asarray(image.getchannel("A"))
    shade = np.asarray(image.convert("RGB").convert("L"))
    if alpha.min() == 255:
        return shade
    if alpha.max() == 0:
        raise DataError("it is blank: every pixel is transparent")
    shown = shade[alpha >= 128]
    if 2 * shown.size > shade.size and np.ptp(np.percentile(shown, (5, 95))) >= 64:
        behind = int(np.median(shown))
    else:
        behind = 255 if np.average(shade, weights=alpha) < 128 else 0
    mixed = shade.astype(np.uint32) * alpha + behind * (255 - alpha.astype(np.uint32))
    gray: Gray = ((mixed + 127) // 255).astype(np.uint8)
    return gray


def _histogram(gray: Gray) -> npt.NDArray[np.float64]:
    """How many pixels have each gray, ``(256,)``; whole numbers, which float64 holds exactly."""
    return np.array(Image.fromarray(gray).histogram(), np.float64)


def _otsu(counts: npt.NDArray[np.float64]) -> int:
    grays = np.arange(256)
    below, weighted = np.cumsum(counts), np.cumsum(counts * grays)
    total, above = below[-1], below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = weighted / below - (weighted[-1] - weighted) / above
        between = below * above * distance**2 / total**2
    if not np.isfinite(between).any():  # one gray: there are no two classes
        return int(np.argmax(counts))
    return int(np.nanargmax(between))


def _too_large(what: str) -> str:
    return f"{what}: more than {MAX_PIXELS:,} are not decoded; scale it down"
