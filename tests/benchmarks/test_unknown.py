"""The benchmarks of unknown and of several characters, on pictures made by the project."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from helpers.drawn import characters
from oraclezoo.imaging.find import Box
from oraclezoo.imaging.prepare import Prepared, prepare_several

Script = Callable[[str], ModuleType]


def test_the_area_under_the_curve_counts_ties_half(script: Script) -> None:
    """It is 1 for scores that separate, and one half for equal ones."""
    auroc = script("unknown").auroc
    low, high = np.zeros(4, np.float32), np.ones(5, np.float32)
    assert (auroc(low, high), auroc(high, low), auroc(low, low)) == (1.0, 0.0, 0.5)


def test_pages_state_where_their_characters_are(script: Script) -> None:
    """Every kind is read in the order in which it was composed."""
    several, pages = script("several"), script("_pages")
    images, _ = characters([1] * 10, 0)
    for name in ("contact sheet", "line"):
        page = pages.KINDS[name].make(list(images[:5]), np.random.default_rng(0))
        read = prepare_several(page.data, 28, order=pages.KINDS[name].order)
        done = several.outcome(page, read)
        assert done["found"] >= 4
        assert done["ordered"]


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([Box(0, 0, 10, 10), Box(20, 0, 10, 10)], {"found": 2}),
        ([Box(0, 0, 10, 5), Box(0, 5, 10, 5), Box(20, 0, 10, 10)], {"found": 1, "split": 1}),
        ([Box(0, 0, 30, 10)], {"merged": 2, "extra": 1}),
        ([Box(50, 50, 9, 9)], {"missed": 2, "extra": 1}),
    ],
    ids=["found", "split", "merged", "missed"],
)
def test_outcomes_are_counted(boxes: list[Box], expected: dict[str, int], script: Script) -> None:
    """A page has two characters side by side."""
    several, pages = script("several"), script("_pages")
    page = pages.Page(b"", (Box(0, 0, 10, 10), Box(20, 0, 10, 10)))
    read = [Prepared(np.zeros((28, 28), np.uint8), False, box) for box in boxes]
    done = several.outcome(page, read)
    counts = {key: done[key] for key in ("found", "split", "merged", "missed", "extra")}
    assert {key: count for key, count in counts.items() if count} == expected
