"""Properties of the protocol's statistics."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as scipy_stats
from scipy.stats import binomtest
from scipy.stats import t as student

from oraclezoo.ranking.comparison import LEVEL, MIN_COMMON_SEEDS, compare, holm, interval, paired

Bools = npt.NDArray[np.bool_]
Draw = Callable[..., Bools]
FIVE = range(5)


def naive_pair(
    a: Bools, b: Bools, seeds_a: Sequence[int], seeds_b: Sequence[int]
) -> tuple[float, float]:
    """Return difference and p of two rows by the protocol's definition."""
    common = sorted(set(seeds_a) & set(seeds_b))
    if len(common) < 5:
        return np.nan, np.nan
    rows_a = a[[list(seeds_a).index(s) for s in common]].astype(float)
    rows_b = b[[list(seeds_b).index(s) for s in common]].astype(float)
    return naive_test(rows_a - rows_b)


def naive_test(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the mean of ``(seeds, images)`` and the p-value against zero."""
    mean, se, df = naive_error(values)
    if se < 1e-12:
        return mean, 1.0 if abs(mean) < 1e-12 else 0.0
    return mean, float(2 * student.sf(abs(mean) / se, df))


def naive_error(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Return mean, standard error and degrees of freedom."""
    seeds, images = values.shape
    of_images = values.mean(axis=0).var(ddof=1) / images
    of_seeds = values.mean(axis=1).var(ddof=1) / seeds
    square = of_images + of_seeds
    spread = of_images**2 / (images - 1) + of_seeds**2 / (seeds - 1)
    return float(values.mean()), float(square**0.5), float(square**2 / spread if spread else np.inf)


def naive_holm(p: Sequence[float]) -> list[bool]:
    """Apply Holm's procedure sequentially to the values that are not NaN."""
    rejected = [False] * len(p)
    family = [i for i in range(len(p)) if not np.isnan(p[i])]
    for step, index in enumerate(sorted(family, key=lambda i: p[i])):
        if p[index] > LEVEL / (len(family) - step):
            break
        rejected[index] = True
    return rejected


def correctness(rows: int = 4, seeds: int = 5, images: int = 12) -> st.SearchStrategy[Bools]:
    """Draw any correctness ``(rows, seeds, images)``."""
    return hnp.arrays(bool, (rows, seeds, images))


@settings(deadline=None, max_examples=100)
@given(correctness())
def test_closed_form_equals_the_loop_over_pairs(correct: Bools) -> None:
    """Matrices equal the formula applied pair by pair, including ranks."""
    result = compare(list(correct), [FIVE] * 4)
    better = np.zeros(4, dtype=int)
    for a in range(4):
        pairs = [
            (np.nan, np.nan) if a == b else naive_pair(correct[a], correct[b], FIVE, FIVE)
            for b in range(4)
        ]
        difference, p = (np.array(column) for column in zip(*pairs, strict=True))
        np.testing.assert_allclose(result.difference[a], difference, atol=1e-12)
        np.testing.assert_allclose(result.p[a], p, atol=1e-9, rtol=1e-7)
        better[a] = sum(
            r and d < 0 for r, d in zip(naive_holm(list(result.p[a])), difference, strict=True)
        )
    assert result.rank.tolist() == (better + 1).tolist()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.lists(st.integers(0, 7), min_size=1, max_size=8, unique=True), min_size=3, max_size=5
    ),
    st.integers(0, 2**32 - 1),
)
def test_rows_of_different_seeds_are_matched_by_seed(seeds: list[list[int]], number: int) -> None:
    """Rows are compared on their common seeds, in any order."""
    rng = np.random.default_rng(number)
    correct = [rng.random((len(own), 15)) < 0.7 for own in seeds]
    result = compare(correct, seeds)
    for a, b in itertools.permutations(range(len(seeds)), 2):
        difference, p = naive_pair(correct[a], correct[b], seeds[a], seeds[b])
        np.testing.assert_allclose(result.difference[a, b], difference, atol=1e-12)
        np.testing.assert_allclose(result.p[a, b], p, atol=1e-9, rtol=1e-7)


@settings(deadline=None, max_examples=100)
@given(correctness(rows=1, seeds=4, images=9))
def test_interval_follows_the_formula(correct: Bools) -> None:
    """Mean, standard error, degrees of freedom and limits follow the protocol."""
    result = interval(correct[0])
    mean, se, df = naive_error(correct[0].astype(float))
    np.testing.assert_allclose(
        (result.mean, result.se, result.seed_std),
        (mean, se, correct[0].mean(axis=1).std(ddof=1)),
        atol=1e-8,
    )
    assert 0 <= result.low <= mean <= result.high <= 1
    if se > 1e-9:
        t = float(student.ppf(0.975, df))
        size = min(mean * (1 - mean) / se**2, correct[0].size)
        for end in (result.low, result.high):  # where the score test is at its limit
            if 1e-6 < end < 1 - 1e-6:
                assert (mean - end) ** 2 == pytest.approx(t**2 * end * (1 - end) / size, rel=1e-6)
        assert result.df == pytest.approx(df)


def test_one_seed_has_a_mean_and_no_interval() -> None:
    """With one seed, the variance over seeds is unknown."""
    result = interval(np.array([[True, True, False, True]]))
    assert result.mean == 0.75
    assert np.isnan([result.se, result.df, result.low, result.high, result.seed_std]).all()


@pytest.mark.parametrize("right", [True, False])
def test_no_variance_leaves_wilsons_interval_of_the_images(right: bool) -> None:
    """All right, or all wrong, at every seed: as scipy's interval of seven of seven, or of none."""
    bounds = interval(np.full((5, 7), right))
    due = binomtest(7 * right, 7).proportion_ci(0.95, method="wilson")
    assert (bounds.mean, bounds.se) == (float(right), 0.0)
    assert (bounds.low, bounds.high) == pytest.approx((due.low, due.high), abs=1e-12)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_an_interval_stays_within_0_and_1(seeds: int) -> None:
    """Where the mean plus and minus t times the standard error reaches 112% or -9%."""
    correct = np.ones((seeds, 40), dtype=bool)
    correct[0, :12] = False
    bounds = interval(correct)
    assert bounds.mean + float(student.ppf(0.975, bounds.df)) * bounds.se > 1
    assert 0 < bounds.low < bounds.mean < bounds.high < 1
    other = interval(~correct)
    assert (other.low, other.high) == pytest.approx((1 - bounds.high, 1 - bounds.low))


@settings(deadline=None, max_examples=60)
@given(correctness(rows=3, seeds=6, images=33))
def test_a_copied_row_ties_exactly(correct: Bools) -> None:
    """Identical rows have difference 0 and p exactly 1 in any table."""
    rows = [*correct, correct[1].copy()]
    result = compare(rows, [range(6)] * 4)
    assert result.difference[1, 3] == 0
    assert result.p[1, 3] == result.p[3, 1] == 1.0
    assert not result.separated[1, 3]
    assert result.rank[1] == result.rank[3]


def test_no_variance_and_a_difference_is_certain() -> None:
    """With all correct against none, p is 0, without a division by zero."""
    result = compare([np.ones((5, 6), dtype=bool), np.zeros((5, 6), dtype=bool)], [FIVE] * 2)
    assert result.p[0, 1] == 0.0
    assert result.rank.tolist() == [1, 2]


def test_fewer_than_five_common_seeds_are_not_compared() -> None:
    """Five common seeds are required."""
    right, wrong = np.ones((6, 30), dtype=bool), np.zeros((6, 30), dtype=bool)
    assert MIN_COMMON_SEEDS == 5
    four = compare([right, wrong], [range(6), range(2, 8)])
    assert not four.compared.any()
    assert four.rank.tolist() == [1, 1]
    five = compare([right, wrong], [range(6), range(1, 7)])
    assert five.compared.tolist() == [[False, True], [True, False]]


@settings(deadline=None, max_examples=30)
@given(correctness(rows=6), st.permutations(range(6)))
def test_order_of_rows_changes_nothing(correct: Bools, order: list[int]) -> None:
    """p and ranks are bit-identical for any order of rows."""
    straight = compare(list(correct), [FIVE] * 6)
    shuffled = compare([correct[i] for i in order], [FIVE] * 6)
    assert np.array_equal(shuffled.p, straight.p[np.ix_(order, order)], equal_nan=True)
    assert shuffled.rank.tolist() == straight.rank[order].tolist()


@settings(deadline=None)
@given(
    hnp.arrays(float, (3, 6), elements=st.sampled_from([0, 1e-4, 0.008, 0.01, 0.013, 0.05, np.nan]))
)
def test_holm_steps_down(p: npt.NDArray[np.float64]) -> None:
    """Each row of the matrix is a separate family, and NaN belongs to none."""
    assert holm(p).tolist() == [naive_holm(list(row)) for row in p]


def test_a_row_five_points_better_ranks_first(draw: Draw) -> None:
    """A planted difference of five points at 1,000 images and five seeds is significant."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        correct = draw(rng, 8, 5, 1000, mean=3.5, image=2.0, own=0.5, seed=0.05)
        planted = rng.random(correct[3].shape) < 0.05 / (1 - correct[3].mean())
        correct[3] |= planted  # a twentieth of all answers, from wrong to right
        result = compare(list(correct), [FIVE] * 8)
        assert result.rank[3] == 1
        assert (result.rank[np.arange(8) != 3] > 1).all()


@pytest.mark.parametrize(
    "effects",
    [{"own": 0.5, "seed": 0.2}, {"own": 0.0, "seed": 0.3}, {"own": 1.0, "seed": 0.3}],
    ids=str,
)
def test_false_separations_stay_near_five_percent(draw: Draw, effects: dict[str, float]) -> None:
    """Rows that differ by chance only are seldom separated.

    About 5% of single comparisons fall below 0.05, and at most 5% of rows are ranked behind one
    that is no better. Satterthwaite's approximation at five seeds lets slightly more than 5% of
    families contain a false separation; less than 10% is asserted.
    """
    rng = np.random.default_rng(11)
    pairs, behind, families = [], [], []
    for _ in range(400):
        result = compare(list(draw(rng, 10, 5, 1000, **effects)), [FIVE] * 10)
        pairs.append(np.nanmean(result.p[result.compared] < LEVEL))
        behind.append((result.rank > 1).mean())
        families.append(result.separated.any(axis=1).mean())
    print(f"{effects}: pairs {np.mean(pairs):.4f} behind {np.mean(behind):.4f} "
          f"families {np.mean(families):.4f}")  # fmt: skip
    assert 0.03 < np.mean(pairs) < 0.065
    assert np.mean(behind) < 0.05
    assert np.mean(families) < 0.10


def test_without_a_seed_effect_it_errs_on_the_safe_side(draw: Draw) -> None:
    """Without variance between trainings, 5% is an upper bound."""
    rng = np.random.default_rng(12)
    pairs = []
    for _ in range(100):
        result = compare(list(draw(rng, 8, 5, 500, own=0.0, seed=0.0)), [FIVE] * 8)
        pairs.append((result.p[result.compared] < LEVEL).mean())
    assert np.mean(pairs) < 0.05


@pytest.mark.parametrize(
    "effects",
    [{"image": 2.0, "own": 0.0, "seed": 0.2}, {"image": 1.0, "own": 0.0, "seed": 0.5}],
    ids=str,
)
def test_intervals_cover_the_truth_as_often_as_they_say(draw: Draw, effects: Any) -> None:
    """About 95 of 100 intervals contain the accuracy over all images and seeds."""
    rng = np.random.default_rng(13)
    spread = np.sqrt(effects["image"] ** 2 + effects["seed"] ** 2)
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    truth = (weights / (1 + np.exp(-(2 + spread * points)))).sum() / weights.sum()
    covered = []
    for _ in range(800):
        result = interval(draw(rng, 1, 5, 400, **effects)[0])
        covered.append(result.low <= truth <= result.high)
    assert 0.925 < np.mean(covered) < 0.985


def test_a_thousand_rows(draw: Draw) -> None:
    """A large table is ranked, and its duplicates tie."""
    rng = np.random.default_rng(14)
    correct = list(draw(rng, 1000, 5, 1000, shift=rng.normal(0, 0.3, 1000)))
    correct[500] = correct[20]
    result = compare(correct, [FIVE] * 1000)
    assert result.p[20, 500] == 1.0
    assert result.rank.min() == 1
    means = np.array([row.mean() for row in correct])
    higher = (means[None, :] > means[:, None]).sum(axis=1)
    assert (result.rank - 1 <= higher).all()  # none is behind a row that did worse
    assert result.rank[means.argmin()] > 100


def random_correct(seed: int, seeds: int, images: int) -> Bools:
    """Random correctness, 80% true."""
    return np.random.default_rng(seed).random((seeds, images)) < 0.8


def test_paired_with_one_seed_is_students_paired_test() -> None:
    """Interval and one-sided limit equal SciPy's for the differences."""
    before, after = random_correct(0, 1, 200)[0], random_correct(1, 1, 200)[0]
    change = paired(before, after)
    differences = after.astype(float) - before.astype(float)
    test = scipy_stats.ttest_1samp(differences, 0)
    interval = test.confidence_interval(0.95)
    assert (change.low, change.high) == pytest.approx((interval.low, interval.high))
    one_sided = scipy_stats.ttest_1samp(-differences, 0, alternative="less")
    assert change.limit == pytest.approx(one_sided.confidence_interval(0.95).high)
    assert change.difference == pytest.approx(differences.mean())
    assert change.lost - change.gained == before.sum() - after.sum()
    assert change.over == "images"


def test_paired_with_several_seeds_agrees_with_compare() -> None:
    """The interval excludes zero if and only if the p-value of ``compare`` is below 5%."""
    for number in range(20):
        before, after = random_correct(number, 5, 60), random_correct(100 + number, 5, 60)
        change = paired(before, after)
        p = compare([after, before], [range(5), range(5)]).p[0, 1]
        assert (change.low > 0 or change.high < 0) == (p < 0.05)
        assert change.over == "images and seeds"


def test_paired_without_changes_has_a_zero_width_interval() -> None:
    """The limit of the loss is zero too."""
    right = random_correct(0, 1, 50)[0]
    change = paired(right, right)
    assert (change.difference, change.low, change.high, change.limit) == (0, 0, 0, 0)


def test_paired_rejects_other_shapes_and_single_images() -> None:
    """The interval needs two images, matched one to one."""
    with pytest.raises(ValueError, match="must be equal"):
        paired(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(ValueError, match="two images"):
        paired(np.ones(1, bool), np.ones(1, bool))
