"""Characters of other scripts, drawn from installed fonts, clean and degraded like rubbings."""

from __future__ import annotations

import zlib
from functools import cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from oraclezoo.data.characters import GLYPHS
from oraclezoo.data.glyphs.degrade import SIZE, degrade
from oraclezoo.data.glyphs.exact import Draws
from oraclezoo.data.lettering import FONT, font_at, has, installed, is_style
from oraclezoo.imaging.polarity import Gray

Rng = np.random.Generator

FIT = {
    "Latin": (0x41, 0x5B),
    "digits": (0x30, 0x3A),
    "Greek": (0x391, 0x3CA),
    "Arabic": (0x621, 0x64B),
    "Thai": (0xE01, 0xE2F),
    "Katakana": (0x30A1, 0x30FB),
    "Devanagari": (0x905, 0x93A),
    "Bengali": (0x985, 0x98D),
    "Tamil": (0xB85, 0xB8B),
    "Sinhala": (0xD85, 0xD97),
    "Khmer": (0x1780, 0x17B4),
    "Tibetan": (0xF40, 0xF48),
    "Ethiopic": (0x1200, 0x1249),
    "Cherokee": (0x13A0, 0x13F5),
    "Canadian syllabics": (0x1401, 0x1460),
    "Runes": (0x16A0, 0x16EB),
    "Coptic": (0x2C80, 0x2CE4),
    "Glagolitic": (0x2C00, 0x2C2F),
    "Tifinagh": (0x2D30, 0x2D68),
    "Bopomofo": (0x3105, 0x312A),
    "Yi": (0xA000, 0xA100),
    "Linear B": (0x10080, 0x100FB),
    "Cuneiform": (0x12000, 0x12100),
    "hieroglyphs": (0x13000, 0x13200),
}
"""Ranges of characters for fitting a detector, by script."""

REPORT = {
    "small Latin": (0x61, 0x7B),
    "Cyrillic": (0x410, 0x450),
    "Hebrew": (0x5D0, 0x5EB),
    "Armenian": (0x531, 0x557),
    "Georgian": (0x10D0, 0x10F1),
    "Hiragana": (0x3041, 0x3097),
}
"""Ranges of characters for evaluating a detector, by script."""

CHINESE = (0x4E00, 0x9FA6)
"""Range of Chinese characters; a checksum assigns each character to one of the roles."""

_PROBE = 0x4E2D
_SIMILAR = frozenset("曰已己天犬太未末本夭午朩白目")
"""Modern characters that differ from one of the ten classes by a short stroke."""


class Letter(NamedTuple):
    """A character and the font that draws it."""

    text: str
    font: Path


@cache
def letters(role: str) -> dict[str, tuple[Letter, ...]]:
    """Return the characters of a role (``fit`` or ``report``) by script, except Chinese ones.

    Scripts without an installed font are omitted.
    """
    ranges = {"fit": FIT, "report": REPORT}[role]
    match: dict[str, tuple[Letter, ...]] = {}
    fonts = (FONT, *(path for path in installed() if "emoji" not in path.stem.lower()))
    fonts = tuple(path for path in fonts if not is_style(path))  # regular fonts
    for script, (first, last) in ranges.items():
        able = (path for path in fonts if has(path, chr(first)) and has(path, chr(last - 1)))
        match[script] = tuple(
            Letter(chr(code), path)
            for path in islice(able, 4)
            for code in range(first, last)
            if has(path, chr(code))
        )
    return {script: each for script, each in match.items() if each}


@cache
def chinese(role: str) -> tuple[Letter, ...]:
    """Return the Chinese characters of a role, except the ten classes and similar characters.

    The result is empty if no installed font has Chinese characters. If there are several fonts,
    the roles use different fonts.
    """
    fonts = sorted(path for path in installed() if has(path, chr(_PROBE)))
    families = sorted({path.name for path in fonts})
    by_name = {path.name: path for path in fonts}
    last = families[-1:] if role == "report" else families[:-1] or families
    parity = {"fit": 0, "report": 1}[role]
    excluded = _SIMILAR | frozenset(GLYPHS)
    return tuple(
        Letter(chr(code), by_name[name])
        for name in last
        for code in range(*CHINESE)
        if zlib.crc32(chr(code).encode()) % 2 == parity
        and chr(code) not in excluded
        and code % 3 == 0  # a third of them is enough
    )


def mask(letter: Letter, edge: int = 112) -> Gray:
    """Return a character in white on black, uint8, with a longer side of ``edge`` pixels.

    Raises ValueError if the font draws nothing.
    """
    font = font_at(letter.font, edge)
    left, top, right, bottom = font.getbbox(letter.text)
    if right <= left or bottom <= top:
        raise ValueError(f"{letter.font} draws nothing for {letter.text!r}")
    page = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2))
    ImageDraw.Draw(page).text((1 - left, 1 - top), letter.text, 255, font)
    box = page.getbbox()
    if box is None:
        raise ValueError(f"{letter.font} draws nothing for {letter.text!r}")
    inside = page.crop(box)
    scale = edge / max(inside.size)
    size = [max(1, round(scale * side)) for side in inside.size]
    return np.asarray(inside.resize(size, Image.Resampling.BICUBIC))


def printed(letter: Letter, rng: Rng, size: int = 280) -> Gray:
    """Return a character on a canvas, with the size and colors of :func:`.pen.drawing`."""
    shape = Image.fromarray(mask(letter))
    shape = shape.rotate(float(rng.normal(0, 5)), Image.Resampling.BICUBIC, expand=True)
    scale = rng.uniform(70, 140) / max(shape.size)
    wide, high = (max(1, round(scale * side)) for side in shape.size)
    shape = shape.resize((wide, high), Image.Resampling.BICUBIC)
    page = Image.new("L", (size, size))
    at = tuple(int(rng.uniform(16, size - 16 - side)) for side in (wide, high))
    page.paste(shape, (at[0], at[1]))
    gray = np.asarray(page)
    return gray if rng.random() < 0.5 else 255 - gray


def worn(characters: list[Letter], rng: Rng) -> Gray:
    """Return characters degraded and framed like generated rubbings, uint8 ``(N, 28, 28)``."""
    count = len(characters)
    depth = np.zeros((count, SIZE, SIZE), np.float32)
    inside = np.zeros((count, SIZE, SIZE), np.bool_)
    for row, letter in enumerate(characters):
        shape = Image.fromarray(mask(letter))
        shape = shape.rotate(float(rng.normal(0, 6)), Image.Resampling.BICUBIC, expand=True)
        shape = shape.crop(shape.getbbox())
        margin = np.exp(rng.normal(0, 0.5)) * 0.1
        edge = SIZE / (1 + 2 * margin)
        scale = edge / max(shape.size)
        wide, high = (max(1, round(scale * side)) for side in shape.size)
        small = np.asarray(shape.resize((wide, high), Image.Resampling.BOX), np.float32) / 255
        top, left = (SIZE - high) // 2, (SIZE - wide) // 2
        depth[row, top : top + high, left : left + wide] = small * rng.uniform(0.8, 1.6)
        around = round(margin * edge)
        inside[
            row,
            max(top - around, 0) : top + high + around,
            max(left - around, 0) : left + wide + around,
        ] = True
    gray = degrade(Draws(int(rng.integers(1 << 31)), "foreign characters"), depth)
    return np.rint(gray * inside).astype(np.uint8)
