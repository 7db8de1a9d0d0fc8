"""Verdict of a reproduction: same, within spread, or differs.

``same``           all predictions are equal, or all stored probabilities within ``TOLERANCE``
``within spread``  none of four tests at level ``LEVEL`` rejects:

    1. the protocol's paired comparison, matched by seed and image
       (:mod:`oraclezoo.ranking.comparison`);
    2. the difference of mean accuracy against a prediction limit computed from the original result
       only, so that a noisy reproduction cannot widen it: two sets of k training runs of one
       process differ by at most t(1 - LEVEL/2; S - 1) * s * sqrt(2 / k) with probability 1 -
       ``LEVEL``, where s is the standard deviation over the result's S seeds. The limit is at least
       one image;
    3. with five or more seeds, whether original and reproduced predictions differ more than
       training runs differ among themselves: a permutation test on the energy distance (Szekely and
       Rizzo, InterStat 2004) of disagreement rates. It detects predictions fabricated to match an
       accuracy;
    4. if the result has accuracies on corrupted images, test 2 on their mean.

``differs``        otherwise.

Training runs with the same seed share initial weights and data order, which makes tests 1 and 3
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
"""Maximum difference between probabilities that counts as equal: four float16 steps just below 1.
"""
LEVEL = 0.01
"""Significance level of each test."""
MOST_SPLITS = 10_000
"""Maximum number of permutations; beyond it, this many are sampled."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures that determine the verdict; differences are reproduced minus original.

    ``changed`` and ``largest`` hold, per seed, the number of changed predictions and the largest
    change of a probability. Accuracies are in [0, 1]. ``limit`` is None for a result of one seed,
    ``answers_p`` below five common seeds, the ``corrupted`` fields without such accuracies.
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
    """Compare original and reproduced predictions of the same seeds and images, in the same order.

    Args:
        original: Predictions of the original result at the reproduced seeds.
        reproduced: Predictions of the reproduction.
        seed_accuracies: Original accuracies of all seeds of the result, ``(S,)`` in [0, 1].
        corrupted: Mean accuracies on corrupted images per seed: original and reproduced at the
            reproduced seeds, and original at all seeds.
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
    """Return the verdict and a sentence for each test that rejects."""
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
    """Return the prediction limit of the difference of mean accuracies (test 2).

    Args:
        original: Original accuracy of each seed, in [0, 1].
        repeats: Number of reproduced seeds.
        least: Lower bound of the limit.

    Returns:
        The limit in [0, 1], or None for a single seed.
    """
    values = np.asarray(original, dtype=np.float64)
    if len(values) < 2:
        return None
    t = float(special.stdtrit(len(values) - 1, 1 - LEVEL / 2))
    return max(least, t * float(values.std(ddof=1)) * math.sqrt(2 / repeats))


def answers_p(original: npt.NDArray[np.integer], reproduced: npt.NDArray[np.integer]) -> float:
    """Return the one-sided p-value of two sets of predictions coming from one process (test 3).

    Exact over all splits into halves up to ``MOST_SPLITS``, otherwise over that many splits
    sampled with a fixed seed; the smallest possible p is one over their number.

    Args:
        original: Original predicted classes ``(seeds, images)``.
        reproduced: Reproduced predicted classes ``(seeds, images)``.
    """
    seeds, indices = len(original), np.arange(2 * len(original))
    pooled = np.concatenate([original, reproduced])
    distance = np.array([(pooled != one).mean(axis=1) for one in pooled])
    observed = _energy(distance, indices < seeds)
    if math.comb(2 * seeds, seeds) // 2 <= MOST_SPLITS:
        rest = range(1, 2 * seeds)  # the first run is fixed, since mirrored splits are equal
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
    """Return the energy distance: twice the mean distance between halves minus those within."""
    size = int(half.sum())
    across = distance[half][:, ~half].mean()
    within = [distance[part][:, part].sum() / (size * (size - 1)) for part in (half, ~half)]
    return float(2 * across - sum(within))


def _two_sided(mean: float, se: float, df: float) -> float:
    if se == 0:
        return 1.0 if mean == 0 else 0.0
    t = abs(mean) / se
    return float(2 * (special.ndtr(-t) if math.isinf(df) else special.stdtr(df, -t)))
