"""ranking.py: a short run of it ranks what it made up."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

Script = Callable[[str], ModuleType]


def test_every_pair_is_compared(script: Script) -> None:
    """A few results go through every stage, each of which takes some time."""
    data = script("ranking").measure(6)
    assert data["comparisons"] == 15
    assert data["page_bytes"] > 6_000
    stages = {"read_and_check", "rank", "read_and_rank", "compare_all_pairs", "page"}
    assert {name for name, value in data.items() if isinstance(value, dict)} == stages
