"""Folders of scans."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from oraclezoo.data.scans.files import (
    NOT_AN_IMAGE,
    Content,
    Listing,
    ScanFile,
    Unused,
    identity,
    is_hidden,
    is_image,
    printable,
)
from oraclezoo.imaging.decode import MAX_FILE_BYTES, TOO_LARGE


class Folder:
    """Files below ``root``, except those below ``excluded``; links to folders are not followed."""

    kind = "folder"

    def __init__(self, root: Path, excluded: Path) -> None:
        self._root, self._excluded = root, excluded.resolve()

    def listing(self) -> Listing:
        """List names, sizes and modification times without opening a file.

        Returns:
            The files of the folder.

        Raises:
            OSError: If the folder cannot be read.
        """
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
        """Yield each file with its path, to be read by the worker that prepares the image.

        Args:
            files: Files of :meth:`listing`.

        Yields:
            Pairs of file and path.
        """
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
