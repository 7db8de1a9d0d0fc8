"""Permutation tests for whether two samples come from the same distribution.

``mmd_test`` compares vectors by the maximum mean discrepancy (MMD) of Gretton, Borgwardt, Rasch,
Schoelkopf and Smola, "A kernel two-sample test" (JMLR 13, 2012), with a Gaussian kernel whose
bandwidth is the median distance within the pooled samples. ``class_test`` compares labels by
Pearson's chi-square test of homogeneity. P-values are computed by permutation, so they are valid
for any number of images and classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import pdist, squareform

PERMUTATIONS = 999
BATCH = 100
"""Number of permutations per batch; limits memory use."""

Floats = npt.NDArray[np.floating]
Labels = npt.NDArray[np.integer]
Statistic = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
"""Maps indicators ``(B, m + n)`` of membership in the first sample to statistics ``(B,)``."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A test statistic, its p-value, and its z-score under the null distribution."""

    statistic: float
    p: float
    deviations: float


def mmd_test(
    reference: Floats, sample: Floats, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> Shift:
    """Compare vectors ``(N, D)`` and ``(M, D)`` by the unbiased estimate of the squared MMD.

    Each sample must contain at least two vectors. For samples from the same distribution, the
    statistic is near 0 and may be negative.
    """
    pooled = np.concatenate([reference, sample]).astype(np.float64)
    squares = pdist(pooled, "sqeuclidean")
    width = float(np.median(squares))
    # if all points coincide, the kernel is constant and the samples cannot be distinguished
    kernel = squareform(np.exp(-squares / width) if width > 0 else np.exp(-squares))
    m, n = len(reference), len(sample)
    sums, total = kernel.sum(axis=1), float(kernel.sum())

    def discrepancy(first: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        within_first = ((first @ kernel) * first).sum(axis=1)
        across = first @ sums - within_first
        other = total - 2 * across - within_first
        statistic: npt.NDArray[np.float64] = (
            within_first / (m * (m - 1)) + other / (n * (n - 1)) - 2 * across / (m * n)
        )
        return statistic

    return _permuted(discrepancy, m, n, permutations, seed)


def class_test(
    reference: Labels,
    sample: Labels,
    classes: int,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Shift:
    """Compare labels ``(N,)`` and ``(M,)``, from 0 to ``classes - 1``, by Pearson's chi-square."""
    pooled = np.concatenate([reference, sample])
    member = np.eye(classes)[pooled]
    totals = member.sum(axis=0)
    m, n = len(reference), len(sample)
    present = totals > 0

    def chi_square(first: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        counts = (first @ member)[:, present]
        due = totals[present] * m / (m + n)
        gap = (counts - due) ** 2
        statistic: npt.NDArray[np.float64] = (gap / due + gap / (totals[present] - due)).sum(axis=1)
        return statistic

    return _permuted(chi_square, m, n, permutations, seed)


def _permuted(statistic: Statistic, m: int, n: int, permutations: int, seed: int) -> Shift:
    marks = (np.arange(m + n) < m).astype(np.float64)
    observed = float(statistic(marks[None])[0])
    rng = np.random.default_rng(seed)
    null: list[float] = []
    while len(null) < permutations:
        rows = min(BATCH, permutations - len(null))
        null += statistic(rng.permuted(np.tile(marks, (rows, 1)), axis=1)).tolist()
    draws = np.array(null)
    threshold = observed - 1e-9 * max(1e-9, float(np.abs(draws).max()))  # ties up to rounding
    spread = float(draws.std(ddof=1))
    return Shift(
        statistic=observed,
        p=(1 + int((draws >= threshold).sum())) / (1 + permutations),
        deviations=(observed - float(draws.mean())) / spread if spread > 0 else 0.0,
    )
