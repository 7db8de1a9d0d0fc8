"""Compression steps in the recipe of a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNCOMPRESSED = "none"


def compression(content: Mapping[str, Any]) -> str:
    """Return the compression steps in a recipe's content, e.g. ``prune50+int8``, or ``none``."""
    steps = content.get("compress")
    if isinstance(steps, Mapping):
        steps = steps.get("steps") or steps.get("name")
    if isinstance(steps, (list, tuple)):
        steps = "+".join(map(str, steps))
    return str(steps) if steps else UNCOMPRESSED
