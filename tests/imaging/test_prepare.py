"""Preprocessing of images to model inputs."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.bands import SIZE, drawn
from oraclezoo.errors import DataError, UsageError
from oraclezoo.imaging import decode
from oraclezoo.imaging.prepare import as_batch, prepare, prepare_all, smooth

GRAY = drawn(1)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def palette(gray: Any) -> Image.Image:
    image = Image.fromarray(gray, "P")
    image.putpalette([level for level in range(256) for _ in range(3)])
    return image


EXACT = {
    "png": encoded(Image.fromarray(GRAY), "PNG"),
    "bmp": encoded(Image.fromarray(GRAY), "BMP"),
    "tiff": encoded(Image.fromarray(GRAY), "TIFF"),
    "webp": encoded(Image.fromarray(GRAY).convert("RGB"), "WEBP", lossless=True),
    "color": encoded(Image.fromarray(GRAY).convert("RGB"), "PNG"),
    "rgba": encoded(Image.fromarray(GRAY).convert("RGBA"), "PNG"),
    "palette": encoded(palette(GRAY), "PNG"),
    "16-bit": encoded(Image.fromarray(GRAY.astype(np.uint16) * 257), "PNG"),
}


@pytest.mark.parametrize("kind", EXACT)
def test_a_prepared_image_comes_back_as_it_is_from_any_lossless_file(kind: str) -> None:
    """Equal pixels for any format and mode."""
    found = prepare(EXACT[kind], SIZE)
    assert not found.inverted
    assert np.array_equal(found.gray, GRAY)


def test_an_inverted_image_is_turned_back() -> None:
    """Exactly, at the input size, and reported as inverted."""
    found = prepare(255 - GRAY, SIZE)
    assert found.inverted
    assert np.array_equal(found.gray, GRAY)


def test_exif_orientation_is_followed() -> None:
    """A rotated photo is turned upright."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    turned = encoded(Image.fromarray(np.rot90(GRAY)), "PNG", exif=exif)
    assert np.array_equal(prepare(turned, SIZE).gray, GRAY)


def test_transparent_ink_stands_on_background(tmp_path: Path) -> None:
    """Black ink on a transparent background becomes bright on dark."""
    ink = np.zeros((40, 40, 4), np.uint8)
    ink[10:20, 5:35, 3] = 255
    found = prepare(ink, SIZE)
    assert found.inverted
    assert found.gray[6, 8] > 200
    assert found.gray[0].max() < 60


@pytest.mark.parametrize("kind", ["path", "text", "bytes", "image", "array"])
def test_every_kind_of_picture_is_the_same_image(kind: str, tmp_path: Path) -> None:
    """As a single picture or in a list."""
    path = tmp_path / "a.png"
    path.write_bytes(EXACT["png"])
    picture: Any = {
        "path": path,
        "text": str(path),
        "bytes": EXACT["png"],
        "image": Image.fromarray(GRAY),
        "array": GRAY,
    }[kind]
    assert np.array_equal(as_batch(picture, SIZE), GRAY[None])
    assert np.array_equal(as_batch([picture, picture], SIZE), np.stack([GRAY, GRAY]))


def test_arrays_of_other_sizes_are_prepared_one_by_one() -> None:
    """Gray and color arrays, of one shape or several."""
    large = np.asarray(Image.fromarray(GRAY).resize((64, 64), Image.Resampling.NEAREST))
    wide = drawn(2, 20, 50)
    color = np.stack([large] * 3, axis=2)
    assert as_batch(large, SIZE).shape == (1, SIZE, SIZE)
    assert np.array_equal(as_batch(color, SIZE), as_batch(large, SIZE))
    assert as_batch(np.stack([large, large]), SIZE).shape == (2, SIZE, SIZE)
    several = as_batch([large, wide, 255 - wide], SIZE)
    assert several.shape == (3, SIZE, SIZE)
    assert np.array_equal(several[1], several[2])


def test_a_batch_of_prepared_images_is_not_touched() -> None:
    """It is not copied or checked, not even for blank images."""
    batch = np.stack([np.zeros_like(GRAY), np.full_like(GRAY, 255), GRAY])
    assert as_batch(batch, SIZE) is batch
    assert as_batch([], SIZE).shape == (0, SIZE, SIZE)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"no image", "not a BMP, PNG, JPEG, GIF, TIFF, WebP, AVIF, HEIC or JPEG XL"),
        (EXACT["png"][:60], "corrupt or truncated"),
        (encoded(Image.new("L", (9, 9), 40), "PNG"), "the image is blank"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(data: bytes, reason: str, tmp_path: Path) -> None:
    """The reason, with name or index among several pictures."""
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    with pytest.raises(DataError, match=f"^[^/]*{reason}"):
        prepare(path, SIZE)
    with pytest.raises(DataError, match=f"^{path}: .*{reason}"):
        prepare_all([EXACT["png"], path], SIZE)
    with pytest.raises(DataError, match=f"^image 1: .*{reason}"):
        prepare_all([EXACT["png"], data], SIZE)


def test_small_jpeg_images_are_smoothed() -> None:
    """By a Gaussian like SciPy's; no other images are."""
    from scipy.ndimage import gaussian_filter

    found = smooth(GRAY, 0.5)
    wanted = gaussian_filter(GRAY.astype(float), 0.5, mode="nearest", truncate=6)
    assert np.abs(found - wanted).max() <= 0.51
    small = encoded(Image.fromarray(GRAY), "JPEG", quality=30)
    decoded = np.asarray(Image.open(BytesIO(small)))
    assert np.array_equal(prepare(small, SIZE).gray, smooth(decoded, 0.4))
    assert np.array_equal(prepare(Image.open(BytesIO(small)), SIZE).gray, smooth(decoded, 0.4))
    assert np.array_equal(prepare(decoded, SIZE).gray, decoded)
    assert np.array_equal(prepare(small, SIZE, smoothing=0.0).gray, decoded)
    assert np.array_equal(as_batch([small], SIZE, smoothing=0.3)[0], smooth(decoded, 0.3))
    large = encoded(Image.fromarray(GRAY).resize((64, 64)), "JPEG", quality=30)
    plain = prepare(np.asarray(Image.open(BytesIO(large))), SIZE).gray
    assert np.array_equal(prepare(large, SIZE).gray, plain)


def test_a_bomb_is_refused_unopened(monkeypatch: pytest.MonkeyPatch) -> None:
    """The size in the header is enough; the message says what to do."""
    monkeypatch.setattr(decode, "MAX_PIXELS", 100)
    with pytest.raises(DataError, match="the limit is 100; resize the image"):
        prepare(EXACT["png"], SIZE)


@pytest.mark.parametrize("images", [7, None, np.zeros((4, 4)), np.zeros((2, 3, 4, 5), np.uint8)])
def test_what_is_no_image_is_a_usage_error(images: Any) -> None:
    """Invalid arguments raise UsageError."""
    with pytest.raises(UsageError, match="uint8"):
        as_batch(images, SIZE)
