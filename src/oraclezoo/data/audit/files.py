"""Verification of a track's files against their published digests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oraclezoo.data import upstream
from oraclezoo.data.locate import check, search

PUBLISHED: dict[str, tuple[str, ...]] = {
    "oracle-mnist": tuple(upstream.FILES),
    "oracle-mnist-3k": (upstream.TEST_IMAGES, upstream.TEST_LABELS),
}
"""Built-in tracks whose files have published digests, and those files."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file, its digest and the result of its verification.

    ``status``: "ok", "mismatch", "unreadable", or "unpublished" if there is no published digest.
    ``kind`` is "sha256" or "git-blob".
    """

    name: str
    status: str
    kind: str
    digest: str

    def as_json(self) -> dict[str, Any]:
        """Return the row of the report as JSON data."""
        return {
            "name": self.name,
            "status": self.status,
            "kind": self.kind,
            "digest": self.digest,
        }


def published(track: str, data_dir: Path | None) -> list[FileRow]:
    """Verify the local files of built-in ``track`` against their digests. Raises DataError."""
    rows = []
    for name, path in search(PUBLISHED.get(track, ()), data_dir).items():
        if path is not None:
            found = check(upstream.known(name), path)
            rows.append(FileRow(path.name, found.status, found.kind, found.actual))
    return rows


def unpublished(digests: Mapping[str, str], known: list[FileRow]) -> list[FileRow]:
    """Return the other files (or generators) of a data set, from ``Dataset.sha256``."""
    names = {row.name for row in known}
    return [
        FileRow(name, "unpublished", "sha256", digest)
        for name, digest in digests.items()
        if name not in names
    ]
