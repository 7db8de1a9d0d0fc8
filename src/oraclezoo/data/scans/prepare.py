"""The work of one process: read image files and preprocess them."""

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
    """The outcome of a file: ``image`` is its ``size * size`` bytes, or None with a ``reason``.

    ``source_sha256`` is the digest of the file, "" if it could not be read.
    """

    key: str
    source_sha256: str
    image: bytes | None
    reason: str


class Preparation(NamedTuple):
    """How images are preprocessed: edge of the output in pixels, polarity of the scans."""

    size: int
    polarity: Polarity = "auto"


def prepare_files(rules: Preparation, tasks: Sequence[tuple[str, Content]]) -> list[Prepared]:
    """Return the outcome of each task, a pair of a file's key and its content, in order."""
    return [_prepare(rules, key, content) for key, content in tasks]


def _prepare(rules: Preparation, key: str, content: Content) -> Prepared:
    if isinstance(content, str):
        return Prepared(key, "", None, content)
    digest = ""
    try:
        data = read_bytes(content) if isinstance(content, Path) else content
        digest = hashlib.sha256(data).hexdigest()
        # not smoothed: a data set keeps the detail of its scans
        image = prepare(data, rules.size, rules.polarity, smoothing=0.0).gray
    except DataError as error:
        return Prepared(key, digest, None, str(error))
    except MemoryError:
        return Prepared(key, digest, None, "there is not enough memory to read the image")
    return Prepared(key, digest, image.tobytes(), "")
