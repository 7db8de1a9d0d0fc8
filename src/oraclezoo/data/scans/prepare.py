"""What a worker does: read image files and prepare them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from oraclezoo.data.scans.files import Content
from oraclezoo.errors import DataError
from oraclezoo.imaging.decode import MAX_FILE_BYTES, TOO_LARGE, prepare_gray, read_image, to_gray


class Prepared(NamedTuple):
    """A file's outcome: ``image`` is its ``size * size`` bytes, or None and ``reason`` says why.

    ``source_sha256`` is the digest of the file, "" if it could not be read.
    """

    key: str
    source_sha256: str
    image: bytes | None
    reason: str


def prepare_files(size: int, tasks: Sequence[tuple[str, Content]]) -> list[Prepared]:
    """The outcome of each of ``tasks``, pairs of a file's key and its content, in order."""
    return [_prepare(size, key, content) for key, content in tasks]


def _prepare(size: int, key: str, content: Content) -> Prepared:
    data = _read(content)
    if isinstance(data, str):
        return Prepared(key, "", None, data)
    digest = hashlib.sha256(data).hexdigest()
    if not data:
        return Prepared(key, digest, None, "it is empty")
    try:
        image = prepare_gray(to_gray(read_image(BytesIO(data))), size)
    except DataError as error:
        return Prepared(key, digest, None, str(error))
    except MemoryError:
        return Prepared(key, digest, None, "there is not enough memory for it")
    return Prepared(key, digest, image.tobytes(), "")


def _read(content: Content) -> bytes | str:
    if not isinstance(content, Path):
        return content
    try:
        with content.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"
    return TOO_LARGE if len(data) > MAX_FILE_BYTES else data
