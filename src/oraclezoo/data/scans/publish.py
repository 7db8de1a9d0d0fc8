"""Putting a converted data set in its folder, so that no reader ever meets halves of two."""

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
"""Each side's files in the folder."""

REPORT = "report.json"
ABOUT = folder.ABOUT

_GZIP_LEVEL = 6


def write_images(path: Path, images: Iterable[bytes], count: int, size: int) -> str:
    """Write ``count`` images of ``size * size`` bytes as gzipped IDX; the file's SHA-256."""
    header = bytes((0, 0, 8, 3)) + b"".join(n.to_bytes(4, "big") for n in (count, size, size))
    return _write(path, header, images)


def write_labels(path: Path, labels: Sequence[int]) -> str:
    """Write labels as gzipped IDX; the file's SHA-256."""
    header = bytes((0, 0, 8, 1)) + len(labels).to_bytes(4, "big")
    return _write(path, header, [bytes(labels)])


def about(classes: ClassNames, flip_keeps_label: bool) -> bytes:
    """What ``dataset.toml`` says of the data set."""
    document: dict[str, object] = {"classes": list(classes.names)}
    if any(classes.glyphs):
        document["glyphs"] = list(classes.glyphs)
    document["flip_keeps_label"] = flip_keeps_label
    return tomli_w.dumps(document).encode()


def foreign(out: Path, ours: bool) -> str:
    """A data file in ``out`` that is none of ours, all of which are packed; "" if there is none."""
    packed = {*IMAGES.values(), *LABELS.values()}
    names = {name.removesuffix(".gz") for name in packed} | (set() if ours else packed)
    present = {path.name for path in out.iterdir()} if out.is_dir() else set()
    return min(names & present, default="")


def digest(path: Path) -> str:
    """SHA-256 of a file, "" if there is none. Raises OSError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def swap(staged: Path, out: Path, before: Path) -> None:
    """Move the files of ``staged`` into ``out``; the report there goes to ``before`` first.

    Files that would only be replaced by equal ones stay: where all data are in place already, the
    report alone moves. Else, between the first step and the last, there is no file of test labels,
    without which nothing opens the folder; and a side's labels come after its images. So a kill
    leaves the old data set, or none, or the new one, never a part of each. Raises OSError.
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
    """Write a file down to the disk; its SHA-256. Raises OSError."""
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
