"""Stream images from their file, in constant memory.

Reads use preadv instead of a memory map, for three reasons: mapped pages count toward the memory of
the process until they are released, releasing them after each batch costs more than it saves, and a
truncated file ends the process by a signal instead of an error (docs/how-to/train/memory.md has
measurements).
"""

from __future__ import annotations

import os
import shutil
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oraclezoo.data import idx, image_files, upstream
from oraclezoo.data.dataset import ArraySplit
from oraclezoo.data.locate import cache_folder
from oraclezoo.errors import DataError
from oraclezoo.storage import alone, replacing

CHUNK_BYTES = 1 << 20
"""Number of bytes per read when iterating in order."""

Progress = Callable[[str], None] | None


class ImagesInFile:
    """Images uint8 ``(N, H, W)`` in an uncompressed IDX file. Implements contracts.Images.

    Only the indices of the images are in memory, with eight bytes each. Every access reads the
    file; several threads may read concurrently. Raises DataError if the file can no longer be read
    or has changed since it was opened.
    """

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, path: Path, header: idx.Header) -> None:
        count, height, width = header.shape
        self.shape = (count, height, width)
        self._rows = np.arange(count)
        self._records = _Records(path, header.offset, height * width)

    def take(self, chosen: npt.NDArray[np.bool_]) -> ImagesInFile:
        """Select images by a mask, without reading them.

        Args:
            chosen: bool ``(N,)``.

        Returns:
            The selected images, in order.
        """
        part = object.__new__(ImagesInFile)
        part._rows, part._records = self._rows[chosen], self._records
        part.shape = (len(part._rows), *self.shape[1:])
        return part

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> npt.NDArray[np.uint8]:
        """Read images by an index, a slice, a mask or an array of indices."""
        rows = np.asarray(self._rows[key])
        images = np.empty((rows.size, *self.shape[1:]), np.uint8)
        self._records.read(rows.reshape(-1), images)
        return images.reshape(rows.shape + self.shape[1:])

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        step = max(1, CHUNK_BYTES // (self.shape[1] * self.shape[2]))
        for first in range(0, len(self), step):
            yield from self[first : first + step]

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        """Read all images into memory."""
        if copy is False:
            raise ValueError("streamed images cannot be converted to an array without a copy")
        return self[:] if dtype is None else self[:].astype(dtype)


@dataclass(frozen=True, slots=True)
class FileSplit:
    """Images in a file and labels in memory; implements contracts.Split.

    Attributes:
        images: uint8 ``(N, H, W)``.
        labels: int64 ``(N,)``.
    """

    images: ImagesInFile
    labels: npt.NDArray[np.int64]

    def take(self, chosen: npt.NDArray[np.bool_]) -> FileSplit:
        """Select images and labels by a mask, without reading images.

        Args:
            chosen: bool ``(N,)``.

        Returns:
            The selected images and labels, in order.
        """
        return FileSplit(self.images.take(chosen), self.labels[chosen])


AnySplit = ArraySplit | FileSplit


class _Records:
    """Fixed-size records in an open file, starting at byte ``offset``."""

    def __init__(self, path: Path, offset: int, size_bytes: int) -> None:
        self.path, self.offset, self.size_bytes = path, offset, size_bytes
        try:
            self.file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise self._unreadable(error) from error
        weakref.finalize(self, os.close, self.file)
        self.opened = self._state()
        self.lock = threading.Lock()

    def _state(self) -> tuple[int, int]:
        status = os.fstat(self.file)
        return status.st_size, status.st_mtime_ns

    def read(self, rows: npt.NDArray[np.int64], into: npt.NDArray[np.uint8]) -> None:
        """Read the records ``rows`` into the C-contiguous array ``into``."""
        if not len(rows):
            return
        size, space = self.size_bytes, into.reshape(-1).data
        edges = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
        runs = [
            (space[first * size : last * size], self.offset + row * size)
            for first, last, row in zip(edges, edges[1:], rows[edges[:-1]].tolist(), strict=False)
        ]
        try:
            if self._state() != self.opened:
                raise DataError(f"{self.path}: the file changed while being read")
            # request all uncached records first, so that the system reads them concurrently
            waiting = [run for run in runs if not self._read_cached(*run)]
            for part, place in waiting:
                _expect(self.file, place, part.nbytes)
            for part, place in waiting:
                self._wait(part, place)
        except OSError as error:
            raise self._unreadable(error) from error

    def _read_cached(self, part: memoryview, place: int) -> bool:
        """Read the records that are in the page cache; return whether all of them are."""
        if not hasattr(os, "RWF_NOWAIT"):
            return False
        try:
            return os.preadv(self.file, [part], place, os.RWF_NOWAIT) == part.nbytes
        except OSError:  # it would block, or the file system does not support this
            return False

    def _wait(self, part: memoryview, place: int) -> None:
        while part:
            if hasattr(os, "preadv"):
                count = os.preadv(self.file, [part], place)
            else:  # Windows
                with self.lock:
                    os.lseek(self.file, place, os.SEEK_SET)
                    chunk = os.read(self.file, len(part))
                count = len(chunk)
                part[:count] = chunk
            if not count:
                raise DataError(f"{self.path}: the file was truncated while being read")
            part, place = part[count:], place + count

    def _unreadable(self, error: OSError) -> DataError:
        return DataError(f"{self.path}: cannot be read ({error.strerror or error})")


def _expect(file: int, place: int, size_bytes: int) -> None:
    """Ask the operating system to read ahead, where it supports this."""
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError):
            os.posix_fadvise(file, place, size_bytes, os.POSIX_FADV_WILLNEED)


def open_images(
    path: Path, stream_above: int | None, progress: Progress = None
) -> npt.NDArray[np.uint8] | ImagesInFile:
    """Open the images of an IDX file, either in memory or streamed.

    Args:
        path: The file; a compressed file to be streamed is first decompressed into the user's
            cache, once.
        stream_above: Size in bytes above which images are streamed; None to never stream.
        progress: Called with progress messages.

    Returns:
        Images uint8 ``(N, H, W)``.

    Raises:
        DataError: If the file cannot be read, or exceeds idx.MAX_BYTES without streaming.
    """
    if stream_above is None:
        return image_files.read_images(path)
    header = idx.read_header(path)
    image_files.check_images(path, header)
    if header.size_bytes <= min(stream_above, idx.MAX_BYTES):
        return image_files.read_images(path)
    return ImagesInFile(_unpacked(path, header, progress) if header.packed else path, header)


def open_images_labels(
    images_path: Path,
    labels_path: Path,
    num_classes: int | None,
    stream_above: int | None,
    progress: Progress = None,
) -> AnySplit:
    """Open a pair of IDX files.

    Args:
        images_path: File with the images, opened by :func:`open_images`.
        labels_path: File with the labels.
        num_classes: Number of classes, which labels must be less than; None to skip this check.
        stream_above: As for :func:`open_images`.
        progress: Called with progress messages.

    Returns:
        Images uint8 ``(N, H, W)``, in memory or streamed, and labels int64 ``(N,)``.

    Raises:
        DataError: If a file cannot be read, the counts differ, or a label is out of range.
    """
    images = open_images(images_path, stream_above, progress)
    labels = image_files.read_labels(labels_path, num_classes)
    image_files.check_pair(images_path, len(images), labels_path, len(labels))
    if isinstance(images, ImagesInFile):
        return FileSplit(images, labels)
    return ArraySplit(images, labels)


def unpacked_folder() -> Path:
    """Return the folder for decompressed files, which can be deleted at any time."""
    return cache_folder() / "unpacked"


def _unpacked(path: Path, header: idx.Header, progress: Progress) -> Path:
    """Return the decompressed file in the cache, named by the SHA-256 of the compressed file."""
    target = unpacked_folder() / f"{upstream.digest(path)}.idx"
    size_bytes = header.offset + header.size_bytes
    say = progress or (lambda text: None)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with alone(target, lambda: say(f"waiting for another process to unpack {path.name}")):
            if target.is_file() and target.stat().st_size == size_bytes:
                return target
            free = shutil.disk_usage(target.parent).free
            if free < size_bytes:
                raise _cannot_unpack(
                    path, target.parent, f"{size_bytes:,} bytes, {free:,} are free"
                )
            say(f"unpacking {path.name}, {size_bytes / 1e6:,.0f} MB, into {target.parent}")
            with replacing(target) as file:
                for piece in idx.unpacked(path):
                    file.write(piece)
    except OSError as error:
        raise _cannot_unpack(path, target.parent, error.strerror or str(error)) from error
    return target


def _cannot_unpack(path: Path, folder: Path, reason: str) -> DataError:
    return DataError(
        f"cannot unpack {path} into {folder} ({reason}); free up disk space there, or unpack the "
        "file yourself"
    )
