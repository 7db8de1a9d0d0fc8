"""Size limit above which images are streamed from their files instead of kept in memory."""

from __future__ import annotations

import os
import re

import torch

from oraclezoo.engine.device import free_memory_bytes
from oraclezoo.errors import UsageError

VARIABLE = "ORACLEZOO_STREAM_ABOVE"
"""Environment variable that sets the default limit."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)


def stream_limit(requested: int | str | None, device: torch.device) -> int:
    """Return the size in bytes above which images are streamed.

    Args:
        requested: The size; if None, the value of ``$ORACLEZOO_STREAM_ABOVE``, or if that is not
            set, half of the free memory of the host or the device, whichever is smaller.
        device: Device that images are copied to.

    Raises:
        UsageError: The size cannot be parsed.
    """
    setting = os.environ.get(VARIABLE) or None if requested is None else requested
    return free_memory_bytes(device) // 2 if setting is None else size_bytes(setting)


def size_bytes(size: int | str) -> int:
    """Parse a size such as ``512MB`` (MB: 10^6 bytes), ``2GiB`` (GiB: 2^30 bytes) or ``1000000``.

    Raises UsageError if it cannot be parsed.
    """
    match = _SIZE.fullmatch(str(size).strip())
    if isinstance(size, bool) or not match:
        raise UsageError(f"{size!r} is not a size in bytes; write it as 512MB, 2GiB or 1000000")
    number, unit, binary = match.groups()
    power = " kmgt".index(unit.lower() or " ")
    return int(float(number) * (1024 if binary else 1000) ** power)
