"""The character in a picture: found on composed pages, left alone in plain images."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from oraclezoo.data.glyphs import generate
from oraclezoo.errors import DataError
from oraclezoo.imaging import find as module
from oraclezoo.imaging.cutting import frame_width, is_one_bit
from oraclezoo.imaging.find import Box, find, reduced
from oraclezoo.imaging.polarity import Gray, Polarity, otsu
from oraclezoo.imaging.prepare import fit, prepare

SIZE = 28
PHONE = (640, 360)


@cache
def images() -> Gray:
    """Return 20 generated characters, uint8 ``(20, 28, 28)``, light on black padding."""
    pictures, _ = generate([2] * 10, 3)
    return np.asarray(pictures)


def cropped(gray: Gray) -> Gray:
    """Cut the padding off."""
    rows, columns = np.flatnonzero(gray.max(1)), np.flatnonzero(gray.max(0))
    return gray[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def enlarged(gray: Gray, times: int) -> Gray:
    """Enlarge with bicubic resampling."""
    size = (times * gray.shape[1], times * gray.shape[0])
    return np.asarray(Image.fromarray(gray).resize(size, Image.Resampling.BICUBIC))


class Composed(NamedTuple):
    """A page, where the character was put on it, and whether it is dark on light."""

    gray: Gray
    box: Box
    dark: bool


def put(scan: Gray, shape: tuple[int, int], x: int, y: int, tone: int) -> Composed:
    """Put a scan on a page of one tone, inverted if the page is light."""
    height, width = scan.shape
    page, dark = np.full(shape, tone, np.uint8), tone > 127
    page[y : y + height, x : x + width] = 255 - scan if dark else scan
    return Composed(page, Box(x, y, width, height), dark)


def margin(scan: Gray, around: int = 50) -> Composed:
    height, width = scan.shape
    return put(scan, (height + 2 * around, width + 2 * around), around, around, 255)


def corner(scan: Gray) -> Composed:
    return put(scan, (280, 280), 277 - scan.shape[1], 2, 0)


def frame(scan: Gray) -> Composed:
    height, width = scan.shape
    gray = np.pad(scan, 5, constant_values=255)
    return Composed(gray, Box(5, 5, width, height), False)


def cell(scan: Gray) -> Composed:
    """A ruled cell: a black line around the margin."""
    page = margin(scan)
    line = Image.fromarray(page.gray)
    ImageDraw.Draw(line).rectangle((8, 8, line.width - 9, line.height - 9), outline=0, width=2)
    return page._replace(gray=np.asarray(line))


def specks(scan: Gray) -> Composed:
    """Dust: 25 specks of up to 3 pixels on the margin."""
    page = margin(scan, 60)
    gray, rng = page.gray.copy(), np.random.default_rng(1)
    for x, y in rng.integers(0, (gray.shape[1] - 3, 40), (25, 2)):
        gray[y : y + 3, x : x + int(rng.integers(1, 4))] = 40
    return page._replace(gray=gray)


def shaded(scan: Gray) -> Composed:
    """Paper with light that falls off across it, and noise."""
    page = put(scan, (300, 260), 70, 90, 240)
    light = page.gray * np.linspace(1, 0.7, 260)
    noise = np.random.default_rng(int(scan.sum())).normal(0, 2, light.shape)
    return page._replace(gray=np.rint(light + noise).clip(0, 255).astype(np.uint8))


def phone(scan: Gray, tone: int = 250) -> Composed:
    """A screenshot with the clock, the battery and the home bar of a phone."""
    page = put(scan, PHONE, 120, 220, tone)
    ink = 20 if page.dark else 235
    screen = Image.fromarray(page.gray)
    draw = ImageDraw.Draw(screen)
    draw.text((16, 6), "9:41", fill=ink, font=ImageFont.load_default(16))
    draw.rectangle((318, 9, 340, 19), fill=ink)
    draw.line((120, 628, 240, 628), fill=ink, width=4)
    return page._replace(gray=np.asarray(screen))


def dark_phone(scan: Gray) -> Composed:
    return phone(scan, 18)


PAGES: tuple[tuple[Callable[[Gray], Composed], float], ...] = (
    (margin, 0.9),
    (corner, 0.85),
    (frame, 1),
    (cell, 0.9),
    (specks, 0.8),
    (shaded, 0.75),
    (phone, 0.8),
    (dark_phone, 0.8),
)
"""Compositions, with the least intersection over union of the box with the truth."""


def overlap(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    common = max(width, 0) * max(height, 0)
    return common / (one.width * one.height + other.width * other.height - common)


@pytest.mark.parametrize(("compose", "least"), PAGES, ids=[make.__name__ for make, _ in PAGES])
def test_the_box_is_that_of_the_scan(compose: Callable[[Gray], Composed], least: float) -> None:
    """For every generated character; all of its ink is inside, and the polarity is right."""
    for image in images():
        scan = enlarged(cropped(image), 4)
        page = compose(scan)
        prepared = prepare(page.gray, SIZE)
        assert overlap(prepared.box, page.box) >= least
        assert prepared.inverted == page.dark
        box = prepared.box
        ink = np.zeros(page.gray.shape, bool)
        ink[page.box.y :, page.box.x :][: page.box.height, : page.box.width] = scan > otsu(scan)
        inside = ink[box.y : box.y + box.height, box.x : box.x + box.width]
        assert inside.sum() >= 0.99 * ink.sum()


@pytest.mark.parametrize("compose", [make for make, _ in PAGES])
def test_the_input_resembles_that_of_the_plain_scan(compose: Callable[[Gray], Composed]) -> None:
    """Correlation with the scan's own input, on average over the characters."""
    values = []
    for image in images():
        scan = enlarged(cropped(image), 4)
        found, plain = prepare(compose(scan).gray, SIZE).gray, prepare(scan, SIZE).gray
        values.append(np.corrcoef(found.reshape(-1), plain.reshape(-1))[0, 1])
    assert np.mean(values) > 0.85


@pytest.mark.parametrize(
    ("times", "is_padded", "is_inverted"),
    [
        *((times, is_padded, False) for times in (1, 2, 4, 10) for is_padded in (True, False)),
        # inverted padding would be a page, and an inverted small image may count as prepared
        *((times, False, True) for times in (2, 4, 10)),
    ],
)
def test_plain_images_are_only_scaled(times: int, is_padded: bool, is_inverted: bool) -> None:
    """Generated characters at 28 pixels and enlarged, with and without padding, bit for bit."""
    for image in images():
        scan = enlarged(image if is_padded else cropped(image), times)
        prepared = prepare(255 - scan if is_inverted else scan, SIZE)
        assert np.array_equal(prepared.gray, fit(scan, SIZE))
        assert prepared.inverted == is_inverted
        assert prepared.box == (0, 0, scan.shape[1], scan.shape[0])


@pytest.mark.parametrize("turned", [False, True])
def test_a_long_bar_is_a_stroke_and_no_sheet(turned: bool) -> None:
    """It is ink on the page around it; a square of one tone is a scan on a sheet."""
    page = np.full((200, 200), 250, np.uint8)
    page[90:110, 40:160] = 15
    prepared = prepare(page.T if turned else page, SIZE)
    assert prepared.inverted
    assert prepared.box == ((90, 40, 20, 120) if turned else (40, 90, 120, 20))
    square = np.full((200, 200), 250, np.uint8)
    square[40:140, 40:140] = 15
    assert not prepare(square, SIZE).inverted


def test_a_sheet_on_a_sheet_is_searched_too() -> None:
    """A white sheet on a dark table, with a character on it."""
    for image in images()[:10]:
        sheet = margin(enlarged(cropped(image), 4), 60)
        height, width = sheet.gray.shape
        table = np.full((height + 120, width + 160), 50, np.uint8)
        table[60 : 60 + height, 80 : 80 + width] = sheet.gray
        truth = sheet.box._replace(x=sheet.box.x + 80, y=sheet.box.y + 60)
        prepared = prepare(table, SIZE)
        assert prepared.inverted
        assert overlap(prepared.box, truth) > 0.8


def test_one_bit_pictures_are_smoothed_where_they_are_small() -> None:
    """Otsu's threshold and dithering at 28 pixels become gray; one-bit pages are searched."""
    for image in images()[:10]:
        hard = (255 * (image > otsu(image))).astype(np.uint8)
        dithered = np.asarray(Image.fromarray(image).convert("1"))
        for gray in (hard, (255 * dithered).astype(np.uint8)):
            assert is_one_bit(gray)
            prepared = prepare(Image.fromarray(gray).convert("1"), SIZE)
            assert len(np.unique(prepared.gray)) > 4
            truth = image.astype(np.int64)
            assert abs(prepared.gray - truth).mean() < abs(gray - truth).mean()
        scan = enlarged(cropped(image), 4)
        page = margin((255 * (scan > otsu(scan))).astype(np.uint8))
        box = prepare(Image.fromarray(page.gray).convert("1"), SIZE).box
        ink = page.gray == 0
        inside = ink[box.y : box.y + box.height, box.x : box.x + box.width]
        assert inside.sum() >= 0.85 * ink.sum()  # specks of the rubbing may be left out
        assert box.width * box.height <= 1.1 * page.box.width * page.box.height


def test_a_box_that_is_stated_is_used() -> None:
    """The result is that of the scan in the box alone; the page decides contrast and polarity."""
    scan = enlarged(cropped(images()[0]), 4)
    pair = np.full((200, 400), 255, np.uint8)
    other = enlarged(cropped(images()[7]), 4)
    pair[40 : 40 + scan.shape[0], 30 : 30 + scan.shape[1]] = 255 - scan
    pair[40 : 40 + other.shape[0], 240 : 240 + other.shape[1]] = 255 - other
    box = Box(30, 40, scan.shape[1], scan.shape[0])
    prepared = prepare(pair, SIZE, box=box)
    assert prepared.box == box
    assert prepared.inverted
    assert np.array_equal(prepared.gray, fit(scan, SIZE))


@pytest.mark.parametrize("box", [Box(0, 0, 61, 10), Box(-1, 0, 10, 10), Box(5, 75, 10, 6)])
def test_a_box_outside_the_picture_is_an_error(box: Box) -> None:
    """The message states the size of the picture."""
    page = np.full((80, 60), 220, np.uint8)
    page[10:50, 18:22] = 30
    with pytest.raises(DataError, match="not inside the image, which has 60 x 80 pixels"):
        prepare(page, SIZE, box=box)


@pytest.mark.parametrize("polarity", ["light-on-dark", "dark-on-light"])
def test_a_stated_polarity_wins(polarity: Polarity) -> None:
    """Also on a page that was found."""
    page = margin(enlarged(cropped(images()[0]), 4))
    prepared = prepare(page.gray, SIZE, polarity)
    assert prepared.inverted == (polarity == "dark-on-light")


def test_a_frame_has_the_tone_of_strokes() -> None:
    """Padding in the tone of the background is no frame, at any width."""
    image = images()[0]
    for width in (1, 2, 3):
        assert frame_width(np.pad(image, width, constant_values=255)) == width
    assert frame_width(np.pad(image, 3)) == 0
    assert frame_width(np.pad(image, 9, constant_values=255)) == 0  # wider than an eighth


def test_reduction_is_the_mean_of_squares() -> None:
    """Halves are rounded up and the last row is replicated."""
    gray = np.array([[0, 1, 10, 11, 7], [0, 1, 10, 12, 8], [4, 4, 255, 255, 1]], np.uint8)
    assert reduced(gray, 2).tolist() == [[1, 11, 8], [4, 255, 1]]
    large = np.random.default_rng(0).integers(0, 256, (60, 90), dtype=np.uint8)
    blocks = large.reshape(20, 3, 30, 3).astype(np.int64).sum(axis=(1, 3))
    assert np.array_equal(reduced(large, 3), (2 * blocks + 9) // 18)


EDGE = 8_000


def large_page() -> Gray:
    page = np.full((EDGE, EDGE), 1, np.uint8) * (240 - np.arange(EDGE) // 200).astype(np.uint8)
    page[1_500:6_500, 3_900:4_100] = page[3_900:4_100, 1_500:6_500] = 20
    return page


def isolated_pixels() -> Gray:
    """16 million components."""
    page = np.full((EDGE, EDGE), 200, np.uint8)
    page[::2, ::2] = 10
    return page


def checkerboard() -> Gray:
    """One component, and each square is a component of its own without diagonals."""
    square = np.kron([[0, 1], [1, 0]], np.full((4, 4), 255)).astype(np.uint8)
    return np.tile(square, (EDGE // 8, EDGE // 8))


def coarse_dots() -> Gray:
    """Dots that survive the reduction to 112 pixels."""
    page = np.full((EDGE, EDGE), 230, np.uint8)
    page.reshape(50, 160, 50, 160)[:, :80, :, :80] = 20
    return page


def noise() -> Gray:
    return np.random.default_rng(0).integers(0, 256, (EDGE, EDGE), dtype=np.uint8)


@pytest.mark.parametrize("make", [large_page, isolated_pixels, checkerboard, coarse_dots, noise])
def test_a_large_picture_is_searched_at_a_bounded_size(
    make: Callable[[], Gray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 million pixels take at most five bytes each, and a few searches of 112 pixels."""
    searched = []
    original = module.find_object

    def recorded(gray: Gray, page: module.Page) -> module.Edges | None:
        searched.append(gray.shape)
        return original(gray, page)

    monkeypatch.setattr(module, "find_object", recorded)
    gray = make()
    tracemalloc.start()
    try:
        prepared = prepare(gray, SIZE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * gray.size
    assert len(searched) <= 20
    assert all(max(shape) <= module.WORK for shape in searched)
    if make is large_page:
        assert overlap(prepared.box, Box(1_500, 1_500, 5_000, 5_000)) > 0.9
    else:
        assert prepared.box == (0, 0, EDGE, EDGE)


@pytest.mark.parametrize("shape", [(1, 5_000), (5_000, 1), (7, 300), (2, 2), (1, 2)])
def test_any_shape_is_read(shape: tuple[int, int]) -> None:
    """Lines and tiny pictures have no page and stay as they are."""
    gray = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert find(gray) is None
    assert prepare(gray, SIZE).box == (0, 0, shape[1], shape[0])


def padded_means(gray: Gray, factor: int) -> Gray:
    """Return the means of the blocks of a picture whose edges are replicated."""
    height, width = gray.shape
    below, beside = -height % factor, -width % factor
    whole = np.pad(gray, ((0, below), (0, beside)), "edge").astype(np.uint64)
    blocks = whole.reshape(len(whole) // factor, factor, -1, factor)
    area = factor * factor
    means: Gray = ((2 * blocks.sum((1, 3)) + area) // (2 * area)).astype(np.uint8)
    return means


@pytest.mark.parametrize("factor", [2, 3, 7, 40])
def test_blocks_are_averaged_exactly(factor: int) -> None:
    """Blocks at the right and lower edge are filled with the pixels there."""
    generator = np.random.default_rng(factor)
    for shape in ((1, 90), (90, 1), (7, 7), (39, 41), (80, 40), (2, 500)):
        gray = generator.integers(0, 256, shape, dtype=np.uint8)
        assert np.array_equal(reduced(gray, factor), padded_means(gray, factor))
        white = np.full(shape, 255, np.uint8)
        assert np.array_equal(reduced(white, factor), padded_means(white, factor))


@pytest.mark.parametrize("factor", [2899, 2900, 5000])
def test_white_blocks_of_any_size_are_white(factor: int) -> None:
    """The sum of a block does not overflow."""
    assert reduced(np.full((2, 3 * factor + 1), 255, np.uint8), factor).tolist() == [[255] * 4]


@pytest.mark.parametrize("shape", [(1, 2_000_000), (2_000_000, 1), (3, 700_000)])
def test_lines_of_pixels_take_memory_of_their_size(shape: tuple[int, int]) -> None:
    """A file of a few kilobytes cannot make the server allocate gigabytes."""
    gray = np.zeros(shape, np.uint8)
    gray.ravel()[gray.size // 3 : gray.size // 2] = 255
    tracemalloc.start()
    try:
        find(gray)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * gray.size
