"""Verdict of a reproduction: same, within spread, or differs.

``same``           all predictions are equal, or all stored probabilities within ``TOLERANCE``
``within spread``  none of four tests at level ``LEVEL`` rejects:

    1. the protocol's paired comparison, matched by seed and image
       (:mod:`oraclezoo.ranking.comparison`);
    2. a test of the difference in mean accuracy against a prediction limit computed from the
       original result only, so that a noisy reproduction cannot widen it: the means of two sets of
       k training runs from the same distribution differ by at most
       t(1 - LEVEL/2; S - 1) * s * sqrt(2 / k) with probability 1 - ``LEVEL``, where s is the
       standard deviation over the S seeds of the result. The limit is at least one image;
    3. with five or more seeds, a permutation test of whether original and reproduced predictions
       differ more than training runs differ among themselves, with the energy distance (Szekely
       and Rizzo, InterStat 2004) of disagreement rates. It detects predictions fabricated to match
       an accuracy;
    4. if the result has accuracies on corrupted images, test 2 on their mean.

``differs``        otherwise.

Training runs with the same seed share initial weights and data order, so tests 1 and 3 are
conservative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from oraclezoo.ranking.comparison import MIN_COMMON_SEEDS, interval_of_differences
from oraclezoo.ranking.predictions import Predictions

Verdict = Literal["same", "within spread", "differs"]

TOLERANCE = 2.0**-9
"""Probabilities count as equal up to this difference: four float16 steps just below 1.
"""
LEVEL = 0.01
"""Significance level of each test."""
MOST_SPLITS = 10_000
"""Maximum number of permutations; if there are more, this many are sampled."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures that the verdict is based on; differences are reproduced minus original.

    ``changed`` and ``largest`` hold the number of changed predictions and the largest change in a
    probability for each seed. Accuracies are in [0, 1]. ``limit`` is None if the result has one
    seed, ``answers_p`` is None for fewer than five common seeds, and the ``corrupted`` fields are
    None without accuracies on corrupted images.
    """

    changed: tuple[int, ...]
    largest: tuple[float, ...]
    difference: float
    p: float
    limit: float | None
    answers_p: float | None
    corrupted_difference: float | None = None
    corrupted_limit: float | None = None


def figures(
    original: Predictions,
    reproduced: Predictions,
    seed_accuracies: npt.ArrayLike,
    corrupted: tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike] | None = None,
) -> Figures:
    """Compare original and reproduced predictions for the same seeds and images, in the same order.

    Args:
        original: Predictions of the original result at the reproduced seeds.
        reproduced: Predictions of the reproduction.
        seed_accuracies: Original accuracy of each seed of the result, ``(S,)`` in [0, 1].
        corrupted: Mean accuracies on corrupted images per seed: original and reproduced values at
            the reproduced seeds, and original values at all seeds.
    """
    before, after = original.probabilities, reproduced.probabilities
    answers = [probabilities.argmax(axis=2) for probabilities in (before, after)]
    gap = np.abs(before.astype(np.float32) - after.astype(np.float32)).max(axis=(1, 2))
    paired = interval_of_differences(reproduced.correct, original.correct)
    seeds, images = answers[0].shape
    one_image = 1 / images
    corruption: tuple[float | None, float | None] = (None, None)
    if corrupted is not None:
        first, second, both = (np.asarray(part, dtype=np.float64) for part in corrupted)
        difference = float(second.mean() - first.mean())
        corruption = (difference, limit_of(both, seeds, one_image))
    return Figures(
        changed=tuple(int(n) for n in (answers[0] != answers[1]).sum(axis=1)),
        largest=tuple(float(g) for g in gap),
        difference=paired.mean,
        p=_two_sided(paired.mean, paired.se, paired.df),
        limit=limit_of(seed_accuracies, seeds, one_image),
        answers_p=answers_p(*answers) if seeds >= MIN_COMMON_SEEDS else None,
        corrupted_difference=corruption[0],
        corrupted_limit=corruption[1],
    )


def verdict(measured: Figures) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict, and a sentence for each test that rejects."""
    if not any(measured.changed):
        return "same", ()
    if max(measured.largest) <= TOLERANCE:
        return "same", ()
    against = []
    if measured.p < LEVEL:
        against.append(
            f"accuracy differs by {100 * measured.difference:+.2f} points, "
            f"paired p = {measured.p:.2g}"
        )
    if measured.limit is None:
        against.append("predictions differ, and a result of one seed has no spread")
    elif abs(measured.difference) > measured.limit:
        against.append(
            f"accuracy differs by {100 * measured.difference:+.2f} points; the spread over the "
            f"result's seeds allows {100 * measured.limit:.2f}"
        )
    if measured.answers_p is not None and measured.answers_p < LEVEL:
        against.append(
            "original and reproduced predictions differ more than training runs among themselves, "
            f"permutation p = {measured.answers_p:.2g}"
        )
    change, allowed = measured.corrupted_difference, measured.corrupted_limit
    if change is not None and allowed is not None and abs(change) > allowed:
        against.append(
            f"accuracy on corrupted images differs by {100 * change:+.2f} points; the spread over "
            f"the result's seeds allows {100 * allowed:.2f}"
        )
    return ("differs", tuple(against)) if against else ("within spread", ())


def limit_of(original: npt.ArrayLike, repeats: int, least: float = 0.0) -> float | None:
    """Return the prediction limit for the difference in mean accuracy (test 2).

    Args:
        original: Original accuracy of each seed, in [0, 1].
        repeats: Number of reproduced seeds.
        least: Minimum value of the limit.

    Returns:
        The limit in [0, 1], or None if there is only one seed.
    """
    values = np.asarray(original, dtype=np.float64)
    if len(values) < 2:
        return None
    t = float(special.stdtrit(len(values) - 1, 1 - LEVEL / 2))
    return max(least, t * float(values.std(ddof=1)) * math.sqrt(2 / repeats))


def answers_p(original: npt.NDArray[np.integer], reproduced: npt.NDArray[np.integer]) -> float:
    """Return the p-value of test 3, whose null hypothesis is that both sets are distributed alike.

    The test is one-sided. It is exact over all splits into halves if there are at most
    ``MOST_SPLITS``; otherwise it samples that many splits with a fixed seed. The smallest possible
    p-value is one over the number of splits.

    Args:
        original: Original predicted classes ``(seeds, images)``.
        reproduced: Reproduced predicted classes ``(seeds, images)``.
    """
    seeds, indices = len(original), np.arange(2 * len(original))
    pooled = np.concatenate([original, reproduced])
    distance = np.array([(pooled != one).mean(axis=1) for one in pooled])
    observed = _energy(distance, indices < seeds)
    if math.comb(2 * seeds, seeds) // 2 <= MOST_SPLITS:
        rest = range(1, 2 * seeds)  # the first run is fixed: swapping the halves has no effect
        halves = [
            np.isin(np.arange(2 * seeds), (0, *part)) for part in combinations(rest, seeds - 1)
        ]
        extreme, among = 0, len(halves)
    else:
        rng = np.random.default_rng(0)
        first = np.arange(2 * seeds) < seeds
        halves = [rng.permutation(first) for _ in range(MOST_SPLITS - 1)]
        extreme, among = 1, MOST_SPLITS
    extreme += sum(_energy(distance, half) >= observed - 1e-12 for half in halves)
    return extreme / among


def _energy(distance: npt.NDArray[np.float64], half: npt.NDArray[np.bool_]) -> float:
    """Return the energy distance: twice the mean distance between halves minus the means within."""
    size = int(half.sum())
    across = distance[half][:, ~half].mean()
    within = [distance[part][:, part].sum() / (size * (size - 1)) for part in (half, ~half)]
    return float(2 * across - sum(within))


def _two_sided(mean: float, se: float, df: float) -> float:
    if se == 0:
        return 1.0 if mean == 0 else 0.0
    t = abs(mean) / se
    return float(2 * (special.ndtr(-t) if math.isinf(df) else special.stdtr(df, -t)))
