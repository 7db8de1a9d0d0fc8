"""Resolve the arguments of ``predict`` to images."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from oraclezoo.data.scans.sources import is_hidden, is_image, natural
from oraclezoo.errors import DataError
from oraclezoo.imaging.decode import MAX_FILE_BYTES
from oraclezoo.imaging.prepare import limited, read_bytes

STDIN = "-"

SAMPLE = Path(__file__).with_name("sample.jpg")
"""A generated sample image, a character in ink on paper (benchmarks/sample_image.py)."""


@dataclass(frozen=True, slots=True)
class Source:
    """An image: its name, and a stream to read it from or the reason why it cannot be read."""

    name: str
    stream: BinaryIO | None = None
    reason: str = ""

    def read(self) -> bytes:
        """Return the bytes. Raises DataError, whose message gives the reason without the name."""
        if self.reason:
            raise DataError(self.reason)
        if self.stream is None:
            return read_bytes(self.name)
        return limited(self.stream.read(MAX_FILE_BYTES + 1))


def expand(arguments: Iterable[str], stdin: BinaryIO) -> Iterator[Source]:
    """Return a lazy iterator over the images named by the arguments, in order.

    A file may have any extension. A folder yields all image files below it, in natural order;
    hidden files are skipped and links to folders are not followed. A pattern (``*``, ``?``, ``[``,
    and ``**`` for any depth) yields the files that match it, and ``-`` an image on ``stdin``.
    """
    for argument in arguments:
        if argument == STDIN:
            yield Source("stdin", stdin)
        elif Path(argument).is_dir():
            yield from _or_nothing(_walk(argument), argument, "no images in this folder")
        elif re.search(r"[*?[]", argument) and not Path(argument).exists():
            yield from _or_nothing(_matches(argument), argument, "no file matches")
        else:
            yield Source(argument)


def paths_in(file: BinaryIO) -> Iterator[str]:
    """Return the paths in a list with one path per line; empty lines are skipped."""
    for line in file:
        path = os.fsdecode(line.rstrip(b"\r\n"))
        if path:
            yield path


def _or_nothing(sources: Iterator[Source], name: str, reason: str) -> Iterator[Source]:
    """Return ``sources``, or one source with a reason if there are none."""
    first = next(sources, Source(name, reason=reason))
    yield first
    yield from sources


def _matches(pattern: str) -> Iterator[Source]:
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute ones
    return (Source(name) for name in sorted(names, key=natural) if Path(name).is_file())


def _walk(folder: str) -> Iterator[Source]:
    errors: list[OSError] = []
    for directory, below, names in os.walk(folder, onerror=errors.append):
        below[:] = sorted((name for name in below if not is_hidden(name)), key=natural)
        for name in sorted(names, key=natural):
            path = Path(directory, name)
            # opening a pipe could block; a broken link is reported when it is read
            readable = path.is_file() or path.is_symlink()
            if is_image(name) and not is_hidden(name) and readable:
                yield Source(str(path))
    for error in errors:
        yield Source(
            str(error.filename), reason=f"cannot read the folder ({error.strerror or error})"
        )
