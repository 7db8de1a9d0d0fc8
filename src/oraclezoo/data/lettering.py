"""Draw text in pictures, with the label font or, for characters it lacks, installed fonts."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from PIL import ImageDraw, ImageFont

from oraclezoo.data.characters import GLYPHS

FONT = Path(__file__).parent / "fonts" / "labels.otf"
"""The label font, with the characters in :data:`COVERED`."""

COVERED = frozenset(map(chr, range(0x20, 0x7F))) | frozenset(GLYPHS)
"""Characters that the label font contains."""

_PREFERRED = (
    "dejavusans",
    "notosans-regular",
    "notosanscjk-regular",
    "notosanscjksc-regular",
    "notosanssc-regular",
    "sourcehansanssc-regular",
    "msyh",
    "pingfang",
    "wqy-zenhei",
    "simhei",
    "arial unicode",
)
"""Lowercase stems of font files to try first."""

_STYLES = ("bold", "italic", "oblique", "mono", "light", "black", "condensed", "emoji")
_NOWHERE = "\U0010fffe"
"""A noncharacter, which fonts draw as a missing character."""


class Lettering:
    """Installed fonts that cover the characters of the given texts, as far as possible.

    Args:
        texts: All texts to draw.
        say: Receives one message if some of their characters are in no font.

    Attributes:
        missing: Characters that no font contains.
    """

    def __init__(self, texts: Iterable[str], say: Callable[[str], None] | None = None) -> None:
        wanted = {c for text in texts for c in text}
        self._paths = [FONT]
        self._at = dict.fromkeys(wanted & COVERED, 0)
        self.missing = {c for c in wanted - COVERED if c.isprintable()}
        for path in installed() if self.missing else ():
            characters = {c for c in self.missing if has(path, c)}
            if characters:
                self._at |= dict.fromkeys(characters, len(self._paths))
                self._paths.append(path)
                self.missing -= characters
            if not self.missing:
                break
        if self.missing and say is not None:
            some = "".join(sorted(self.missing)[:12])
            say(
                f"no installed font has {some}: classes with such names are shown by their label; "
                "install a font with these characters, e.g. Noto Sans"
            )

    def covers(self, text: str) -> bool:
        """Return whether all characters of a text can be drawn."""
        return all(c in self._at for c in text)

    def label(self, label: int, *names: str) -> str:
        """Return a class's label and names; only the label if a name cannot be drawn."""
        text = " ".join(name for name in names if name)
        return f"{label}  {text}" if text and self.covers(text) else str(label)

    def width(self, text: str, size: int) -> int:
        """Return the width of a text in pixels."""
        return round(sum(font.getlength(run) for font, run in self._runs(text, size)))

    def draw(
        self, draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, ink: int
    ) -> None:
        """Draw a text at ``place``, the left end of the text at mid-height."""
        ascent, descent = font_at(FONT, size).getmetrics()
        x, baseline = float(place[0]), place[1] + (ascent - descent) / 2
        for font, run in self._runs(text, size):
            draw.text((x, baseline), run, ink, font, anchor="ls")
            x += font.getlength(run)

    def _runs(self, text: str, size: int) -> Iterator[tuple[ImageFont.FreeTypeFont, str]]:
        """Split a text into runs of one font; spaces and marks belong to the run before them."""
        run, at = "", 0
        for c in text:
            own = at if run and (c == " " or unicodedata.combining(c)) else self._at.get(c, 0)
            if run and own != at:
                yield font_at(self._paths[at], size), run
                run = ""
            run, at = run + c, own
        if run:
            yield font_at(self._paths[at], size), run


@cache
def font_at(path: Path, size: int) -> ImageFont.FreeTypeFont:
    """Load a font at a size in pixels."""
    return ImageFont.truetype(path, size)


@cache
def has(path: Path, character: str) -> bool:
    """Return whether a font contains a character, which then looks different from a missing one."""
    try:
        font = font_at(path, 32)
        shape, absent = font.getmask(character), font.getmask(_NOWHERE)
    except (OSError, ValueError):  # not a scalable font
        return False
    return shape.size != absent.size or bytes(shape) != bytes(absent)


@cache
def installed() -> tuple[Path, ...]:
    """Return the installed font files, preferred ones first."""
    fonts = {
        Path(folder) / name
        for place in _folders()
        for folder, _, names in os.walk(place)
        for name in names
        if name.lower().endswith((".ttf", ".otf", ".ttc"))
    }
    return tuple(sorted(fonts, key=_rank))


def _rank(path: Path) -> tuple[int, bool, str]:
    stem = path.stem.lower()
    place = _PREFERRED.index(stem) if stem in _PREFERRED else len(_PREFERRED)
    return place, is_style(path), str(path)


def is_style(path: Path) -> bool:
    """Return whether a font file is a bold, italic or other variant of a regular font."""
    return any(style in path.stem.lower() for style in _STYLES)


def _folders() -> list[Path]:
    """Return the folders in which this operating system stores fonts."""
    try:
        home = Path.home()
    except RuntimeError:  # neither HOME nor an entry in the user database
        home = Path("/nonexistent")
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", str(home))
        windows = os.environ.get("WINDIR", r"C:\Windows")
        return [Path(windows, "Fonts"), Path(local, "Microsoft", "Windows", "Fonts")]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), Path(home, "Library/Fonts")]
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    own = os.environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    return [Path(home, ".fonts"), *(Path(d, "fonts") for d in [own, *shared.split(":")] if d)]
