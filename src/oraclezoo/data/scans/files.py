"""What a source of scans is: files with names and identities, listed first and read later."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

SUFFIXES = frozenset({".bmp", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"})
"""A file of another name is not taken for an image."""

NOT_AN_IMAGE = "its name is not an image's"


class Unused(NamedTuple):
    """A file that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScanFile:
    """A file to read. ``where`` finds it in its source: a path, or a position in an archive.

    ``key`` changes when the file does: what was made of it holds as long as the key does.
    """

    name: str
    key: str
    where: Path | int


@dataclass(frozen=True, slots=True)
class Listing:
    """Image files, those rejected unread, and what is no image and so ignored."""

    files: tuple[ScanFile, ...]
    rejected: tuple[Unused, ...]
    ignored: tuple[Unused, ...]


Content = Path | bytes | str
"""A file to read, the bytes of one, or the reason why it cannot be read."""


class Source(Protocol):
    """A folder or an archive."""

    kind: str

    def listing(self) -> Listing:
        """All that is in it. Raises DataError, OSError."""
        ...

    def contents(self, files: Iterable[ScanFile]) -> Iterator[tuple[ScanFile, Content]]:
        """What is in each of ``files``, in any order. Raises DataError, OSError."""
        ...


def identity(*parts: object) -> str:
    """A key made of whatever tells one state of a file from another."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def printable(name: str) -> str:
    """``name`` with what a terminal, or UTF-8, cannot take as an escape, on one line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def is_hidden(name: str) -> bool:
    """Whether a path is one of those that systems leave about: never listed."""
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or (
        bool(parts) and parts[-1].lower() in ("thumbs.db", "desktop.ini")
    )


def is_image(name: str) -> bool:
    """Whether a file's name says that it is an image."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def natural(name: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """A sort key by which 2.png comes before 10.png."""
    pieces = re.split("([0-9]+)", name)
    numbers = (piece.lstrip("0") if i % 2 else piece for i, piece in enumerate(pieces))
    return tuple((len(p) if i % 2 else 0, p) for i, p in enumerate(numbers)), name
