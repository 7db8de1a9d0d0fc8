"""Two-sample tests: valid p-values, and power against planted differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from oraclezoo.measure.two_sample import class_test, mmd_test


def test_p_is_uniform_for_samples_of_one_distribution() -> None:
    """Over 300 pairs, p-values of both tests are uniform.

    Permutation seeds differ between pairs, so that pairs are independent.
    """
    rng = np.random.default_rng(0)
    features, classes = [], []
    for pair in range(300):
        pool = rng.gamma(2.0, size=(70, 6))
        features.append(mmd_test(pool[:40], pool[40:], permutations=99, seed=pair).p)
        labels = rng.choice(8, 90, p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.05, 0.03, 0.02])
        classes.append(class_test(labels[:40], labels[40:], 8, permutations=99, seed=pair).p)
    for p in (features, classes):
        jittered = np.array(p) - rng.random(300) / 100  # p is one of 100 values
        assert stats.kstest(jittered, "uniform").pvalue > 0.01
        assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.035)


@pytest.mark.parametrize("change", ["place", "spread", "shape"])
def test_a_planted_difference_of_vectors_is_seen(change: str) -> None:
    """A shift, a larger variance, and two clusters of equal mean and variance are detected."""
    rng = np.random.default_rng(1)
    first, second = rng.standard_normal((2, 150, 3))
    if change == "place":
        second += 0.6
    elif change == "spread":
        second *= 1.8
    else:
        second = 0.3 * second + np.sqrt(1 - 0.09) * np.sign(rng.standard_normal((150, 1)))
    actual = mmd_test(first, second, permutations=199)
    assert actual.p == pytest.approx(1 / 200)
    assert actual.statistic > 0
    assert actual.deviations > 3


def test_the_statistic_is_the_unbiased_one() -> None:
    """It equals the double sums of its definition with the median bandwidth."""
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((7, 2)), rng.standard_normal((5, 2))
    both = np.concatenate([x, y])
    squares = ((both[:, None] - both[None]) ** 2).sum(-1)
    kernel = np.exp(-squares / np.median(squares[np.triu_indices(12, 1)]))
    np.fill_diagonal(kernel, 0)
    expected = kernel[:7, :7].sum() / 42 + kernel[7:, 7:].sum() / 20 - 2 * kernel[:7, 7:].mean()
    assert mmd_test(x, y, permutations=9).statistic == pytest.approx(expected)


def test_the_class_statistic_is_pearsons() -> None:
    """It equals SciPy's without empty classes, and a planted shift is detected."""
    first, second = (
        np.array([0] * 30 + [1] * 20 + [3] * 10),
        np.array([0] * 10 + [1] * 40 + [3] * 9),
    )
    table = [[30, 20, 10], [10, 40, 9]]
    actual = class_test(first, second, 5, permutations=199)
    assert actual.statistic == pytest.approx(stats.chi2_contingency(table).statistic)
    assert actual.p == pytest.approx(1 / 200)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 20), st.integers(2, 20))
def test_order_within_a_sample_changes_nothing(seed: int, m: int, n: int) -> None:
    """The p-value is a multiple of one over the number of permutations plus one."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((m, 2)), rng.standard_normal((n, 2))
    actual = mmd_test(x, y, permutations=19)
    assert 1 / 20 <= actual.p <= 1
    assert mmd_test(rng.permutation(x), y, permutations=19).statistic == pytest.approx(
        actual.statistic
    )


def test_samples_in_one_place_do_not_differ() -> None:
    """Constant features give no evidence and no error."""
    actual = mmd_test(np.ones((10, 3)), np.ones((12, 3)), permutations=49)
    assert actual.p == 1
    assert class_test(np.zeros(10, int), np.zeros(12, int), 4, permutations=49).p == 1
