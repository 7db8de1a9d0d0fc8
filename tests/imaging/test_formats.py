"""Image formats: the ones that Pillow reads, and the ones that need a codec."""

from __future__ import annotations

import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, features

from helpers.bands import SIZE, drawn
from oraclezoo.errors import DataError
from oraclezoo.imaging.decode import read_image
from oraclezoo.imaging.formats import CODECS, formats_of
from oraclezoo.imaging.prepare import prepare

GRAY = drawn(1)
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"
AVIF = b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00mif1avif"
JPEG_XL = b"\x00\x00\x00\x0cJXL \r\n\x87\n"


def gif(image: Image.Image, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, "GIF", **options)
    return file.getvalue()


def test_a_palette_gif_is_the_same_image() -> None:
    """Gray and adaptive palettes."""
    gray = Image.fromarray(GRAY)
    assert np.array_equal(prepare(gif(gray), SIZE).gray, GRAY)
    colors = gray.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    assert np.array_equal(prepare(gif(colors), SIZE).gray, GRAY)


def test_the_first_frame_of_a_gif_is_read() -> None:
    """The others are ignored."""
    others = [Image.fromarray(255 - GRAY), Image.fromarray(drawn(3))]
    data = gif(Image.fromarray(GRAY), save_all=True, append_images=others)
    assert np.array_equal(prepare(data, SIZE).gray, GRAY)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif_is_read() -> None:
    """Within its compression error."""
    file = BytesIO()
    large = drawn(2, 90, 90)
    Image.fromarray(large).save(file, "AVIF", quality=95)
    found, plain = prepare(file.getvalue(), SIZE).gray, prepare(large, SIZE).gray
    assert np.abs(found.astype(int) - plain).mean() < 4


@pytest.mark.parametrize(
    ("data", "name"), [(HEIC, "HEIF"), (AVIF, "AVIF"), (JPEG_XL, "JXL"), (b"\xff\x0a..", "JXL")]
)
def test_a_missing_codec_is_named(data: bytes, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    codec = next(codec for codec in CODECS if codec.name == name)
    monkeypatch.setitem(sys.modules, codec.module, None)
    monkeypatch.delitem(Image.OPEN, name, raising=False)
    with pytest.raises(DataError) as error:
        read_image(BytesIO(data))
    assert str(error.value) == f"Pillow cannot read {codec.title} here; {codec.install}"


def test_a_codec_is_tried_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream is where it was before."""
    for codec in CODECS:
        monkeypatch.setitem(Image.OPEN, codec.name, (None, None))
    for data, name in ((HEIC, "HEIF"), (AVIF, "AVIF"), (JPEG_XL, "JXL")):
        file = BytesIO(b"before" + data)
        file.seek(6)
        assert formats_of(file) == (name,)
        assert file.tell() == 6


def test_a_truncated_gif_is_an_error() -> None:
    """With the reason."""
    data = gif(Image.fromarray(GRAY))
    with pytest.raises(DataError, match="corrupt or truncated"):
        prepare(data[:-20], SIZE)
