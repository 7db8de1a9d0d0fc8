"""Create data locks, and check folders and data sets against them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from oraclezoo.contracts import Dataset
from oraclezoo.data.dataset import SPLITS, digests
from oraclezoo.data.folder import ABOUT
from oraclezoo.data.upstream import digest
from oraclezoo.errors import DataError, command_line
from oraclezoo.recipe.data_lock import DataLock, LockedFile, LockedSplit, data_digest

Status = Literal["ok", "missing", "mismatch", "unreadable"]


@dataclass(frozen=True, slots=True)
class LockCheck:
    """Result for one file: its name, its status, and the SHA-256 in the lock."""

    name: str
    status: Status
    sha256: str


def lock_dataset(
    dataset: Dataset, folder: Path, *, track: str, source: str = "", remote: str = ""
) -> DataLock:
    """Read all splits of a data set and create a lock for it.

    Args:
        dataset: A newly opened data set, whose splits have not been read.
        folder: Folder with its files.
        track: Name of its track.
        source: Source of the data: a URL or a citation.
        remote: URL of a copy, for ``oraclezoo data pull``.

    Returns:
        The lock.

    Raises:
        DataError: If a split cannot be read, or the data are not from files in ``folder``.
    """
    learning = digests(dataset, "train", "validation")
    sha256 = digests(dataset, "test")
    absent = [name for name in sha256 if not (folder / name).is_file()]
    if absent or not sha256:
        what = f"no file {absent[0]}" if absent else "no files"
        raise DataError(
            f"{folder}: track '{track}' reads {what} there; generated data need no lock"
        )
    if (folder / ABOUT).is_file():
        sha256[ABOUT] = digest(folder / ABOUT)
    classes = tuple(dataset.classes)
    splits = {}
    for name in SPLITS:
        labels = np.asarray(dataset.split(name).labels)
        counts = np.bincount(labels, minlength=len(classes))
        splits[name] = LockedSplit(len(labels), tuple(counts.tolist()))
    return DataLock(
        track=track,
        classes=classes,
        flip_keeps_label=dataset.flip_keeps_label,
        learning=tuple(sorted(learning)),
        files={
            name: LockedFile(sha256[name], (folder / name).stat().st_size)
            for name in sorted(sha256)
        },
        splits=splits,
        source=source or getattr(dataset, "source", ""),
        remote=remote,
    )


def check_files(lock: DataLock, folder: Path) -> list[LockCheck]:
    """Compare the files of a folder with a lock.

    Args:
        lock: The lock.
        folder: The folder, which may not exist.

    Returns:
        The result for each file in the lock.
    """
    return [
        LockCheck(name, _status(folder / name, file), file.sha256)
        for name, file in lock.files.items()
    ]


def _status(path: Path, file: LockedFile) -> Status:
    if not path.exists():
        return "missing"
    try:
        same = (
            path.is_file()
            and path.stat().st_size == file.size_bytes
            and digest(path) == file.sha256
        )
    except OSError:
        return "unreadable"
    return "ok" if same else "mismatch"


def check_lock(dataset: Dataset, expected: str) -> None:
    """Require that a data set matches the ``data.lock`` of a recipe.

    Args:
        dataset: The opened data set; its training and validation images are read.
        expected: Digest of the lock; if it is empty, nothing is checked.

    Raises:
        DataError: If the data do not match the lock.
    """
    if not expected:
        return
    learning = digests(dataset, "train", "validation")
    actual = data_digest(dataset.classes, dataset.flip_keeps_label, learning)
    if actual != expected:
        raise DataError(
            f"the data are not those of the recipe's data.lock (digest {actual[:12]}, not "
            f"{expected[:12]})\n"
            f"Run '{command_line('oraclezoo', 'data', 'verify')} FOLDER --lock FILE' to list the "
            "files that differ, or 'oraclezoo data pull' to fetch the right ones."
        )


def changes(old: DataLock, new: DataLock) -> list[str]:
    """Return the differences between two locks, as one line of text per difference."""
    lines = [
        f"{name}: {_change(old.files.get(name), new.files.get(name))}"
        for name in sorted({*old.files, *new.files})
        if old.files.get(name) != new.files.get(name)
    ]
    for name in ("track", "classes", "flip_keeps_label", "source", "remote"):
        if getattr(old, name) != getattr(new, name):
            lines.append(f"{name} changed")
    return lines


def _change(old: LockedFile | None, new: LockedFile | None) -> str:
    if old is None or new is None:
        return "added" if old is None else "removed"
    return f"changed ({old.size_bytes:,} to {new.size_bytes:,} bytes)"
