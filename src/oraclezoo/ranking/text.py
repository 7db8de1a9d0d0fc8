"""Format names, numbers and untrusted strings as short text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

NONE = "–"
"""Placeholder for a missing value."""


def short(name: str) -> str:
    """Return a qualified name without ``oraclezoo:``, the default prefix."""
    return name.removeprefix("oraclezoo:")


def clean(text: str, limit: int = 120) -> str:
    """Return untrusted text as one printable line of at most ``limit`` characters."""
    line = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def digest8(text: str) -> str:
    """Return the first eight hexadecimal digits of the SHA-256 of ``text``."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def ranges(numbers: Sequence[int]) -> str:
    """Format numbers in ascending order as ranges, or as ``none`` if there are none.

    >>> ranges([1, 2, 3, 5])
    '1-3, 5'
    """
    parts = (str(a) if a == b else f"{a}-{b}" for a, b in runs(numbers))
    return ", ".join(parts) or "none"


def runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and last number of each run of consecutive numbers in an ascending list."""
    intervals: list[tuple[int, int]] = []
    for number in numbers:
        if intervals and number == intervals[-1][1] + 1:
            intervals[-1] = intervals[-1][0], number
        else:
            intervals.append((number, number))
    return intervals
