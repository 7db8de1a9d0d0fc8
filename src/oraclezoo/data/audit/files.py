"""Digest checks of a track's source files."""

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
"""Files with published digests, by built-in track."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A source file and the outcome of its digest check.

    Attributes:
        name: File name.
        status: "ok", "mismatch", "unreadable", or "unpublished" if no published digest is known.
        kind: Kind of the digest, "sha256" or "git-blob".
        digest: The file's digest, hex.
    """

    name: str
    status: str
    kind: str
    digest: str

    def as_json(self) -> dict[str, Any]:
        """Return the row as a JSON document."""
        return {
            "name": self.name,
            "status": self.status,
            "kind": self.kind,
            "digest": self.digest,
        }


def published(track: str, data_dir: Path | None) -> list[FileRow]:
    """Check the local files of a built-in track against their published digests.

    Args:
        track: Name of the track.
        data_dir: The only folder to search; by default the folders of
            :func:`oraclezoo.data.locate.folders`.

    Returns:
        A row per file that exists; empty for tracks without published digests.

    Raises:
        DataError: If ``data_dir`` is not a folder.
    """
    rows = []
    for name, path in search(PUBLISHED.get(track, ()), data_dir).items():
        if path is not None:
            outcome = check(upstream.known(name), path)
            rows.append(FileRow(path.name, outcome.status, outcome.kind, outcome.actual))
    return rows


def unpublished(digests: Mapping[str, str], known: list[FileRow]) -> list[FileRow]:
    """List the source files or generators without a published digest.

    Args:
        digests: ``Dataset.sha256``.
        known: Rows of files that have been checked, which are left out.

    Returns:
        A row per file.
    """
    names = {row.name for row in known}
    return [
        FileRow(name, "unpublished", "sha256", digest)
        for name, digest in digests.items()
        if name not in names
    ]
