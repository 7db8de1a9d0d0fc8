"""Sources of scans: files with names and identities, listed first and read later."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

SUFFIXES = frozenset({".bmp", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"})
"""Suffixes of image files; other files are ignored."""

NOT_AN_IMAGE = "its name is not an image's"


class Unused(NamedTuple):
    """A file that was not used, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScanFile:
    """A file to read. ``where`` is its path, or its position in an archive.

    ``key`` changes if the file does, so an image stored under the key is valid.
    """

    name: str
    key: str
    where: Path | int


@dataclass(frozen=True, slots=True)
class Listing:
    """Image files, those rejected without reading, and other files, which are ignored."""

    files: tuple[ScanFile, ...]
    rejected: tuple[Unused, ...]
    ignored: tuple[Unused, ...]


Content = Path | bytes | str
"""The path of a file, its bytes, or the reason why it cannot be read."""


class Source(Protocol):
    """A folder or an archive."""

    kind: str

    def listing(self) -> Listing:
        """List all files. Raises DataError, OSError."""
        ...

    def contents(self, files: Iterable[ScanFile]) -> Iterator[tuple[ScanFile, Content]]:
        """Yield the content of each of ``files``, in any order. Raises DataError, OSError."""
        ...


def identity(*parts: object) -> str:
    """Return a key that changes if any of ``parts`` does."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def printable(name: str) -> str:
    """Return ``name`` on one line, with unprintable characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def is_hidden(name: str) -> bool:
    """Return whether a path is hidden or a system file, which is never listed."""
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or (
        bool(parts) and parts[-1].lower() in ("thumbs.db", "desktop.ini")
    )


def is_image(name: str) -> bool:
    """Return whether a file has the suffix of an image."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def natural(name: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """Return a sort key that puts 2.png before 10.png."""
    pieces = re.split("([0-9]+)", name)
    numbers = (piece.lstrip("0") if i % 2 else piece for i, piece in enumerate(pieces))
    return tuple((len(p) if i % 2 else 0, p) for i, p in enumerate(numbers)), name
