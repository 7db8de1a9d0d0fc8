"""Append-only JSON Lines files that survive a killed process.

:func:`oraclezoo.documents.read_rows` reads them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from oraclezoo.result import timestamp
from oraclezoo.storage import append_line


def append(path: Path, row: dict[str, Any]) -> dict[str, Any]:
    """Append ``row`` with a timestamp, sync it to disk, and return it as it will be parsed."""
    text = json.dumps({"time": timestamp(), **row}, ensure_ascii=False, default=list)
    append_line(path, text)
    stored: dict[str, Any] = json.loads(text)
    return stored
