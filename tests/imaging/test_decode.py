"""Decoding of every format and mode, Otsu's threshold, and invalid files."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw
from skimage.filters import threshold_otsu

from oraclezoo.errors import DataError
from oraclezoo.imaging import decode
from oraclezoo.imaging.decode import MAX_PIXELS, read_image, to_gray
from oraclezoo.imaging.polarity import Gray, otsu
from oraclezoo.imaging.prepare import fit, prepare_all
from oraclezoo.imaging.prepare import prepare as prepare_picture


def prepare(picture: Image.Image | Path, size: int) -> Gray:
    """Return the model input without JPEG smoothing, as in ``data convert``."""
    return prepare_picture(picture, size, smoothing=0.0).gray


def scan(width: int = 60, height: int = 90, paper: int = 200, ink: int = 30) -> Image.Image:
    """An asymmetric character with noise in strokes and background."""
    image = Image.new("L", (width, height), paper)
    draw = ImageDraw.Draw(image)
    draw.line([(10, 10), (10, height - 15)], fill=ink, width=6)
    draw.line([(10, 20), (width - 12, 30)], fill=ink, width=6)
    draw.ellipse([25, 55, 40, 75], fill=ink + 15)
    noise = np.random.default_rng(0).integers(-9, 10, (height, width))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def written(image: Image.Image, format: str, **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, format, **options)
    file.seek(0)
    return file


def difference(a: Gray, b: Gray) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def as_palette(image: Image.Image) -> Image.Image:
    """Return a palette image whose indices differ from its gray values."""
    order = np.random.default_rng(1).permutation(256).astype(np.uint8)
    made = Image.fromarray(np.argsort(order).astype(np.uint8)[np.asarray(image)])
    made.putpalette([int(v) for v in order for _ in range(3)])
    return made


def as_16_bit(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image).astype(np.uint16) * 257)


def as_float(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image).astype(np.float32) / 255)


EXACT: dict[str, tuple[Callable[[Image.Image], Image.Image], str, dict[str, object]]] = {
    "BMP gray": (lambda i: i, "BMP", {}),
    "BMP RGB": (lambda i: i.convert("RGB"), "BMP", {}),
    "BMP palette": (as_palette, "BMP", {}),
    "PNG gray": (lambda i: i, "PNG", {}),
    "PNG RGB": (lambda i: i.convert("RGB"), "PNG", {}),
    "PNG RGBA, opaque": (lambda i: i.convert("RGBA"), "PNG", {}),
    "PNG gray and alpha": (lambda i: i.convert("LA"), "PNG", {}),
    "PNG palette": (as_palette, "PNG", {}),
    "PNG 16 bits": (as_16_bit, "PNG", {}),
    "TIFF gray": (lambda i: i, "TIFF", {}),
    "TIFF LZW": (lambda i: i, "TIFF", {"compression": "tiff_lzw"}),
    "TIFF 16 bits": (as_16_bit, "TIFF", {}),
    "TIFF float": (as_float, "TIFF", {}),
    "TIFF palette": (as_palette, "TIFF", {}),
    "WebP lossless": (lambda i: i.convert("RGB"), "WEBP", {"lossless": True}),
}
"""How the same picture may be stored without loss."""

LOSSY: dict[str, tuple[Callable[[Image.Image], Image.Image], str, dict[str, object]]] = {
    "JPEG gray": (lambda i: i, "JPEG", {"quality": 95}),
    "JPEG RGB": (lambda i: i.convert("RGB"), "JPEG", {"quality": 95}),
    "JPEG CMYK": (lambda i: i.convert("RGB").convert("CMYK"), "JPEG", {"quality": 95}),
    "JPEG progressive": (lambda i: i, "JPEG", {"quality": 95, "progressive": True}),
    "WebP": (lambda i: i.convert("RGB"), "WEBP", {"quality": 95}),
}


@pytest.mark.parametrize("name", EXACT)
def test_the_way_of_storing_does_not_matter(name: str, tmp_path: Path) -> None:
    """Lossless formats, depths, palettes, color and alpha give the same bytes."""
    convert, format, options = EXACT[name]
    path = tmp_path / "scan"  # the content says what it is
    path.write_bytes(written(convert(scan()), format, **options).getvalue())
    assert (prepare(path, 28) == prepare(scan(), 28)).all()


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_formats_are_read_alike(name: str) -> None:
    """JPEG in every color space and WebP, within their compression error."""
    convert, format, options = LOSSY[name]
    image = read_image(written(convert(scan()), format, **options))
    assert difference(prepare(image, 28), prepare(scan(), 28)) <= 12


def test_one_bit_images_are_read() -> None:
    """The scaled image has intermediate grays."""
    image = scan().point(lambda value: 255 * (value > 120)).convert("1")
    for format in ("PNG", "BMP", "TIFF"):
        assert (prepare(read_image(written(image, format)), 28) == prepare(image, 28)).all()
    assert difference(prepare(image, 28), prepare(image.convert("L"), 28)) == 0
    assert len(np.unique(prepare(image, 28))) > 10


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_exif_orientation_is_undone(format: str, orientation: int) -> None:
    """The image is prepared as it is displayed."""
    turns = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    turn = turns[orientation]
    lying = scan() if turn is None else scan().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, object] = {"lossless": True} if format == "WEBP" else {}
    mode = lying.convert("RGB") if format == "WEBP" else lying
    image = read_image(written(mode, format, exif=exif, **options))
    loss = 30 if format == "JPEG" else 0
    assert difference(prepare(image, 28), prepare(scan(), 28)) <= loss
    assert prepare(image, 28)[:, 4].any()


def test_broken_exif_does_not_spoil_a_good_image() -> None:
    """Corrupt EXIF data are ignored."""
    image = read_image(written(scan(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff", quality=95))
    assert difference(prepare(image, 28), prepare(scan(), 28)) <= 12


@pytest.mark.parametrize(("most", "white"), [(200, 255), (3000, 4095), (60000, 65535)])
def test_16_bit_images_are_scaled_and_never_clipped(most: int, white: int) -> None:
    """By the smallest of the white levels of 8, 12 and 16 bits that covers the image."""
    values = np.linspace(0, most, 200, dtype=np.uint16).reshape(10, 20)
    gray = to_gray(Image.fromarray(values))
    assert (gray == np.rint(values.astype(float) * 255 / white)).all()
    assert (to_gray(read_image(written(Image.fromarray(values), "PNG"))) == gray).all()
    big = Image.frombytes("I;16B", (20, 10), values.astype(">u2").tobytes())
    assert (to_gray(big) == gray).all()


def test_integers_and_floats_of_any_range_are_scaled() -> None:
    """From minimum to maximum; NaN and infinite values are rejected."""
    wide = np.array([[-7, 0], [100_000, 50_000]], np.int32)
    assert to_gray(Image.fromarray(wide)).tolist() == [[0, 0], [255, 128]]
    huge = np.array([[-3e38, 0], [3e38, 1]], np.float32)
    assert to_gray(Image.fromarray(huge)).tolist() == [[0, 128], [255, 128]]
    assert to_gray(Image.fromarray(np.float32([[0, 51], [204, 255]]))).tolist() == [
        [0, 51],
        [204, 255],
    ]
    for value in (np.nan, np.inf):
        with pytest.raises(DataError, match="are not finite"):
            to_gray(Image.fromarray(np.float32([[0, 1], [value, 1]])))


@pytest.mark.parametrize("ink", [0, 255])
def test_what_is_transparent_is_background(ink: int) -> None:
    """A character on nothing comes out bright on dark, whatever its color.

    Where most of the image is opaque, that is the background, as by the rule for all images.
    """
    shape = scan(paper=0, ink=240).point(lambda value: 255 * (value > 128))
    stencil = shape.point(lambda value: 255 - value)
    for alpha in (shape, stencil):
        image = Image.merge("LA", (Image.new("L", shape.size, ink), alpha))
        assert difference(prepare(image, 28), fit(np.asarray(shape), 28)) <= 2
    palette = Image.fromarray((np.asarray(shape) > 128).astype(np.uint8))
    palette.putpalette([ink, ink, ink] * 2)
    image = read_image(written(palette, "PNG", transparency=0))
    assert difference(prepare(image, 28), fit(np.asarray(shape), 28)) <= 2


def test_transparent_corners_of_a_scan_take_its_background() -> None:
    """A rotated rubbing keeps its polarity and has no bright corners."""
    rubbing = scan(80, 90, paper=40, ink=200).convert("RGBA")
    turned = rubbing.rotate(8, expand=True, resample=Image.Resampling.BICUBIC)
    assert turned.getpixel((0, 0))[3] == 0
    assert difference(to_gray(turned)[:3, :3], np.full((3, 3), 40, np.uint8)) <= 3
    made = prepare(turned, 28)
    assert made.max() > 150
    assert np.median(made[made > 0]) < 60


def seal(paper: int, ink: int) -> Image.Image:
    """A character on a gray slab, with paper in the margin and in the character."""
    image = Image.new("L", (40, 40), paper)
    draw = ImageDraw.Draw(image)
    draw.rectangle([4, 4, 35, 35], fill=120)
    draw.rectangle([12, 12, 27, 27], fill=ink)
    draw.rectangle([18, 18, 21, 21], fill=paper)
    return image


@pytest.mark.parametrize(("paper", "ink"), [(255, 20), (240, 20), (0, 230)])
@pytest.mark.parametrize("form", ["gray", "RGB", "palette", "RGBA", "LA"])
def test_a_color_keyed_transparent_reads_as_itself(paper: int, ink: int, form: str) -> None:
    """The key is the background, also if most of the image is opaque gray next to it."""
    plain = seal(paper, ink)
    if form in ("RGBA", "LA"):
        if paper == 0:
            pytest.skip("editors leave black under erased pixels, so it tells nothing")
        alpha = plain.point(lambda value: 255 * (value != paper))
        image = Image.merge("LA", (plain, alpha)).convert(form)
        keyed = read_image(written(image, "PNG"))
    elif form == "palette":
        image = plain.convert("P")  # the index is the gray value
        keyed = read_image(written(image, "PNG", transparency=paper))
    else:
        image = plain.convert({"gray": "L"}.get(form, form))
        key = paper if form == "gray" else (paper,) * 3
        keyed = read_image(written(image, "PNG", transparency=key))
    assert keyed.has_transparency_data
    assert (np.asarray(keyed.convert("RGBA"))[..., 3] == 0).any()
    np.testing.assert_array_equal(to_gray(keyed), np.asarray(plain))


def test_erased_white_of_a_scan_takes_the_gray_next_to_it() -> None:
    """Optimisers that discard the key's color leave the lightest paper around the gap."""
    values = np.asarray(scan(paper=248, ink=30)).copy()
    values[40:, 25:] = np.minimum(values[40:, 25:], 130)  # a shadow over a part of the scan
    gap = values >= 252
    assert gap.any()
    hidden = np.where(gap, 0, values)
    pair = (Image.fromarray(hidden), Image.fromarray(np.where(gap, 0, 255).astype(np.uint8)))
    assert difference(to_gray(Image.merge("LA", pair)), values) <= 12


def test_blank_images_are_refused() -> None:
    """Constant and fully transparent images."""
    for image in (
        Image.new("L", (30, 20), 255),
        Image.new("RGB", (1, 1), (3, 4, 5)),
        Image.new("1", (9, 9)),
        Image.new("I;16", (9, 9), 4000),
    ):
        with pytest.raises(DataError, match="blank: every pixel has the same gray"):
            prepare(image, 28)
    with pytest.raises(DataError, match="blank: every pixel is transparent"):
        prepare(Image.new("RGBA", (9, 9), (200, 10, 0, 0)), 28)


@pytest.mark.parametrize("name", [*EXACT, *LOSSY])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.9])
def test_files_cut_short_are_refused(name: str, share: float) -> None:
    """Truncated files of any format raise DataError with a one-line reason."""
    convert, format, options = (EXACT | LOSSY)[name]
    whole = written(convert(scan()), format, **options).getvalue()
    with pytest.raises(DataError) as caught:
        to_gray(read_image(io.BytesIO(whole[: int(share * len(whole))])))
    assert "\n" not in str(caught.value)


@given(data=st.data(), name=st.sampled_from([*EXACT, *LOSSY]))
def test_damaged_files_are_read_or_refused(data: st.DataObject, name: str) -> None:
    """Any changed bytes give an image or DataError."""
    convert, format, options = (EXACT | LOSSY)[name]
    content = bytearray(written(convert(scan(24, 24)), format, **options).getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    try:
        made = prepare(read_image(io.BytesIO(bytes(content))), 8)
    except DataError:
        return
    assert made.shape == (8, 8)


def test_other_files_are_refused_by_their_content(tmp_path: Path) -> None:
    """Text, PDF, PostScript and a missing file; the message names the file."""
    path = tmp_path / "scan.png"
    pdf = written(scan(), "PDF").getvalue()
    for content in (b"hello", pdf, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"scan\.png: the file is not a BMP, PNG, JPEG"):
            prepare_all([path], 28)
    with pytest.raises(DataError, match=r"absent\.png: .*No such file"):
        prepare_all([tmp_path / "absent.png"], 28)


def png_of_size(width: int, height: int) -> bytes:
    """Return a tiny PNG whose header declares ``width`` x ``height`` pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


@pytest.mark.parametrize("edge", [MAX_PIXELS // 8000 + 1, 12_000, 65_000])
def test_huge_images_are_refused_before_decoding(
    edge: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The size in the header decides, whatever Pillow's own limit."""
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(DataError, match=r"the limit is 64,000,000; resize the image"):
        read_image(io.BytesIO(png_of_size(8000 if edge < 9000 else edge, edge)))


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_otsu_is_scikit_images(gray: Gray) -> None:
    """The threshold equals scikit-image's up to ties by rounding."""
    ours, theirs = otsu(gray), int(threshold_otsu(gray))
    assert ours == theirs or np.isclose(between(gray, ours), between(gray, theirs), rtol=1e-5)


@given(
    st.integers(0, 254),
    st.integers(1, 255),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_otsu_parts_two_grays(low: int, above: int, lows: int, highs: int) -> None:
    """For two grays it is the lower one."""
    high = min(255, low + above)
    gray = np.array([low] * lows + [high] * highs, np.uint8).reshape(1, -1)
    assert otsu(gray) == threshold_otsu(gray) == low


@pytest.mark.parametrize("seed", range(200))
def test_otsu_is_scikit_images_on_random_images(seed: int) -> None:
    """Exactly equal for noise, mixtures of Gaussians and few grays."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(2, 80, 2)
    kinds = (
        rng.integers(0, 256, (height, width)),
        np.where(rng.random((height, width)) < rng.random(), rng.normal(60, 20), 180)
        + rng.normal(0, 15, (height, width)),
        rng.choice(rng.integers(0, 256, 4), (height, width)),
    )
    gray = kinds[seed % 3].clip(0, 255).astype(np.uint8)
    assert otsu(gray) == threshold_otsu(gray)


def between(gray: Gray, threshold: int) -> float:
    """Return the between-class variance of a threshold, by definition."""
    low, high = gray[gray <= threshold].astype(float), gray[gray > threshold].astype(float)
    if not len(low) or not len(high):
        return 0.0
    return float(len(low) * len(high) * (low.mean() - high.mean()) ** 2)


@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=70)),
    st.integers(1, 64),
)
def test_any_image_becomes_a_square(gray: Gray, size: int) -> None:
    """The longest edge fills the square; the aspect ratio is kept; padding is 0."""
    assume(gray.min() != gray.max())
    made = prepare(Image.fromarray(gray), size)
    assert (made.shape, made.dtype) == ((size, size), np.uint8)
    full = fit(np.full(gray.shape, 255, np.uint8), size)  # where the image lies
    rows, columns = (full > 0).any(1), (full > 0).any(0)
    height, width = int(rows.sum()), int(columns.sum())
    assert max(height, width) == size
    assert min(height, width) == max(1, round(min(gray.shape) * size / max(gray.shape)))
    assert (full[np.ix_(rows, columns)] == 255).all()
    assert np.flatnonzero(rows)[0] == (size - height) // 2
    assert np.flatnonzero(columns)[0] == (size - width) // 2
    assert not made[full == 0].any()


@given(st.integers(0, 2**32 - 1), st.integers(8, 60), st.integers(8, 60), st.floats(0.05, 0.4))
def test_polarity_does_not_matter(seed: int, height: int, width: int, inked: float) -> None:
    """An image and its negative give the same input."""
    rng = np.random.default_rng(seed)
    ink = rng.random((height, width)) < inked
    assume(0 < ink.mean() < 0.45)
    gray = np.where(ink, rng.integers(10, 60, ink.shape), rng.integers(190, 240, ink.shape))
    dark_on_bright = gray.astype(np.uint8)
    made = [prepare(Image.fromarray(each), 28) for each in (dark_on_bright, 255 - dark_on_bright)]
    assert difference(*made) <= 1


def test_an_image_of_the_size_is_only_turned_bright_on_dark() -> None:
    """An image of the input size is not resampled."""
    gray = np.asarray(scan(28, 28, paper=20, ink=200))
    assert (prepare(Image.fromarray(gray), 28) == gray).all()
    assert (prepare(Image.fromarray(255 - gray), 28) == gray).all()


def test_needs_numpy_and_pillow_only() -> None:
    """A server can use it without torch or SciPy."""
    source = Path(decode.__file__).read_text(encoding="utf-8")
    assert "torch" not in source
    assert "scipy" not in source
