"""Append-only files of JSON lines that survive a killed process.

:func:`oraclezoo.documents.read_rows` reads them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from oraclezoo.result import timestamp
from oraclezoo.storage import naming


def append(path: Path, row: dict[str, Any]) -> dict[str, Any]:
    """Append ``row`` with a timestamp, sync it to disk, and return it as a reader will parse it."""
    text = json.dumps({"time": timestamp(), **row}, ensure_ascii=False, default=list) + "\n"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
        with naming(path):
            os.write(descriptor, (b"\n" if torn else b"") + text.encode())
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    stored: dict[str, Any] = json.loads(text)
    return stored
