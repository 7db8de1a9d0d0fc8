"""Output folder of a conversion: exclusive access, and protection of other data in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

from oraclezoo.data.scans import publish
from oraclezoo.data.scans.report import SCHEMA
from oraclezoo.errors import DataError

WORK = ".convert"
"""Folder in the output folder with the state of a conversion, for resuming; it can be deleted when
no conversion is running."""

_BEFORE = "report-before.json"


@contextmanager
def work_folder(out: Path) -> Iterator[Path]:
    """Create the work folder in ``out`` and lock it during the block.

    Args:
        out: The output folder.

    Yields:
        The work folder.

    Raises:
        DataError: If another process has the lock, the file system has none, or ``out`` holds data
            that no conversion wrote.
    """
    ours = (out / WORK).is_dir() or previous(out) is not None
    stranger = publish.foreign(out, ours)
    if stranger:
        raise DataError(
            f"{out / stranger} was not written by this command and is not overwritten\n"
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


def previous(out: Path) -> dict[str, Any] | None:
    """Return the report of the last conversion into ``out``, or None.

    Args:
        out: The output folder.

    Returns:
        The report as a JSON document, or None.
    """
    for path in (out / publish.REPORT, out / WORK / _BEFORE):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(document, dict) and document.get("schema") == SCHEMA:
            data = document.get("data")
            return data if isinstance(data, dict) else None
    return None


def before(work: Path) -> Path:
    """Return the path of the previous report while the files are swapped.

    Args:
        work: The work folder.

    Returns:
        The path.
    """
    return work / _BEFORE


def keeps_about(out: Path, content: bytes, num_classes: int) -> bool:
    """Return whether ``dataset.toml`` was edited by hand and must be kept.

    Args:
        out: The output folder.
        content: The content that would be written.
        num_classes: Number of classes of the new data set.

    Returns:
        False if the file is missing or has the content of a conversion.

    Raises:
        DataError: If the edited file has another number of classes.
    """
    last, path = previous(out), out / publish.ABOUT
    there = publish.digest(path)
    if last is None or not there or path.read_bytes() == content:
        return False
    files, classes = last.get("files"), last.get("classes")
    if not isinstance(files, dict) or files.get(publish.ABOUT) == there:
        return False
    if not isinstance(classes, list) or len(classes) != num_classes:
        raise DataError(
            f"{path} was edited, but the number of classes has changed\n"
            "Move it away, run the same command again and edit the new file."
        )
    return True
