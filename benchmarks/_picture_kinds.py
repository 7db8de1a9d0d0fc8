"""Kinds of pictures that people bring, each made from a published 28 x 28 image.

A kind's ``how`` says how its pictures are made; every picture is a file's bytes. ``scan`` below is
the published image enlarged four times (bicubic), 112 px. An image is put on paper as ink: each
gray value, from 0 to 255, blends the color of the paper with that of the ink.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from oraclezoo.imaging.polarity import Gray, border, otsu

Rng = np.random.Generator
Color = tuple[int, int, int]
BLACK, WHITE = 0, 255


def encoded(image: Image.Image | Gray, format: str = "PNG", **options: object) -> bytes:
    """Return the bytes of a file."""
    file = BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(file, format, **options)
    return file.getvalue()


def scan(gray: Gray, times: int = 4) -> Gray:
    """Enlarge with bicubic resampling, like a scan at full resolution."""
    height, width = gray.shape
    large = Image.fromarray(gray).resize((times * width, times * height), Image.Resampling.BICUBIC)
    return np.asarray(large)


def cropped(gray: Gray) -> Gray:
    """Crop the black padding of a published image."""
    rows, columns = np.flatnonzero(gray.max(1)), np.flatnonzero(gray.max(0))
    return gray[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def noisy(values: npt.NDArray[np.floating], rng: Rng, deviation: float) -> Gray:
    """Add sensor noise and round to uint8."""
    noise = rng.normal(0, deviation, values.shape)
    return np.rint(values + noise).clip(0, 255).astype(np.uint8)


def margined(gray: Gray, share: float, tone: int) -> Gray:
    """Add a margin on all four sides; ``share`` is relative to the image's edge."""
    return np.pad(gray, round(share * max(gray.shape)), constant_values=tone)


def canvas(gray: Gray, shape: tuple[int, int], at: tuple[int, int], tone: int) -> Gray:
    """Put an image on a canvas of one tone, its top left corner ``at`` (y, x)."""
    page = np.full(shape, tone, np.uint8)
    page[at[0] : at[0] + gray.shape[0], at[1] : at[1] + gray.shape[1]] = gray
    return page


def inked(gray: Gray, paper: Color, ink: Color) -> npt.NDArray[np.float64]:
    """Return the image as ink on paper, float ``(H, W, 3)``."""
    cover = gray[..., None].astype(np.float64) / 255
    return np.array(paper) * (1 - cover) + np.array(ink) * cover


def turned(gray: Gray, degrees: float) -> Gray:
    """Rotate about the center; the corners become 0, which is bare paper."""
    return np.asarray(Image.fromarray(gray).rotate(degrees, Image.Resampling.BICUBIC))


def shading(shape: tuple[int, int], low: float, rng: Rng) -> npt.NDArray[np.float64]:
    """Return a brightness that falls linearly from 1 to ``low`` in a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    slope = x * np.cos(angle) + y * np.sin(angle)
    return (1 + low) / 2 + (1 - low) / 2 * slope / np.abs(slope).max()


def text(page: Image.Image, at: tuple[int, int], words: str, size: int, tone: int) -> None:
    """Write with Pillow's own font."""
    ImageDraw.Draw(page).text(at, words, fill=tone, font=ImageFont.load_default(size))


# ---- the kinds


def frame(gray: Gray, width: int) -> bytes:
    return encoded(np.pad(gray, width, constant_values=WHITE))


def corner(gray: Gray, rng: Rng, times: float, tone: int) -> bytes:
    size = round(times * 28)
    free = size - 28
    inset = int(rng.integers(0, 3))
    at = tuple(int(each) for each in rng.choice([inset, free - inset], 2))
    shown = gray if tone == BLACK else 255 - gray
    return encoded(canvas(shown, (size, size), (at[0], at[1]), tone))


def photo(gray: Gray, rng: Rng) -> bytes:
    sheet = turned(margined(scan(gray, 8), 0.2, BLACK), 5 * rng.choice([-1, 1]))
    colors = inked(sheet, (214, 188, 148), (92, 56, 32))
    shaded = colors * shading(sheet.shape, 0.7, rng)[..., None]
    return encoded(noisy(shaded, rng, 3), "JPEG", quality=85)


def one_bit(gray: Gray, dithered: bool) -> bytes:
    if dithered:
        return encoded(Image.fromarray(gray).convert("1"))
    return encoded(Image.fromarray(255 * (gray > otsu(gray)).astype(np.uint8)).convert("1"))


def phone(gray: Gray, dark: bool) -> bytes:
    tone, ink = (18, 235) if dark else (250, 20)
    shown = scan(gray, 8) if dark else 255 - scan(gray, 8)
    page = Image.fromarray(canvas(shown, (640, 360), (190, 68), tone))
    text(page, (16, 6), "9:41", 16, ink)
    draw = ImageDraw.Draw(page)
    draw.rectangle((318, 9, 340, 19), outline=ink)
    draw.rectangle((320, 11, 332, 17), fill=ink)
    draw.line((120, 628, 240, 628), fill=ink, width=4)
    return encoded(page)


# ---- ten more, and some formats


def scanner(gray: Gray, rng: Rng) -> bytes:
    sheet = margined(255 - scan(gray), 0.25, 244)
    page = np.full((sheet.shape[0] + 14, sheet.shape[1] + 22), 24, np.uint8)
    page[: sheet.shape[0], : sheet.shape[1]] = sheet
    skewed = Image.fromarray(page).rotate(
        float(rng.uniform(-1.5, 1.5)), Image.Resampling.BICUBIC, fillcolor=24
    )
    return encoded(noisy(np.asarray(skewed).astype(np.float64), rng, 2), "TIFF")


def table(gray: Gray, rng: Rng) -> bytes:
    sheet = margined(255 - scan(gray), 0.3, 236)
    edge = round(1.45 * len(sheet))
    page = canvas(sheet, (edge, edge), ((edge - len(sheet)) // 2,) * 2, 52)
    lying = Image.fromarray(page).rotate(
        float(rng.uniform(-8, 8)), Image.Resampling.BICUBIC, fillcolor=52
    )
    return encoded(noisy(np.asarray(lying).astype(np.float64), rng, 3), "JPEG", quality=85)


def dust(gray: Gray, rng: Rng) -> bytes:
    page = margined(255 - scan(gray), 0.3, 250)
    for _ in range(25):
        y, x = rng.integers(0, len(page) - 3, 2)
        edge = int(rng.integers(1, 4))
        page[y : y + edge, x : x + edge] = rng.integers(0, 160)
    return encoded(page)


def cell(gray: Gray, _: Rng) -> bytes:
    page = Image.fromarray(margined(255 - scan(gray), 0.3, 255))
    last = page.width - 9
    ImageDraw.Draw(page).rectangle((8, 8, last, last), outline=0, width=2)
    return encoded(page)


def pencil(gray: Gray, rng: Rng) -> bytes:
    page = inked(margined(scan(gray), 0.15, BLACK), (204, 202, 198), (128, 127, 126))
    return encoded(noisy(page, rng, 3), "JPEG", quality=90)


def blueprint(gray: Gray, rng: Rng) -> bytes:
    page = inked(margined(scan(gray), 0.15, BLACK), (28, 70, 140), (235, 240, 250))
    return encoded(noisy(page, rng, 4), "WEBP", quality=80)


def seal(gray: Gray, rng: Rng) -> bytes:
    page = inked(margined(scan(gray), 0.2, BLACK), (246, 238, 214), (186, 24, 28))
    return encoded(noisy(page, rng, 2), "AVIF", quality=70)


def sticker(gray: Gray, _: Rng) -> bytes:
    alpha = margined(scan(gray), 0.3, 0)
    rgba = np.zeros((*alpha.shape, 4), np.uint8)
    rgba[..., 3] = alpha
    return encoded(Image.fromarray(rgba))


def caption(gray: Gray, _: Rng) -> bytes:
    page = Image.fromarray(canvas(255 - scan(gray), (260, 200), (50, 44), 255))
    text(page, (30, 186), "Fig. 12. A character", 14, 30)
    text(page, (92, 236), "207", 14, 30)
    return encoded(page)


def letterbox(gray: Gray, rng: Rng) -> bytes:
    page = canvas(255 - scan(gray), (180, 240), (34, 64), 235).astype(np.float64)
    page *= shading(page.shape[:2], 0.85, rng)
    video = canvas(noisy(page, rng, 2), (180, 320), (0, 40), 0)
    return encoded(video, "JPEG", quality=80)


def same_tone(gray: Gray, rng: Rng) -> bytes:
    raw = scan(cropped(gray))
    sheet = margined(raw, 0.2, int(np.median(border(raw))))
    return encoded(noisy(sheet.astype(np.float64), rng, 3), "JPEG", quality=80)


def sixteen(gray: Gray, _: Rng) -> bytes:
    page = margined(scan(gray), 0.25, BLACK)
    return encoded(Image.fromarray(page.astype(np.uint16) * 257), "TIFF")


def fax(gray: Gray, _: Rng) -> bytes:
    page = margined(255 - scan(gray), 0.25, WHITE)
    return encoded(Image.fromarray(page).convert("1"), "TIFF", compression="group4")


def squared(gray: Gray, _: Rng) -> bytes:
    page = margined(255 - scan(gray), 0.3, 252)
    lines = np.zeros(page.shape, bool)
    lines[::16], lines[:, ::16] = True, True
    return encoded(np.where(lines, np.minimum(page, 214), page))


def vignette(gray: Gray, rng: Rng) -> bytes:
    size = 280
    at = tuple(int(each) for each in rng.integers(12, size - 124, 2))
    page = canvas(255 - scan(gray), (size, size), (at[0], at[1]), 240).astype(np.float64)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    return encoded(noisy(page * (1 - 0.25 * (x * x + y * y)), rng, 3), "JPEG", quality=85)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of pictures.

    ``points`` is the most accuracy that a picture may lose, in percentage points; None where a
    28 x 28 image has lost too much for a bound.
    """

    name: str
    how: str
    make: Callable[[Gray, Rng], bytes]
    points: float | None = 2.0


KINDS = (
    Kind("frame-1", "28 px, a white frame of 1 px around it", lambda g, _: frame(g, 1), 4),
    Kind("frame-2", "28 px, a white frame of 2 px around it", lambda g, _: frame(g, 2), 4),
    Kind(
        "corner-2",
        "in a corner (0 to 2 px from it) of a black canvas of 56 px",
        lambda g, r: corner(g, r, 2, BLACK),
    ),
    Kind(
        "corner-2.5",
        "inverted, in a corner (0 to 2 px from it) of a white canvas of 70 px",
        lambda g, r: corner(g, r, 2.5, WHITE),
    ),
    Kind(
        "margin-12",
        "scan with a black margin of 12% on each side",
        lambda g, _: encoded(margined(scan(g), 0.12, BLACK)),
    ),
    Kind(
        "margin-25",
        "inverted scan with a white margin of 25% on each side",
        lambda g, _: encoded(margined(255 - scan(g), 0.25, WHITE)),
    ),
    Kind(
        "gif",
        "28 px, palette GIF",
        lambda g, _: encoded(Image.fromarray(g).convert("P"), "GIF"),
        0,
    ),
    Kind(
        "photo",
        "brown ink on tan paper, 314 px, turned by 5 degrees, margin of 20%, light falling off "
        "to 70%, noise of 3 gray levels, JPEG 85",
        photo,
    ),
    Kind("otsu-28", "28 px, 1 bit by Otsu's threshold", lambda g, _: one_bit(g, False), None),
    Kind("dithered-28", "28 px, 1 bit by Floyd-Steinberg", lambda g, _: one_bit(g, True), None),
    Kind(
        "phone-light",
        "screenshot 360 x 640, inverted scan of 224 px on white, clock, battery and home bar",
        lambda g, _: phone(g, False),
    ),
    Kind("phone-dark", "the same, the scan on a dark screen", lambda g, _: phone(g, True)),
    Kind(
        "scanner",
        "inverted scan on a sheet (margin of 25%), the scanner's dark lid at two edges, skewed by "
        "up to 1.5 degrees, noise of 2, TIFF",
        scanner,
    ),
    Kind(
        "table",
        "photo of a white sheet on a dark table, turned by up to 8 degrees, noise of 3, JPEG 85",
        table,
    ),
    Kind("dust", "inverted scan on white, margin of 30%, 25 specks of 1 to 3 px", dust),
    Kind("cell", "inverted scan in a ruled cell: a black line of 2 px around its margin", cell),
    Kind(
        "pencil",
        "pencil (gray 128) on gray paper (204), margin of 15%, noise of 3, JPEG 90",
        pencil,
    ),
    Kind("blueprint", "white on blue, margin of 15%, noise of 4, lossy WebP", blueprint),
    Kind("seal", "red on cream paper, margin of 20%, noise of 2, AVIF", seal),
    Kind("sticker", "transparent PNG: black, the scan as opacity, margin of 30%", sticker),
    Kind("caption", "book page: inverted scan on white with a caption and a page number", caption),
    Kind("letterbox", "video frame 16:9 with black bars, light falling off to 85%", letterbox),
    Kind(
        "same-tone",
        "scan without padding on a margin of 20% in the tone of its own background, noise of 3, "
        "JPEG 80",
        same_tone,
    ),
    Kind("16-bit", "scan with a black margin of 25%, 16-bit TIFF", sixteen),
    Kind("fax", "inverted scan with a margin of 25%, dithered to 1 bit, TIFF group 4", fax),
    Kind("squared", "inverted scan on squared paper (lines of gray 214), margin of 30%", squared),
    Kind(
        "vignette",
        "photo of 280 px, the inverted scan anywhere in it, corners darkened by half, noise of 3, "
        "JPEG 85",
        vignette,
    ),
)
