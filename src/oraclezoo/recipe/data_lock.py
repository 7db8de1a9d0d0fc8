"""Data locks: names and digests of the files of a data set, as TOML for version control.

``oraclezoo data lock`` writes a lock file. If a recipe names it in ``data.lock``, training requires
the data to match the lock.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from oraclezoo.codec import decode, encode
from oraclezoo.documents import read_toml
from oraclezoo.errors import DataError

SCHEMA = "oraclezoo/data-lock/1"

MAX_BYTES = 1 << 20
"""Maximum size of a lock file."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE = re.compile(r"[^./\\:\0][^/\\:\0]{0,199}")
_REMOTE = re.compile(r"(s3|gs|gcs|az|abfs|http|https|file)://[^@\s]+")
_BREAK = re.compile(r"\[\n {4}|,\n {4}|,\n\]")
_JOINED = {"[": "[", ",": ", ", ",\n]": "]"}
"""Line breaks of tomli_w arrays, which have one item per line, and their replacements."""

_HEAD = "# Written by 'oraclezoo data lock'; 'oraclezoo data pull' fetches the files.\n"


def data_digest(classes: Iterable[str], flip_keeps_label: bool, learning: Mapping[str, str]) -> str:
    """Return a digest that identifies the data that a model learns from.

    Args:
        classes: Class names, in label order.
        flip_keeps_label: Whether a mirrored image keeps its label.
        learning: SHA-256 (hex) of each file with training or validation images or labels, keyed by
            file name.

    Returns:
        SHA-256 (hex) of the arguments as JSON with sorted keys.
    """
    content = {
        "classes": list(classes),
        "flip_keeps_label": flip_keeps_label,
        "sha256": dict(learning),
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class LockedFile:
    """SHA-256 (hex) and size of a file."""

    sha256: str
    size_bytes: int

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"{self.sha256[:70]!r} is not a SHA-256")
        if type(self.size_bytes) is not int or self.size_bytes < 0:
            raise ValueError(f"size_bytes is {self.size_bytes}; it must be a positive integer")


@dataclass(frozen=True, slots=True)
class LockedSplit:
    """Number of images in a split, in total and for each class in label order."""

    images: int
    per_class: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DataLock:
    """Content of a lock file.

    Attributes:
        track: Name of the track that the files belong to.
        classes: Class names, in label order.
        flip_keeps_label: Whether a mirrored image keeps its label.
        learning: Names of the files with training or validation images or labels.
        files: All files, keyed by name.
        splits: Counts of each split, keyed by name.
        source: Origin of the data: a URL or a citation.
        remote: URL of a copy of the files, for ``oraclezoo data pull``.
    """

    track: str
    classes: tuple[str, ...]
    flip_keeps_label: bool
    learning: tuple[str, ...]
    files: Mapping[str, LockedFile]
    splits: Mapping[str, LockedSplit]
    source: str = ""
    remote: str = ""
    schema: str = field(default=SCHEMA, kw_only=True)

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema is {self.schema!r}, not {SCHEMA!r}")
        for name in self.files:
            if not _FILE.fullmatch(name):
                raise ValueError(f"{name[:70]!r} is not a file name")
        if not set(self.learning) <= set(self.files):
            raise ValueError("'learning' names files that [files] does not have")
        if self.remote and not _REMOTE.fullmatch(self.remote):
            raise ValueError(
                f"remote {self.remote[:70]!r} is not a URL with s3, gs, az, abfs, http, https or "
                "file and without credentials"
            )

    @property
    def digest(self) -> str:
        """Digest that identifies the data that a model learns from (see :func:`data_digest`)."""
        learning = {name: self.files[name].sha256 for name in self.learning}
        return data_digest(self.classes, self.flip_keeps_label, learning)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a lock file.

        Raises:
            DataError: If the file cannot be read or is invalid.
        """
        try:
            document = read_toml(path, MAX_BYTES)
            stated = document.pop("digest", None)
            lock = decode(cls, document)
        except KeyError as error:
            raise DataError(f"data lock {path}: {error} is missing") from error
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"data lock {path}: {error}") from error
        if stated != lock.digest:
            raise DataError(
                f"data lock {path}: its digest does not match its content; "
                "run 'oraclezoo data lock' to write it again"
            )
        return lock

    def to_toml(self) -> str:
        """Return the lock as TOML; :meth:`read` reads it back as an equal lock."""
        import tomli_w

        content: dict[str, Any] = encode(self)
        tables = {key: content.pop(key) for key in ("files", "splits")}
        content = {"schema": content.pop("schema"), "digest": self.digest, **content, **tables}
        text = tomli_w.dumps(content)
        return _HEAD + _BREAK.sub(lambda between: _JOINED[between[0].strip()], text)


def with_digest(data: object, folder: Path) -> object:
    """Replace the path of a lock file in the ``[data]`` section of a recipe with the lock's digest.

    Args:
        data: The section as read from TOML.
        folder: Folder that relative paths refer to.

    Returns:
        The section; unchanged if it has no path of a lock file.

    Raises:
        DataError: If the lock file cannot be read or is invalid.
    """
    if not isinstance(data, Mapping):
        return data
    return {
        key: digest_of(value, folder) if key == "lock" else value for key, value in data.items()
    }


def digest_of(value: object, folder: Path) -> object:
    """Return the digest of the lock file in ``data.lock``; other values are returned unchanged."""
    if not isinstance(value, str) or not value or is_digest(value):
        return value
    return DataLock.read(folder / value).digest


def is_digest(text: str) -> bool:
    """Return whether a string is a SHA-256 in hexadecimal."""
    return bool(_SHA256.fullmatch(text))
