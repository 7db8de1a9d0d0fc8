"""Oracle-MNIST's four official files and their digests.

Source: Wang and Deng, "A dataset of oracle characters for benchmarking machine learning
algorithms", Scientific Data 11:87 (2024); repository wm-bupt/oracle-mnist, Apache-2.0.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from oraclezoo.errors import UnknownNameError

URL = "https://raw.githubusercontent.com/wm-bupt/oracle-mnist/main/data/oracle"
"""Folder with the files in the official Git repository."""

EARLIER, CURRENT = "2022-05-13", "2022-05-19"
"""Dates of the two official uploads: the same images in different orders."""

ORDERS = (
    f"the uploads of {EARLIER} and {CURRENT} have the images in different orders, so labels of one "
    "are wrong for images of the other"
)
"""Reason why files from both uploads must not be combined."""

DigestKind = Literal["sha256", "git-blob"]

_CHUNK = 1 << 20
_MAX_SIZE = 32_000_000  # in bytes; larger than any official file, packed or unpacked


@dataclass(frozen=True, slots=True)
class UpstreamFile:
    """An official file.

    Attributes:
        name: File name, with .gz.
        kind: Kind of the digest.
        digest: Digest of the compressed file, hex.
        max_bytes: Maximum size of the file in bytes.
        unpacked_sha256: SHA-256 of the unpacked file; None if unknown.
        unpacked_blob: Git object ID of the unpacked file, used if its SHA-256 is unknown; None if
            unknown. Without either digest, only the compressed file is accepted.
        earlier_blob: First digits of the Git object ID of the file in the upload :data:`EARLIER`;
            "" if unknown.
    """

    name: str
    kind: DigestKind
    digest: str
    max_bytes: int
    unpacked_sha256: str | None
    unpacked_blob: str | None = None
    earlier_blob: str = ""

    @property
    def unpacked_digest(self) -> tuple[DigestKind, str] | None:
        """Return kind and value (hex) of the unpacked file's digest; None if unknown."""
        if self.unpacked_sha256 is not None:
            return "sha256", self.unpacked_sha256
        return None if self.unpacked_blob is None else ("git-blob", self.unpacked_blob)

    @property
    def unpacked_name(self) -> str:
        """Return the file name without ``.gz``."""
        return self.name.removesuffix(".gz")

    def expected(self, path: Path) -> tuple[DigestKind, str]:
        """Return the digest that a local file must have.

        Args:
            path: The local file; its name tells whether it is compressed.

        Returns:
            Kind and value (hex) of the digest.
        """
        if path.name == self.unpacked_name and self.unpacked_digest is not None:
            return self.unpacked_digest
        return self.kind, self.digest


TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"
TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"

FILES: dict[str, UpstreamFile] = {
    file.name: file
    for file in (
        UpstreamFile(
            TRAIN_IMAGES,
            "git-blob",  # its sha256 is not published
            "1f6e37653511386c87fc954b27b0770ccdd19b02",
            32_000_000,
            None,
            "60595bc623c8e7bae065caae97112f6dfb5dbb15",
            "531bd152",
        ),
        UpstreamFile(
            TRAIN_LABELS,
            "sha256",
            "45c65b236f8e169e6bd0875270d84cb132753351ca1938ae7935523ebd1e95fc",
            13_647,
            "58e2bd5ab6d402175dc2015d3272eb0c9ec4c1ae29f3c3fbcc0c99231fbe74d4",
            earlier_blob="076c4dc7",
        ),
        UpstreamFile(
            TEST_IMAGES,
            "sha256",
            "ca5e631c21fdbf452f2af8cb410d8546456b4b9820881b8d77150767496bf099",
            1_503_867,
            "f32a9c0759ad0012e43e0431b080abbda9262ca30ee7bcc86d044db90d11dca0",
            earlier_blob="56e0efe1",
        ),
        UpstreamFile(
            TEST_LABELS,
            "sha256",
            "e10758deebac47b5ce0a1fe87cea09d50cb797544ed7b7dbac61e5f709c074b0",
            1_569,
            "38d88fc1f0475c167145abae0013241634d7634998c98efee06d361fcf7626b2",
            earlier_blob="7a56ae03",
        ),
    )
}


def known(name: str) -> UpstreamFile:
    """Look up an official file by name.

    Args:
        name: File name, with .gz.

    Returns:
        The file.

    Raises:
        UnknownNameError: If no official file has this name.
    """
    if name not in FILES:
        raise UnknownNameError("file", name, FILES)
    return FILES[name]


def upload(file: UpstreamFile, path: Path) -> str | None:
    """Identify the official upload that a local file comes from, by its content.

    Args:
        file: The official file to compare with.
        path: The local file, compressed or not, with any name.

    Returns:
        :data:`EARLIER`, :data:`CURRENT`, or None for any other file.

    Raises:
        OSError: If the file cannot be read.
    """
    if path.stat().st_size > _MAX_SIZE:
        return None
    blob = digest(path, "git-blob")
    if file.earlier_blob and blob.startswith(file.earlier_blob):
        return EARLIER
    present = {("git-blob", blob), ("sha256", digest(path))}
    official = {(file.kind, file.digest), file.unpacked_digest}
    return CURRENT if present & official else None


def digest(path: Path, kind: DigestKind = "sha256") -> str:
    """Compute the digest of a file.

    Args:
        path: The file.
        kind: As for :func:`digest_stream`.

    Returns:
        The digest, hex.

    Raises:
        OSError: If the file cannot be read.
    """
    with path.open("rb") as file:
        return digest_stream(file, kind)


def digest_stream(file: BinaryIO, kind: DigestKind) -> str:
    """Compute the digest of an open file, from the beginning of the file.

    Args:
        file: The file, open in binary mode.
        kind: "sha256", or "git-blob" for the Git object ID (SHA-1 with a header).

    Returns:
        The digest, hex.
    """
    size = file.seek(0, 2)
    file.seek(0)
    if kind == "sha256":
        state = hashlib.sha256()
    else:
        state = hashlib.sha1(usedforsecurity=False)
        state.update(b"blob %d\0" % size)
    while chunk := file.read(_CHUNK):
        state.update(chunk)
    return state.hexdigest()
