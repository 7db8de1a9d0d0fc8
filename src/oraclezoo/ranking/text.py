"""Text: names, numbers and strangers' words in few characters."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

NONE = "–"
"""Stands where there is no figure."""


def short(name: str) -> str:
    """A qualified name without the distribution that bare names mean anyway."""
    return name.removeprefix("oraclezoo:")


def clean(text: str, limit: int = 120) -> str:
    """A stranger's text in one printable line."""
    line = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def digest8(text: str) -> str:
    """Eight digits that tell texts apart."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers in few words: ``1-3, 5``; ``none`` if there are none."""
    parts = (str(a) if a == b else f"{a}-{b}" for a, b in runs(numbers))
    return ", ".join(parts) or "none"


def runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """The first and the last of each run of neighbours among ascending numbers."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return found
