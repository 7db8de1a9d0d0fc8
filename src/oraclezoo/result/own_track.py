"""Records of users' data sets, for verifying the data of published results.

``oraclezoo bench`` writes ``tracks/<name>.toml`` next to the results on a data set that has a name
in its ``dataset.toml``. The track of such results is ``idx``; file digests identify the data.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from oraclezoo.documents import read_toml
from oraclezoo.errors import ResultError
from oraclezoo.result import Result
from oraclezoo.storage import write_atomically

FOLDER = "tracks"
"""Subfolder of a results folder for the records."""

TRACK = "idx"
"""Name of the track in results on users' data sets."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""Pattern for names of data sets: lowercase, and safe as file names."""

MAX_BYTES = 2**20

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class OwnTrack:
    """Metadata of a user's data set.

    Attributes:
        name: Name of the data set.
        source: Public source of the files: a URL or a citation.
        synthetic: Whether the images are synthetic.
        classes: Number of classes.
        image_size: Height and width of the images in pixels.
        learning: Number of training and validation images.
        test: Number of test images.
        labels_sha256: SHA-256 of the test labels as little-endian int64, in the order of the split.
        sha256: SHA-256 (hex) of each file, keyed by file name.
    """

    name: str
    source: str
    synthetic: bool
    classes: int
    image_size: int
    learning: int
    test: int
    labels_sha256: str
    sha256: Mapping[str, str]

    def save(self, folder: Path) -> Path:
        """Write ``<folder>/tracks/<name>.toml`` atomically.

        Raises:
            ResultError: A record with this name exists for different data.
        """
        import tomli_w

        path = folder / FOLDER / f"{self.name}.toml"
        if path.is_file() and type(self).load(path).sha256 != self.sha256:
            raise ResultError(
                f"{path} has different digests: changed data needs a new name in dataset.toml"
            )
        return write_atomically(path, tomli_w.dumps(dataclasses.asdict(self)).encode())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a record from an untrusted file. Raises ResultError if it is invalid."""
        try:
            document = read_toml(path, MAX_BYTES)
        except (OSError, ValueError) as error:
            raise ResultError(f"track {path}: {error}") from error
        fault = _fault(document, path.stem)
        if fault:
            raise ResultError(f"track {path}: {fault}")
        return cls(**document)


def own_track(result: Result, folder: Path) -> OwnTrack | None:
    """Return the record of a result's data set from a results folder, or None if there is none."""
    if result.track.name.removeprefix("oraclezoo:") != TRACK:
        return None
    for path in sorted((folder / FOLDER).glob("*.toml")):
        try:
            record = OwnTrack.load(path)
        except ResultError:
            continue  # may be a different data set; a check reports missing records
        if dict(record.sha256) == dict(result.track.data_sha256):
            return record
    return None


def id_part(track: str, name: str) -> str:
    """Return the text that replaces the track in the ID of a result, e.g. ``idx-yi-script``."""
    return f"{track}-{name}" if name else track


def _fault(document: Mapping[str, Any], stem: str) -> str:
    """Return the reason why a document is not a valid record, or an empty string."""
    types = {
        **dict.fromkeys(("name", "source", "labels_sha256"), str),
        **dict.fromkeys(("classes", "image_size", "learning", "test"), int),
        "synthetic": bool,
        "sha256": dict,
    }
    if set(document) != set(types):
        return f"its keys must be {', '.join(sorted(types))}"
    for key, kind in types.items():
        if type(document[key]) is not kind:
            return f"{key} must be of type {kind.__name__}"
    if document["name"] != stem or not NAME.fullmatch(stem):
        return f"name must be '{stem}', in lower case"
    digests = [document["labels_sha256"], *document["sha256"].values()]
    if not all(isinstance(digest, str) and _SHA256.fullmatch(digest) for digest in digests):
        return "digests must be SHA-256 in hexadecimal"
    return ""
