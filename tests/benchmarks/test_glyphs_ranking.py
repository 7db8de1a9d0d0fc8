"""Order of recipes on generated and real characters, from the committed results."""

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
    """Return the data that the documentation shows."""
    return json.loads(MEASURED.read_text(encoding="utf-8"))["data"]


def test_the_file_is_of_the_committed_results(script: Script, written: dict) -> None:
    """The file must be regenerated if results are added or removed."""
    actual = script("glyphs_ranking").published()
    assert [each["name"] for each in actual["recipes"]] == [
        each["name"] for each in written["recipes"]
    ]
    for key in ("spearman", "kendall"):
        assert actual[key] == pytest.approx(written[key], abs=1e-9)
    for key in ("pairs_separated", "pairs_separated_on_both", "pairs_in_the_same_order"):
        assert actual[key] == written[key]


def test_pairs_are_counted_once(written: dict) -> None:
    """The counts of pairs are consistent with each other."""
    both, count = written["pairs_separated_on_both"], len(written["recipes"])
    assert both <= min(written["pairs_separated"].values()) <= written["pairs"]
    assert written["pairs"] == count * (count - 1) // 2
    assert both - written["pairs_in_the_same_order"] == len(written["disagreeing"])
