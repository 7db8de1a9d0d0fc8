"""Closed-form statistics of the protocol: confidence intervals, paired comparisons and ranks.

A row represents one recipe: whether each of ``n`` images is classified correctly with each of
``S`` seeds. With images and seeds as random factors, the standard error of the mean accuracy is

    SE^2 = var_images / n + var_seeds / S

where ``var_images`` is the sample variance over images of the mean over seeds, and ``var_seeds``
is the sample variance over seeds of the mean over images. The degrees of freedom are those of
Satterthwaite (Biometrics Bulletin 2(6), 1946):
SE^4 / ((var_images/n)^2/(n-1) + (var_seeds/S)^2/(S-1)). To compare two rows, the same formula is
applied to their differences, matched by image and seed.

The confidence interval of a row is Wilson's score interval (JASA 22(158), 1927) with effective
sample size a (1 - a) / SE^2, where a is the accuracy, and with Student's t, as for proportions from
clustered samples (Dean and Pagano, Journal of Survey Statistics and Methodology 3(4), 2015). It
always lies within [0, 1]. Comparisons and ranks do not use it.

Variances are computed from counts of correct predictions, which float64 represents exactly, so
rows with identical predictions have a difference and variance of exactly zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

LEVEL = 0.05
"""Significance level for Holm's procedure and for the confidence intervals."""
MIN_COMMON_SEEDS = 5
"""Minimum number of common seeds for a comparison."""

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Interval:
    """Mean, standard error, degrees of freedom and 95% interval of a row's accuracy, in [0, 1].

    With one seed or one image, the variance over seeds or images is unknown, and all fields except
    ``mean`` are NaN. If the variance is zero, ``df`` is infinite.
    ``seed_std`` is the sample standard deviation of accuracy over seeds.
    """

    mean: float
    se: float
    df: float
    low: float
    high: float
    seed_std: float


@dataclass(frozen=True, slots=True)
class Paired:
    """Paired difference: accuracy after a change minus accuracy before it, in [-1, 1].

    ``low`` and ``high`` are the bounds of its 95% confidence interval; ``limit`` is the one-sided
    95% upper confidence limit of the drop in accuracy, ``-difference``. ``lost`` and ``gained``
    count the predictions that became wrong or right. ``over`` names the random factors: images, or
    images and seeds if there are several seeds.
    """

    difference: float
    se: float
    low: float
    high: float
    limit: float
    lost: int
    gained: int
    over: str


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """Comparisons of all pairs of rows, as ``(rows, rows)`` matrices; NaN for pairs not compared.

    ``difference`` is the accuracy of the first row minus that of the second row over their common
    seeds; ``p`` is the two-sided p-value; ``separated`` is true if the difference is significant by
    Holm's procedure over the comparisons of the first row.
    """

    difference: Floats
    p: Floats
    separated: Bools

    @property
    def compared(self) -> Bools:
        """Whether each pair of rows was compared, bool ``(rows, rows)``."""
        return ~np.isnan(self.p)

    @property
    def rank(self) -> npt.NDArray[np.int64]:
        """One plus the number of significantly better rows, int64 ``(rows,)``."""
        better = self.separated & (np.nan_to_num(self.difference) < 0)
        ranks: npt.NDArray[np.int64] = better.sum(axis=1) + 1
        return ranks


def interval(correct: Bools) -> Interval:
    """Return the confidence interval of a row's accuracy.

    Args:
        correct: Whether each prediction is correct, bool ``(seeds, images)``.

    >>> interval(np.array([[True, True, False, True], [True, False, False, True]])).mean
    0.625
    """
    seeds, images = correct.shape
    by_image = correct.sum(axis=0, dtype=np.int64).astype(np.float64)
    by_seed = correct.sum(axis=1, dtype=np.int64).astype(np.float64)
    total = by_seed.sum()
    mean = float(total / (seeds * images))
    var_images = _variance((by_image**2).sum(), total, images, seeds)
    var_seeds = _variance((by_seed**2).sum(), total, seeds, images)
    se, df = _error(var_images, var_seeds, images, seeds)
    low, high = _score_interval(mean, float(se), float(df), seeds, images)
    return Interval(mean, float(se), float(df), low, high, float(var_seeds**0.5))


def interval_of_differences(a: Bools, b: Bools) -> Interval:
    """Return the confidence interval of ``a``'s accuracy minus ``b``'s, within [-1, 1].

    With one seed, the variance over seeds is unknown, and the interval covers images only.

    Args:
        a: Whether each prediction is correct, bool ``(seeds, images)``.
        b: Whether each prediction of the other row is correct, for the same seeds and images.
    """
    seeds, images = a.shape
    differences = a.astype(np.int64) - b.astype(np.int64)
    by_image = differences.sum(axis=0).astype(np.float64)
    by_seed = differences.sum(axis=1).astype(np.float64)
    total = by_seed.sum()
    mean = float(total / (seeds * images))
    var_images = _variance((by_image**2).sum(), total, images, seeds)
    var_seeds = _variance((by_seed**2).sum(), total, seeds, images)
    se, df = _error(var_images, var_seeds, images, seeds)
    if seeds == 1:
        se, df = np.sqrt(var_images / images), np.array(images - 1.0)
    half = se * _t_quantile(df)
    low, high = np.clip([mean - half, mean + half], -1, 1)  # np.clip keeps NaN
    return Interval(mean, float(se), float(df), float(low), float(high), float(var_seeds**0.5))


def paired(before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_]) -> Paired:
    """Compare matched predictions before and after a change.

    With one seed, the interval covers the variance over images only.

    Args:
        before: Whether each prediction is correct, bool ``(images,)`` or ``(seeds, images)``.
        after: Whether each prediction is correct after the change, in the same shape.

    Raises:
        ValueError: The shapes differ, or there are fewer than two images.

    >>> before, after = np.array([True, True, False, True]), np.array([True, False, False, True])
    >>> result = paired(before, after)
    >>> result.difference, result.lost, result.gained
    (-0.25, 1, 0)
    """
    first, second = np.atleast_2d(before), np.atleast_2d(after)
    if first.shape != second.shape or first.shape[1] < 2:
        raise ValueError(
            f"shapes {first.shape} and {second.shape} must be equal, with at least two images"
        )
    change = interval_of_differences(second, first)
    limit = min(-change.mean + float(_t_quantile(change.df, LEVEL)) * change.se, 1.0)
    lost, gained = int((first & ~second).sum()), int((~first & second).sum())
    over = "images" if first.shape[0] == 1 else "images and seeds"
    return Paired(change.mean, change.se, change.low, change.high, limit, lost, gained, over)


def compare(correct: Sequence[Bools], seeds: Sequence[Sequence[int]]) -> Comparisons:
    """Compare every pair of rows on their common seeds.

    Rows with the same seeds are compared by a single matrix product.

    Args:
        correct: For each row ``r``, whether each prediction is correct, bool
            ``(len(seeds[r]), images)``, with the same images in the same order for all rows.
        seeds: The seeds of each row.
    """
    rows = len(correct)
    difference, p = np.full((rows, rows), np.nan), np.full((rows, rows), np.nan)
    groups: dict[frozenset[int], list[int]] = {}
    for row, numbers in enumerate(seeds):
        groups.setdefault(frozenset(numbers), []).append(row)
    blocks = list(groups.items())
    for first, (seeds_a, rows_a) in enumerate(blocks):
        for seeds_b, rows_b in blocks[first:]:
            common = sorted(seeds_a & seeds_b)
            if len(common) < MIN_COMMON_SEEDS:
                continue
            counts_a = _counts(correct, seeds, rows_a, common)
            counts_b = counts_a if rows_a is rows_b else _counts(correct, seeds, rows_b, common)
            block_difference, block_p = _compare_blocks(counts_a, counts_b)
            difference[np.ix_(rows_a, rows_b)] = block_difference
            difference[np.ix_(rows_b, rows_a)] = -block_difference.T
            p[np.ix_(rows_a, rows_b)] = block_p
            p[np.ix_(rows_b, rows_a)] = block_p.T
    np.fill_diagonal(difference, np.nan)
    np.fill_diagonal(p, np.nan)
    return Comparisons(difference, p, holm(p))


def holm(p: Floats, level: float = LEVEL) -> Bools:
    """Apply Holm's step-down procedure to each row (Holm, Scand. J. Statist. 6, 1979).

    Args:
        p: p-values ``(rows, hypotheses)``; NaN entries are ignored.
        level: Family-wise significance level.

    Returns:
        Whether each hypothesis is rejected, bool with the shape of ``p``.

    >>> holm(np.array([[0.01, 0.04, np.nan, 0.03]]))
    array([[ True, False, False, False]])
    """
    order = np.argsort(p, axis=1, kind="stable")  # NaN last
    ascending = np.take_along_axis(p, order, axis=1)
    family = (~np.isnan(p)).sum(axis=1, keepdims=True)
    remaining = family - np.arange(p.shape[1])  # hypotheses not yet rejected
    passes = ascending <= level / np.maximum(remaining, 1)  # false for NaN
    rejected = np.zeros(p.shape, dtype=bool)
    np.put_along_axis(rejected, order, np.logical_and.accumulate(passes, axis=1), axis=1)
    return rejected


@dataclass(frozen=True, slots=True, eq=False)
class _Counts:
    """Numbers of correct predictions of some rows at their common seeds, per image and per seed."""

    by_image: Floats
    by_seed: Floats


def _counts(
    correct: Sequence[Bools], seeds: Sequence[Sequence[int]], rows: list[int], common: list[int]
) -> _Counts:
    by_image, by_seed = [], []
    for row in rows:
        position = {seed: index for index, seed in enumerate(seeds[row])}
        matched = correct[row][[position[seed] for seed in common]]
        by_image.append(matched.sum(axis=0, dtype=np.int64))
        by_seed.append(matched.sum(axis=1, dtype=np.int64))
    return _Counts(np.array(by_image, dtype=np.float64), np.array(by_seed, dtype=np.float64))


def _compare_blocks(a: _Counts, b: _Counts) -> tuple[Floats, Floats]:
    """Return accuracy difference and two-sided p of each row of ``a`` against each row of ``b``."""
    images, seeds = a.by_image.shape[1], a.by_seed.shape[1]
    total = a.by_seed.sum(axis=1)[:, None] - b.by_seed.sum(axis=1)[None, :]
    difference = total / (seeds * images)
    var_images = _variance(_squares(a.by_image, b.by_image), total, images, seeds)
    var_seeds = _variance(_squares(a.by_seed, b.by_seed), total, seeds, images)
    se, df = _error(var_images, var_seeds, images, seeds)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(difference) / se
    exact = np.where(difference == 0, 1.0, 0.0)  # p-value for zero variance
    p = np.where(se > 0, 2 * special.stdtr(df, -t), exact)
    return difference, np.where(np.isnan(se), np.nan, p)


def _squares(a: Floats, b: Floats) -> Floats:
    """Return sums of squared differences between rows of ``a`` and of ``b``, as exact integers."""
    products: Floats = a @ b.T
    squares: Floats = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * products
    return squares


def _variance(squares: Floats, total: Floats, units: int, repeats: int) -> Floats:
    """Return the sample variance over ``units`` of count / ``repeats``, from sums of counts.

    The numerator is an integer below 2^53 and therefore exact. Returns NaN for a single unit.
    """
    if units < 2:
        return np.full_like(squares, np.nan)
    variance: Floats = (units * squares - total**2) / (units * (units - 1) * float(repeats) ** 2)
    return variance


def _error(var_images: Floats, var_seeds: Floats, images: int, seeds: int) -> tuple[Floats, Floats]:
    """Return the standard error and Satterthwaite's degrees of freedom."""
    of_images, of_seeds = var_images / images, var_seeds / seeds
    square = of_images + of_seeds
    if images < 2 or seeds < 2:
        return np.full_like(square, np.nan), np.full_like(square, np.nan)
    spread = of_images**2 / (images - 1) + of_seeds**2 / (seeds - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(spread > 0, square**2 / spread, np.inf)
    return np.sqrt(square), df


def _score_interval(
    mean: float, se: float, df: float, seeds: int, images: int
) -> tuple[float, float]:
    """Return Wilson's interval for a row's accuracy; NaN if ``se`` is NaN."""
    spread = mean * (1 - mean)
    if spread == 0:  # all correct or all wrong: only the number of images matters
        size = float(images) if not np.isnan(se) else np.nan
    else:
        size = min(spread / se**2, seeds * images) if se != 0 else float(seeds * images)
    ratio = float(_t_quantile(np.asarray(df))) ** 2 / size
    center = (mean + ratio / 2) / (1 + ratio)
    half = np.sqrt(ratio * (spread + ratio / 4)) / (1 + ratio)
    low, high = np.clip([center - half, center + half], 0, 1)  # guards against rounding; keeps NaN
    return float(low), float(high)


def _t_quantile(df: Floats | float, tail: float = LEVEL / 2) -> Floats:
    """Return the ``1 - tail`` quantile of Student's t, or of the normal if ``df`` is infinite."""
    upper = 1 - tail
    return np.where(np.isinf(df), special.ndtri(upper), special.stdtrit(df, upper))
