"""Paired comparison: the protocol's form on differences, and its one-seed case."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from oraclezoo.ranking.paired import paired
from oraclezoo.ranking.stats import compare


def answers(seed: int, seeds: int, images: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Right answers at random."""
    return np.random.default_rng(seed).random((seeds, images)) < 0.8


def test_one_seed_is_student_s_paired_test_over_images() -> None:
    """Interval and one-sided limit are those of the textbook, on the differences."""
    before, after = answers(0, 1, 200)[0], answers(1, 1, 200)[0]
    found = paired(before, after)
    differences = after.astype(float) - before.astype(float)
    test = scipy_stats.ttest_1samp(differences, 0)
    interval = test.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    one_sided = scipy_stats.ttest_1samp(-differences, 0, alternative="less")
    assert found.limit == pytest.approx(one_sided.confidence_interval(0.95).high)
    assert found.difference == pytest.approx(differences.mean())
    assert found.lost - found.gained == before.sum() - after.sum()
    assert found.over == "images"


def test_several_seeds_take_the_protocol_s_error() -> None:
    """The interval excludes nothing exactly where the leaderboard's p is below 5%."""
    for number in range(20):
        before, after = answers(number, 5, 60), answers(100 + number, 5, 60)
        found = paired(before, after)
        p = compare([after, before], [range(5), range(5)]).p[0, 1]
        assert (found.low > 0 or found.high < 0) == (p < 0.05)
        assert found.over == "images and seeds"


def test_no_change_is_no_difference_without_width() -> None:
    """And the limit of the loss is nothing."""
    right = answers(0, 1, 50)[0]
    found = paired(right, right)
    assert (found.difference, found.low, found.high, found.limit) == (0, 0, 0, 0)


def test_unmatched_answers_are_refused() -> None:
    """Other images, or one image alone."""
    with pytest.raises(ValueError, match="must be equal"):
        paired(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(ValueError, match="two images"):
        paired(np.ones(1, bool), np.ones(1, bool))
