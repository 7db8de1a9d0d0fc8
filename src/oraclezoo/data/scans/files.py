"""Interface of a source of scans: files that are listed first and read later."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

from oraclezoo.imaging.formats import SUFFIXES

NOT_AN_IMAGE = "its name is not an image's"


class Unused(NamedTuple):
    """A file that was left out, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScanFile:
    """A file of a source.

    Attributes:
        name: Printable path in the source.
        key: Identifies path and state of the file; results cached by it are valid while it is the
            same.
        where: Path of the file, or its position in an archive.
    """

    name: str
    key: str
    where: Path | int


@dataclass(frozen=True, slots=True)
class Listing:
    """Files of a source: images, images rejected unread, and other files."""

    files: tuple[ScanFile, ...]
    rejected: tuple[Unused, ...]
    ignored: tuple[Unused, ...]


Content = Path | bytes | str
"""Content of a file: its path, its bytes, or the reason why it cannot be read."""


class Source(Protocol):
    """A folder or an archive."""

    kind: str

    def listing(self) -> Listing:
        """List all files.

        Returns:
            The files of the source.

        Raises:
            DataError: If an archive is broken.
            OSError: If the source cannot be read.
        """
        ...

    def contents(self, files: Iterable[ScanFile]) -> Iterator[tuple[ScanFile, Content]]:
        """Yield each of ``files`` with its content, in any order.

        Args:
            files: Files of :meth:`listing`.

        Yields:
            Pairs of file and content.

        Raises:
            DataError: If an archive is broken.
            OSError: If the source cannot be read.
        """
        ...


def identity(*parts: object) -> str:
    """Compute a key that identifies the state of a file.

    Args:
        parts: JSON values, e.g. path, size and modification time.

    Returns:
        SHA-256, hex.
    """
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def printable(name: str) -> str:
    """Escape unprintable and unencodable characters of a file name.

    Args:
        name: The name.

    Returns:
        The escaped name, on one line.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def is_hidden(name: str) -> bool:
    """Return whether a path is hidden or a system file such as ``__MACOSX``; never listed.

    Args:
        name: Path, with "/" between folders.

    Returns:
        True for hidden and system files.
    """
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or (
        bool(parts) and parts[-1].lower() in ("thumbs.db", "desktop.ini")
    )


def is_image(name: str) -> bool:
    """Return whether a file name has an extension of an image.

    Args:
        name: Path, with "/" between folders.

    Returns:
        True for names of images.
    """
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def natural(name: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """Return a sort key for natural order, in which 2.png comes before 10.png.

    Args:
        name: The name.

    Returns:
        The key.
    """
    pieces = re.split("([0-9]+)", name)
    numbers = (piece.lstrip("0") if i % 2 else piece for i, piece in enumerate(pieces))
    return tuple((len(p) if i % 2 else 0, p) for i, p in enumerate(numbers)), name
