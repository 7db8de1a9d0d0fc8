"""Sources: which images the arguments of ``predict`` stand for, one after another."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from oraclezoo.data.scans.files import is_hidden, is_image, natural
from oraclezoo.errors import DataError
from oraclezoo.imaging.decode import MAX_FILE_BYTES
from oraclezoo.imaging.prepare import limited, read_bytes

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Source:
    """One image: what it is called, and where its bytes come from or why there are none."""

    name: str
    stream: BinaryIO | None = None
    reason: str = ""

    def read(self) -> bytes:
        """Its bytes. Raises DataError, whose message is the reason alone."""
        if self.reason:
            raise DataError(self.reason)
        if self.stream is None:
            return read_bytes(self.name)
        return limited(self.stream.read(MAX_FILE_BYTES + 1))


def expand(arguments: Iterable[str], stdin: BinaryIO) -> Iterator[Source]:
    """The images that ``arguments`` name, in order; found as they are asked for.

    A file is taken whatever its name. A folder stands for the image files in it and below it, in
    natural order, without hidden ones and without following links to folders; a pattern (``*``,
    ``?``, ``[``, and ``**`` for any depth) for the files that it matches; ``-`` for an image on
    ``stdin``.
    """
    for argument in arguments:
        if argument == STDIN:
            yield Source("stdin", stdin)
        elif Path(argument).is_dir():
            yield from _or_nothing(_walk(argument), argument, "there is no image in this folder")
        elif re.search(r"[*?[]", argument) and not Path(argument).exists():
            yield from _or_nothing(_matches(argument), argument, "no file matches")
        else:
            yield Source(argument)


def paths_in(file: BinaryIO) -> Iterator[str]:
    """The paths in a list, one a line; empty lines are passed over."""
    for line in file:
        path = os.fsdecode(line.rstrip(b"\r\n"))
        if path:
            yield path


def _or_nothing(found: Iterator[Source], name: str, reason: str) -> Iterator[Source]:
    """``found``, or where that is empty a source that says so."""
    first = next(found, Source(name, reason=reason))
    yield first
    yield from found


def _matches(pattern: str) -> Iterator[Source]:
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute ones
    return (Source(name) for name in sorted(names, key=natural) if Path(name).is_file())


def _walk(folder: str) -> Iterator[Source]:
    errors: list[OSError] = []
    for place, below, names in os.walk(folder, onerror=errors.append):
        below[:] = sorted((name for name in below if not is_hidden(name)), key=natural)
        for name in sorted(names, key=natural):
            if is_image(name) and not is_hidden(name):
                yield Source(str(Path(place, name)))
    for error in errors:
        yield Source(str(error.filename), reason=f"it cannot be read ({error.strerror or error})")
