"""Work of one process: read and preprocess image files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from oraclezoo.data.scans.files import Content
from oraclezoo.errors import DataError
from oraclezoo.imaging.polarity import Polarity
from oraclezoo.imaging.prepare import prepare, read_bytes


class Prepared(NamedTuple):
    """Outcome of a file.

    Attributes:
        key: Key of the file.
        source_sha256: SHA-256 of the file, "" if it could not be read.
        image: ``size * size`` bytes; None if the file was rejected.
        reason: Reason of the rejection, "" otherwise.
    """

    key: str
    source_sha256: str
    image: bytes | None
    reason: str


class Preparation(NamedTuple):
    """Preprocessing parameters: edge of the output in pixels, and polarity of the scans."""

    size: int
    polarity: Polarity = "auto"


def prepare_files(rules: Preparation, tasks: Sequence[tuple[str, Content]]) -> list[Prepared]:
    """Read and preprocess a batch of files.

    Args:
        rules: Preprocessing parameters.
        tasks: Key and content of each file.

    Returns:
        The outcome of each file, in order.
    """
    return [_prepare(rules, key, content) for key, content in tasks]


def _prepare(rules: Preparation, key: str, content: Content) -> Prepared:
    if isinstance(content, str):
        return Prepared(key, "", None, content)
    digest = ""
    try:
        data = read_bytes(content) if isinstance(content, Path) else content
        digest = hashlib.sha256(data).hexdigest()
        # no smoothing: the data set keeps the details of its scans
        image = prepare(data, rules.size, rules.polarity, smoothing=0.0).gray
    except DataError as error:
        return Prepared(key, digest, None, str(error))
    except MemoryError:
        return Prepared(key, digest, None, "not enough memory to read the image")
    return Prepared(key, digest, image.tobytes(), "")
