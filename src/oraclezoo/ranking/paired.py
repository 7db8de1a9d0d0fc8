"""Paired comparison of a model before and after a change, on the same images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from oraclezoo.ranking.stats import interval_of_differences

ONE_SIDED = 0.05
"""Significance level of the one-sided limit."""


@dataclass(frozen=True, slots=True)
class Paired:
    """Accuracy after minus accuracy before, in [-1, 1].

    ``low`` and ``high`` are its 95% interval; ``limit`` is the one-sided 95% upper limit of the
    loss ``-difference``. ``lost`` and ``gained`` count predictions that became wrong or right.
    ``over`` names the random factors: images, or images and seeds if there are several seeds.
    """

    difference: float
    se: float
    low: float
    high: float
    limit: float
    lost: int
    gained: int
    over: str


def paired(before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_]) -> Paired:
    """Compare matched predictions before and after a change.

    Applies the protocol's closed form (:mod:`oraclezoo.ranking.stats`) to the differences. With one
    seed the interval covers the variance over images only.

    Args:
        before: Whether each prediction is correct, bool ``(images,)`` or ``(seeds, images)``.
        after: The same after the change.

    Raises:
        ValueError: The shapes differ, or there are fewer than two images.

    >>> import numpy as np
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
    interval = interval_of_differences(second, first)
    if np.isinf(interval.df):
        t = -float(special.ndtri(ONE_SIDED))
    else:
        t = -float(special.stdtrit(interval.df, ONE_SIDED))
    limit = min(-interval.mean + t * interval.se, 1.0)
    lost, gained = int((first & ~second).sum()), int((~first & second).sum())
    over = "images" if first.shape[0] == 1 else "images and seeds"
    return Paired(
        interval.mean, interval.se, interval.low, interval.high, limit, lost, gained, over
    )
