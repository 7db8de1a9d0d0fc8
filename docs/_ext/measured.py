"""Committed measurements, and Markdown tables. Lightweight imports only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

MEASUREMENTS = Path(__file__).resolve().parents[2] / "benchmarks" / "measurements"


def read(name: str) -> dict[str, Any]:
    """Return the data of a committed measurement."""
    document = json.loads((MEASUREMENTS / name).read_text(encoding="utf-8"))
    data: dict[str, Any] = document["data"]
    return data


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
