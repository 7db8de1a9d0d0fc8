"""Tracker ``jsonl``: one JSON object per line, without dependencies."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oraclezoo.result import timestamp
from oraclezoo.storage import naming

FILE = "tracker.jsonl"


class JsonLines:
    """Tracker that appends ``start``, ``log``, ``artifact`` and ``finish`` lines to a file.

    Each line states the time and the run, and is written in append mode by a single write, so that
    several runs can share a file. ``start`` contains the configuration. ``artifact`` contains the
    size in bytes and SHA-256 of a file; for a folder, one line is written per file.
    """

    def __init__(
        self, *, run_name: str, folder: Path, config: Mapping[str, Any], path: str | None = None
    ) -> None:
        self.run_name = run_name
        self.path = folder / FILE if path is None else Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if path is None and not config.get("resumed_step"):
            self.path.unlink(missing_ok=True)  # left by an earlier run in the same folder
        self._append("start", config=dict(config))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Append a line of metrics."""
        self._append("log", step=step, values=dict(values))

    def artifact(self, path: Path) -> None:
        """Append one line per file."""
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            with file.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
            size = file.stat().st_size
            self._append("artifact", path=str(file), size_bytes=size, sha256=digest)

    def finish(self, status: str) -> None:
        """Append the last line."""
        self._append("finish", status=status)

    def _append(self, event: str, **fields: Any) -> None:
        row = {"time": timestamp(), "run": self.run_name, "event": event, **fields}
        line = json.dumps(row, ensure_ascii=False) + "\n"
        descriptor = os.open(self.path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644)
        try:
            with naming(Path(self.path)):
                os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
