"""Append-only files of JSON lines that survive a killed process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oraclezoo.result import timestamp


def append(path: Path, row: dict[str, Any]) -> dict[str, Any]:
    """Append ``row`` with a timestamp, sync it to disk, and return it as it will be read."""
    text = json.dumps({"time": timestamp(), **row}, ensure_ascii=False, default=list) + "\n"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, (b"\n" if torn else b"") + text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    stored: dict[str, Any] = json.loads(text)
    return stored


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows, oldest first; an incomplete line of a killed process is skipped."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row
