"""Store of prepared images between runs, in files that are verified by their digest."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from oraclezoo.data.scans.prepare import Prepared

_SUFFIX = ".images"
_OPEN_FILES = 64


class Kept(NamedTuple):
    """Location of a stored image, its digest, and the digest of its source file."""

    path: Path
    offset: int
    image_sha256: str
    source_sha256: str


class Store:
    """Prepared images of ``size * size`` bytes, by the key of their source file.

    The name of a file is the SHA-256 of its content: a line of JSON with keys and digests, then the
    images. Only one process at a time may use a folder. Methods raise OSError.

    Args:
        folder: The folder; incomplete and corrupted files in it are removed.
        size: Edge of the images, pixels.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._image_bytes = folder, size * size
        self._kept: dict[str, Kept] = {}
        self._open: OrderedDict[Path, BinaryIO] = OrderedDict()
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.iterdir()):
            content = path.read_bytes() if path.suffix == _SUFFIX else b""
            if hashlib.sha256(content).hexdigest() == path.stem:
                self._index(path, content)
            else:
                path.unlink()  # truncated by a kill, or corrupted

    def get(self, key: str) -> Kept | None:
        """Return the location of the image of a file, or None if it is not stored.

        Args:
            key: Key of the file.

        Returns:
            The location, or None.
        """
        return self._kept.get(key)

    def add(self, prepared: Sequence[Prepared]) -> None:
        """Store the accepted images of a batch.

        Args:
            prepared: Outcomes of the batch; rejected files are skipped.
        """
        usable = [one for one in prepared if one.image is not None]
        if not usable:
            return
        images = [one.image for one in usable if one.image is not None]
        header = {
            "keys": [one.key for one in usable],
            "images": [hashlib.sha256(image).hexdigest() for image in images],
            "sources": [one.source_sha256 for one in usable],
        }
        content = json.dumps(header).encode() + b"\n" + b"".join(images)
        path = self._folder / (hashlib.sha256(content).hexdigest() + _SUFFIX)
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(content)
        temporary.replace(path)
        self._index(path, content)

    def read(self, kept: Kept) -> bytes:
        """Return the bytes of a stored image.

        Args:
            kept: Its location.

        Returns:
            ``size * size`` bytes.
        """
        file = self._open.get(kept.path)
        if file is None:
            file = self._open[kept.path] = kept.path.open("rb")
            if len(self._open) > _OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(kept.path)
        file.seek(kept.offset)
        return file.read(self._image_bytes)

    def forget_all_but(self, keys: Collection[str]) -> None:
        """Remove the files that hold no image of ``keys``.

        Args:
            keys: Keys of source files.
        """
        needed = {kept.path for key in keys if (kept := self._kept.get(key)) is not None}
        for path in {kept.path for kept in self._kept.values()} - needed:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close all open files."""
        while self._open:
            self._open.popitem()[1].close()

    def _index(self, path: Path, content: bytes) -> None:
        start = content.index(b"\n") + 1
        header = json.loads(content[:start])
        rows = zip(header["keys"], header["images"], header["sources"], strict=True)
        for row, (key, image, source) in enumerate(rows):
            self._kept[key] = Kept(path, start + row * self._image_bytes, image, source)
