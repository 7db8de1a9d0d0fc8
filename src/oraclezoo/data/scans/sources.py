"""Sources of scans, whose files are listed first and read later; folders as a source."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

from oraclezoo.imaging.decode import MAX_FILE_BYTES, TOO_LARGE
from oraclezoo.imaging.formats import SUFFIXES

NOT_AN_IMAGE = "not an image file extension"


class Unused(NamedTuple):
    """A skipped file, with the reason."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScanFile:
    """A file of a source.

    Attributes:
        name: Printable path in the source.
        key: Identifier of the file's path and state; a cached result is valid as long as the key
            matches.
        where: Path of the file, or the file's position in an archive.
    """

    name: str
    key: str
    where: Path | int


@dataclass(frozen=True, slots=True)
class Listing:
    """Files of a source: images, images rejected without reading, and other files."""

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
            DataError: If an archive is corrupt.
            OSError: If the source cannot be read.
        """
        ...

    def contents(self, files: Iterable[ScanFile]) -> Iterator[tuple[ScanFile, Content]]:
        """Yield each file with its content, in any order.

        Args:
            files: Files from :meth:`listing`.

        Yields:
            Pairs of file and content.

        Raises:
            DataError: If an archive is corrupt.
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
    """Escape unprintable and unencodable characters in a file name.

    Args:
        name: The name.

    Returns:
        The escaped name, on one line.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def is_hidden(name: str) -> bool:
    """Return whether a path is hidden or a system file such as ``__MACOSX``.

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
    """Return whether a file name has the extension of an image format.

    Args:
        name: Path, with "/" between folders.

    Returns:
        True for image file names.
    """
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def natural(name: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """Return a sort key for natural order, in which 2.png comes before 10.png.

    Args:
        name: The name.

    Returns:
        The sort key.
    """
    pieces = re.split("([0-9]+)", name)
    numbers = (piece.lstrip("0") if i % 2 else piece for i, piece in enumerate(pieces))
    return tuple((len(p) if i % 2 else 0, p) for i, p in enumerate(numbers)), name


class Folder:
    """Files below ``root``, except those below ``excluded``; links to folders are not followed."""

    kind = "folder"

    def __init__(self, root: Path, excluded: Path) -> None:
        self._root, self._excluded = root, excluded.resolve()

    def listing(self) -> Listing:
        """List names, sizes and modification times without opening a file."""
        files: list[ScanFile] = []
        rejected: list[Unused] = []
        ignored: list[Unused] = []
        for entry in self._walk(self._root, rejected, ignored):
            path = Path(entry.path)
            name = printable(path.relative_to(self._root).as_posix())
            if not is_image(name):
                ignored.append(Unused(name, NOT_AN_IMAGE))
                continue
            try:
                status = entry.stat()
            except OSError as error:
                rejected.append(Unused(name, f"the file cannot be read ({error.strerror})"))
                continue
            if not stat.S_ISREG(status.st_mode):  # opening a pipe could block
                rejected.append(Unused(name, "not a regular file"))
            elif status.st_size > MAX_FILE_BYTES:
                rejected.append(Unused(name, TOO_LARGE))
            else:
                key = identity("file", name, status.st_size, status.st_mtime_ns)
                files.append(ScanFile(name, key, path))
        return Listing(tuple(files), tuple(rejected), tuple(ignored))

    def contents(self, files: Iterable[ScanFile]) -> Iterator[tuple[ScanFile, Content]]:
        """Yield each path; the worker that prepares the image reads it."""
        for file in files:
            assert isinstance(file.where, Path)
            yield file, file.where

    def _walk(
        self, root: Path, rejected: list[Unused], ignored: list[Unused]
    ) -> Iterator[os.DirEntry[str]]:
        waiting = [root]
        while waiting:
            folder = waiting.pop()
            name = printable(folder.relative_to(self._root).as_posix())
            try:
                with os.scandir(folder) as iterator:
                    entries = list(iterator)
            except OSError as error:
                if folder == self._root:
                    raise
                rejected.append(Unused(name, f"the folder cannot be read ({error.strerror})"))
                continue
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if Path(entry.path).resolve() != self._excluded:
                        waiting.append(Path(entry.path))
                elif entry.is_symlink() and entry.is_dir():
                    path = Path(entry.path).relative_to(self._root).as_posix()
                    ignored.append(Unused(printable(path), "link to a folder, not followed"))
                else:
                    yield entry
