"""Atomic replacement of a converted data set: readers never see a mixture of two."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import tomli_w

from oraclezoo.data import folder
from oraclezoo.data.scans.layout import SIDES, ClassNames, Side

_ROLES: dict[Side, str] = {"train": "training", "validation": "validation", "test": "test"}
_IDX = {**folder.FILES, **folder.VALIDATION}

IMAGES: dict[Side, str] = {side: f"{_IDX[f'{_ROLES[side]} images']}.gz" for side in SIDES}
LABELS: dict[Side, str] = {side: f"{_IDX[f'{_ROLES[side]} labels']}.gz" for side in SIDES}
"""File names by side."""

REPORT = "report.json"
ABOUT = folder.ABOUT

_GZIP_LEVEL = 6


def write_images(path: Path, images: Iterable[bytes], count: int, size: int) -> str:
    """Write images as gzip-compressed IDX.

    Args:
        path: The file.
        images: ``count`` images of ``size * size`` bytes.
        count: Number of images.
        size: Edge in pixels.

    Returns:
        SHA-256 (hex) of the file.
    """
    header = bytes((0, 0, 8, 3)) + b"".join(n.to_bytes(4, "big") for n in (count, size, size))
    return _write(path, header, images)


def write_labels(path: Path, labels: Sequence[int]) -> str:
    """Write labels as gzip-compressed IDX.

    Args:
        path: The file.
        labels: Labels below 256.

    Returns:
        SHA-256 (hex) of the file.
    """
    header = bytes((0, 0, 8, 1)) + len(labels).to_bytes(4, "big")
    return _write(path, header, [bytes(labels)])


def about(classes: ClassNames, flip_keeps_label: bool) -> bytes:
    """Return the content of ``dataset.toml``.

    Args:
        classes: Classes in label order.
        flip_keeps_label: Whether a mirrored character keeps its class.

    Returns:
        The document, TOML in UTF-8.
    """
    document: dict[str, object] = {"classes": list(classes.names)}
    if any(classes.glyphs):
        document["glyphs"] = list(classes.glyphs)
    document["flip_keeps_label"] = flip_keeps_label
    return tomli_w.dumps(document).encode()


def foreign(out: Path, ours: bool) -> str:
    """Return the name of a data file that a conversion would not have written, or "".

    Args:
        out: The output folder.
        ours: Whether a conversion wrote the folder; only unpacked files are foreign then.

    Returns:
        The name, "" if there is none.
    """
    packed = {*IMAGES.values(), *LABELS.values()}
    names = {name.removesuffix(".gz") for name in packed} | (set() if ours else packed)
    present = {path.name for path in out.iterdir()} if out.is_dir() else set()
    return min(names & present, default="")


def digest(path: Path) -> str:
    """Return the SHA-256 (hex) of a file, "" if it does not exist.

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


def swap(staged: Path, out: Path, before: Path) -> None:
    """Move staged files into the output folder.

    Files that are already there with equal content stay; if all data files do, only the report is
    replaced. Otherwise the file of test labels is removed first and written last, since the folder
    cannot be opened without it, and the labels of a side are written after its images. A kill
    therefore leaves the old data set, no data set or the new one, never a mixture.

    Args:
        staged: Folder of the new files.
        out: The output folder.
        before: Path to which the old report is moved first.

    Raises:
        OSError: If a file cannot be moved.
    """
    new = {path.name for path in staged.iterdir()}
    data = [*IMAGES.values(), *LABELS.values()]
    if any(digest(staged / name) != digest(out / name) for name in data):
        for side in reversed(SIDES):
            (out / LABELS[side]).unlink(missing_ok=True)
        if (out / REPORT).exists():
            (out / REPORT).replace(before)
        for name in set(IMAGES.values()) - new:
            (out / name).unlink(missing_ok=True)
    else:
        new -= set(data)
    labels = [LABELS[side] for side in ("validation", "train", "test")]
    for name in (*IMAGES.values(), ABOUT, REPORT, *labels):
        if name in new:
            (staged / name).replace(out / name)


def settle(path: Path, content: bytes) -> str:
    """Write a file and flush it to disk.

    Args:
        path: The file.
        content: Its content.

    Returns:
        SHA-256 (hex) of the content.

    Raises:
        OSError: If the file cannot be written.
    """
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(content).hexdigest()


def _write(path: Path, header: bytes, parts: Iterable[bytes]) -> str:
    with path.open("wb") as file:
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as packed:
            packed.write(header)
            for part in parts:
                packed.write(part)
        file.flush()
        os.fsync(file.fileno())
    return digest(path)
