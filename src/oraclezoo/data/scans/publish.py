"""Replacement of a converted data set, safe against readers and kills halfway."""

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
"""File name of each split's labels."""

REPORT = "report.json"
ABOUT = folder.ABOUT

_GZIP_LEVEL = 6


def write_images(path: Path, images: Iterable[bytes], count: int, size: int) -> str:
    """Write ``count`` images of ``size * size`` bytes as gzipped IDX; return the file's SHA-256."""
    header = bytes((0, 0, 8, 3)) + b"".join(n.to_bytes(4, "big") for n in (count, size, size))
    return _write(path, header, images)


def write_labels(path: Path, labels: Sequence[int]) -> str:
    """Write labels as gzipped IDX; return the file's SHA-256."""
    header = bytes((0, 0, 8, 1)) + len(labels).to_bytes(4, "big")
    return _write(path, header, [bytes(labels)])


def about(classes: ClassNames, flip_keeps_label: bool) -> bytes:
    """Return the content of ``dataset.toml``."""
    document: dict[str, object] = {"classes": list(classes.names)}
    if any(classes.glyphs):
        document["glyphs"] = list(classes.glyphs)
    document["flip_keeps_label"] = flip_keeps_label
    return tomli_w.dumps(document).encode()


def foreign(out: Path, ours: bool) -> str:
    """Return the name of a data file in ``out`` that this command did not write, or "".

    It writes compressed files only.
    """
    packed = {*IMAGES.values(), *LABELS.values()}
    names = {name.removesuffix(".gz") for name in packed} | (set() if ours else packed)
    present = {path.name for path in out.iterdir()} if out.is_dir() else set()
    return min(names & present, default="")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, "" if it does not exist. Raises OSError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def swap(staged: Path, out: Path, before: Path) -> None:
    """Move the files of ``staged`` into ``out``, and its old report to ``before``.

    If the data files are unchanged, only the report is replaced. Otherwise the test labels are
    removed first and moved last, so the folder cannot be opened in between, and the labels of a
    split follow its images. After a kill, the folder therefore has the old data set, none, or the
    new one, but never a mixture. Raises OSError.
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
    """Write a file and flush it to disk; return its SHA-256. Raises OSError."""
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
