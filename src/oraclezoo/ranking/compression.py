"""Compression: what a result's recipe says of how the net was made smaller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNCOMPRESSED = "none"


def compression(content: Mapping[str, Any]) -> str:
    """How the recipe of a result compresses its net, or ``none``."""
    stated = content.get("compress")
    if isinstance(stated, Mapping):
        stated = stated.get("steps") or stated.get("name")
    if isinstance(stated, (list, tuple)):
        stated = "+".join(map(str, stated))
    return str(stated) if stated else UNCOMPRESSED
