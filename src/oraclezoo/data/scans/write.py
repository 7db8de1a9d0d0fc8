"""Write the output folder of a conversion: locking, protection of other data, atomic updates.

Readers never see a mixture of two data sets.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import tomli_w

from oraclezoo.data.folder import ABOUT, FILES, VALIDATION
from oraclezoo.data.idx import MAX_BYTES
from oraclezoo.data.scans.layout import SPLITS, ClassNames, SplitName
from oraclezoo.documents import read_json
from oraclezoo.errors import DataError
from oraclezoo.storage import naming

SCHEMA = "oraclezoo/convert/1"
"""Schema of ``report.json``."""

WORK = ".convert"
"""Folder in the output folder with the state of a conversion, for resuming; it can be deleted
while no conversion is running.
"""

_ROLES: dict[SplitName, str] = {"train": "training", "validation": "validation", "test": "test"}
_IDX = {**FILES, **VALIDATION}

IMAGES: dict[SplitName, str] = {split: f"{_IDX[f'{_ROLES[split]} images']}.gz" for split in SPLITS}
LABELS: dict[SplitName, str] = {split: f"{_IDX[f'{_ROLES[split]} labels']}.gz" for split in SPLITS}
"""File names per split."""

REPORT = "report.json"
PREVIOUS_REPORT = "report-before.json"
"""Name of the previous report in the work folder while files are being replaced."""

_GZIP_LEVEL = 6


@contextmanager
def work_folder(out: Path) -> Iterator[Path]:
    """Create the work folder in ``out``, and lock it during the block.

    Args:
        out: The output folder.

    Yields:
        The work folder.

    Raises:
        DataError: If another process holds the lock, the file system does not support locks, or
            ``out`` contains data that were not written by a conversion.
    """
    foreign = _foreign_file(out, (out / WORK).is_dir() or _previous(out) is not None)
    if foreign:
        raise DataError(
            f"{out / foreign} was not written by this command and is not overwritten\n"
            "Choose another folder, or move the file."
        )
    work = out / WORK
    work.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(work / "lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise DataError(
            f"{out}: another conversion is writing to this folder; wait for it to finish"
        ) from None
    except NotImplementedError as error:
        raise DataError(
            f"{out}: this file system does not support locks; choose another folder"
        ) from error
    try:
        yield work
    finally:
        lock.release()


def keeps_about(out: Path, content: bytes, num_classes: int) -> bool:
    """Return whether ``dataset.toml`` was edited by hand and must be kept.

    Args:
        out: The output folder.
        content: The content to write.
        num_classes: Number of classes of the new data set.

    Returns:
        False if the file does not exist or was written by a conversion.

    Raises:
        DataError: If the edited file has a different number of classes.
    """
    last, path = _previous(out), out / ABOUT
    present = digest(path)
    if last is None or not present or path.read_bytes() == content:
        return False
    files, classes = last.get("files"), last.get("classes")
    if not isinstance(files, dict) or files.get(ABOUT) == present:
        return False
    if not isinstance(classes, list) or len(classes) != num_classes:
        raise DataError(
            f"{path} was edited, but the number of classes has changed\n"
            "Move it away, run the same command again and edit the new file."
        )
    return True


def write_split(
    folder: Path, split: SplitName, images: Iterable[bytes], labels: Sequence[int], size: int
) -> dict[str, str]:
    """Write the images and labels of a split as gzip-compressed IDX files.

    Args:
        folder: Folder of the files.
        split: The split.
        images: One image of ``size * size`` bytes per label.
        labels: Labels, which are less than 256.
        size: Height and width of the images in pixels.

    Returns:
        SHA-256 (hex) of the two files, keyed by name.

    Raises:
        DataError: If the images exceed the size limit of IDX files.
        OSError: If a file cannot be written.
    """
    count = len(labels)
    if count * size**2 > MAX_BYTES:
        raise DataError(
            f"{count:,} {split} images of {size} x {size} exceed the limit of "
            f"{MAX_BYTES >> 30} GiB per IDX file; choose a smaller --size"
        )
    shape = b"".join(n.to_bytes(4, "big") for n in (count, size, size))
    length = count.to_bytes(4, "big")
    return {
        IMAGES[split]: _write_gzip(folder / IMAGES[split], bytes((0, 0, 8, 3)) + shape, images),
        LABELS[split]: _write_gzip(
            folder / LABELS[split], bytes((0, 0, 8, 1)) + length, [bytes(labels)]
        ),
    }


def about(classes: ClassNames, flip_keeps_label: bool) -> bytes:
    """Return the content of ``dataset.toml``.

    Args:
        classes: Classes in label order.
        flip_keeps_label: Whether a mirrored character has the same class.

    Returns:
        The TOML document, encoded in UTF-8.
    """
    document: dict[str, object] = {"classes": list(classes.names)}
    if any(classes.glyphs):
        document["glyphs"] = list(classes.glyphs)
    document["flip_keeps_label"] = flip_keeps_label
    return tomli_w.dumps(document).encode()


def digest(path: Path) -> str:
    """Return the SHA-256 (hex) of a file, or "" if the file does not exist.

    Args:
        path: The file.

    Returns:
        The digest.

    Raises:
        OSError: If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def swap(staged: Path, out: Path, backup: Path) -> None:
    """Move staged files into the output folder.

    Existing files with the same content are kept; if all data files are the same, only the report
    is replaced. Otherwise the file of test labels is removed first and written last, since the
    folder cannot be opened without it, and the labels of each split are written after its images.
    If the process is killed, the folder therefore contains the old data set, no data set or the new
    one, but never a mixture.

    Args:
        staged: Folder with the new files.
        out: The output folder.
        backup: Path to move the old report to before any other change.

    Raises:
        OSError: If a file cannot be moved.
    """
    new = {path.name for path in staged.iterdir()}
    data = [*IMAGES.values(), *LABELS.values()]
    if any(digest(staged / name) != digest(out / name) for name in data):
        for split in reversed(SPLITS):
            (out / LABELS[split]).unlink(missing_ok=True)
        if (out / REPORT).exists():
            (out / REPORT).replace(backup)
        for name in set(IMAGES.values()) - new:
            (out / name).unlink(missing_ok=True)
    else:
        new -= set(data)
    labels = [LABELS[split] for split in ("validation", "train", "test")]
    for name in (*IMAGES.values(), ABOUT, REPORT, *labels):
        if name in new:
            (staged / name).replace(out / name)


def write_synced(path: Path, content: bytes) -> str:
    """Write a file and flush it to disk.

    Args:
        path: The file.
        content: The content of the file.

    Returns:
        SHA-256 (hex) of the content.

    Raises:
        OSError: If the file cannot be written.
    """
    with naming(path), path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(content).hexdigest()


def _previous(out: Path) -> dict[str, Any] | None:
    """Return the report of the last conversion into ``out`` as a JSON document, or None."""
    for path in (out / REPORT, out / WORK / PREVIOUS_REPORT):
        try:
            document = read_json(path)
        except (OSError, ValueError):
            continue
        if isinstance(document, dict) and document.get("schema") == SCHEMA:
            data = document.get("data")
            return data if isinstance(data, dict) else None
    return None


def _foreign_file(out: Path, converted: bool) -> str:
    """Return the name of a data file that no conversion would have written, or "".

    In the output folder of a conversion (``converted``), only unpacked files are foreign.
    """
    packed = {*IMAGES.values(), *LABELS.values()}
    names = {name.removesuffix(".gz") for name in packed} | (set() if converted else packed)
    present = {path.name for path in out.iterdir()} if out.is_dir() else set()
    return min(names & present, default="")


def _write_gzip(path: Path, header: bytes, parts: Iterable[bytes]) -> str:
    with naming(path), path.open("wb") as file:
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as packed:
            packed.write(header)
            for part in parts:
                packed.write(part)
        file.flush()
        os.fsync(file.fileno())
    return digest(path)
