"""glyphs_ranking.py: what the committed results say of the order of recipes on both tracks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Script = Callable[[str], ModuleType]
MEASURED = (
    Path(__file__).parents[2] / "benchmarks" / "measurements" / "glyphs-ranking-published.json"
)


@pytest.fixture(scope="module")
def written() -> dict:
    """What the docs show."""
    return json.loads(MEASURED.read_text(encoding="utf-8"))["data"]


def test_the_file_is_of_the_committed_results(script: Script, written: dict) -> None:
    """A row that was added or taken away since would leave it behind."""
    actual = script("glyphs_ranking").published()
    assert [each["name"] for each in actual["recipes"]] == [
        each["name"] for each in written["recipes"]
    ]
    for key in ("spearman", "kendall"):
        assert actual[key] == pytest.approx(written[key], abs=1e-9)
    for key in ("pairs_separated", "pairs_separated_on_both", "pairs_in_the_same_order"):
        assert actual[key] == written[key]


def test_pairs_are_counted_once(written: dict) -> None:
    """What is separated on both tracks is so on each, and what disagrees is named."""
    both, count = written["pairs_separated_on_both"], len(written["recipes"])
    assert both <= min(written["pairs_separated"].values()) <= written["pairs"]
    assert written["pairs"] == count * (count - 1) // 2
    assert both - written["pairs_in_the_same_order"] == len(written["disagreeing"])
