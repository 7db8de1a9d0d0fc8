"""Structured log: one JSON object per event on stderr, without images and secrets."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime


def log(event: str, **fields: str | float | None) -> None:
    """Write a line; omit fields that are empty or None."""
    filled = {name: value for name, value in fields.items() if value not in ("", None)}
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = json.dumps({"time": now, "event": event, **filled})
    with suppress(OSError, ValueError):  # a closed stream does not stop the server
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


class JsonHandler(logging.Handler):
    """Write the records of other libraries, such as uvicorn's errors, in the same format."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, with its traceback if it has one."""
        trace = None
        if record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info)
        log("message", level=record.levelname.lower(), text=record.getMessage(), traceback=trace)
