"""Verdict: whether a result that was run again came out the same, within its spread, or otherwise.

``same``           every answer is the same, or every stored probability within ``TOLERANCE``
``within spread``  none of four looks finds more than chance gives one time in a hundred:

    1. the protocol's paired comparison, matched by seed and image (:mod:`.stats`);
    2. the difference of mean accuracy, held against a limit from the result alone. Two sets of k
       trainings of one process differ by t(1 - LEVEL/2; S - 1) * s * sqrt(2 / k) or less but for
       ``LEVEL`` of the time: a prediction limit, s the standard deviation over the result's S
       seeds. What is found cannot widen it, however noisy it is; and it is one image at least;
    3. the answers themselves: whether those stated differ from those found by more than trainings
       differ among themselves. A permutation test on the energy distance (Szekely and Rizzo,
       InterStat 2004) of shares of answers that differ, from five seeds on. This is what finds
       predictions that were invented to fit an accuracy;
    4. where the result has accuracies on corrupted images, their mean over seeds, as in 2.

``differs``        anything else.

Trainings at one seed share initial weights and order, which makes 1 and 3 err towards no finding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from oraclezoo.ranking.predictions import Predictions
from oraclezoo.ranking.stats import MIN_COMMON_SEEDS, interval_of_differences

Verdict = Literal["same", "within spread", "differs"]

TOLERANCE = 2.0**-9
"""Stored probabilities that differ by less are the same: four steps of a float16 below 1."""
LEVEL = 0.01
"""Of each look: an honest result is called different once in a hundred times by each."""
MOST_SPLITS = 10_000
"""Beyond so many ways to divide the trainings in two, that many are drawn."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the verdict goes by; shares of 1, found less stated.

    ``changed`` and ``largest`` hold, seed by seed, how many answers are others and the largest
    change of a probability. ``limit`` is None for a result of one seed, ``answers_p`` below five
    common seeds, the ``corrupted`` ones where nothing of the kind is stated.
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
    stated: Predictions,
    found: Predictions,
    seed_accuracies: npt.ArrayLike,
    corrupted: tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike] | None = None,
) -> Figures:
    """Compare predictions of the same seeds, in the same order, on the same images.

    ``seed_accuracies`` are those of all seeds that the result states, also of such as were not run
    again. ``corrupted`` holds mean corrupted accuracies by seed: stated and found of these seeds,
    and stated of all.
    """
    before, after = stated.probabilities, found.probabilities
    answers = [kept.argmax(axis=2) for kept in (before, after)]
    gap = np.abs(before.astype(np.float32) - after.astype(np.float32)).max(axis=(1, 2))
    paired = interval_of_differences(found.correct, stated.correct)
    seeds, images = answers[0].shape
    one_image = 1 / images
    worn: tuple[float | None, float | None] = (None, None)
    if corrupted is not None:
        first, second, every = (np.asarray(part, dtype=np.float64) for part in corrupted)
        worn = (float(second.mean() - first.mean()), limit_of(every, seeds, one_image))
    return Figures(
        changed=tuple(int(n) for n in (answers[0] != answers[1]).sum(axis=1)),
        largest=tuple(float(g) for g in gap),
        difference=paired.mean,
        p=_two_sided(paired.mean, paired.se, paired.df),
        limit=limit_of(seed_accuracies, seeds, one_image),
        answers_p=answers_p(*answers) if seeds >= MIN_COMMON_SEEDS else None,
        corrupted_difference=worn[0],
        corrupted_limit=worn[1],
    )


def verdict(found: Figures) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict, and in words each look that speaks against the result."""
    if not any(found.changed):
        return "same", ()
    if max(found.largest) <= TOLERANCE:
        return "same", ()
    against = []
    if found.p < LEVEL:
        against.append(
            f"accuracy differs by {100 * found.difference:+.2f} points, paired p = {found.p:.2g}"
        )
    if found.limit is None:
        against.append("answers differ, and a result of one seed has no spread to be within")
    elif abs(found.difference) > found.limit:
        against.append(
            f"accuracy differs by {100 * found.difference:+.2f} points; the spread over the "
            f"result's seeds allows {100 * found.limit:.2f}"
        )
    if found.answers_p is not None and found.answers_p < LEVEL:
        against.append(
            "the answers stated are of another kind than those found, "
            f"permutation p = {found.answers_p:.2g}"
        )
    worn, allowed = found.corrupted_difference, found.corrupted_limit
    if worn is not None and allowed is not None and abs(worn) > allowed:
        against.append(
            f"accuracy on corrupted images differs by {100 * worn:+.2f} points; the spread over "
            f"the result's seeds allows {100 * allowed:.2f}"
        )
    return ("differs", tuple(against)) if against else ("within spread", ())


def limit_of(stated: npt.ArrayLike, again: int, least: float = 0.0) -> float | None:
    """How far the mean of ``again`` seeds may lie from the mean of the same ones as stated.

    ``stated`` holds an accuracy a seed; None if there is just one.
    """
    values = np.asarray(stated, dtype=np.float64)
    if len(values) < 2:
        return None
    t = float(special.stdtrit(len(values) - 1, 1 - LEVEL / 2))
    return max(least, t * float(values.std(ddof=1)) * math.sqrt(2 / again))


def answers_p(stated: npt.NDArray[np.integer], found: npt.NDArray[np.integer]) -> float:
    """One-sided p that two sets of answers ``(seeds, images)`` are trainings of one process.

    Exact over all divisions into two halves up to ``MOST_SPLITS`` of them, beyond over as many
    drawn from a fixed seed; the smallest is one over their number.
    """
    seeds, every = len(stated), np.arange(2 * len(stated))
    pooled = np.concatenate([stated, found])
    distance = np.array([(pooled != one).mean(axis=1) for one in pooled])
    observed = _energy(distance, every < seeds)
    if math.comb(2 * seeds, seeds) // 2 <= MOST_SPLITS:
        rest = range(1, 2 * seeds)  # the first training stays: a split and its mirror are one
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
    """Twice the mean distance across less the means within, of pairs of different trainings."""
    size = int(half.sum())
    across = distance[half][:, ~half].mean()
    within = [distance[part][:, part].sum() / (size * (size - 1)) for part in (half, ~half)]
    return float(2 * across - sum(within))


def _two_sided(mean: float, se: float, df: float) -> float:
    if se == 0:
        return 1.0 if mean == 0 else 0.0
    t = abs(mean) / se
    return float(2 * (special.ndtr(-t) if math.isinf(df) else special.stdtr(df, -t)))
