"""Paired: one model before and after a change, on the same images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from oraclezoo.ranking.stats import interval_of_differences

ONE_SIDED = 0.05
"""One minus the confidence of the one-sided limit."""


@dataclass(frozen=True, slots=True)
class Paired:
    """Accuracy after less accuracy before, as shares in [-1, 1].

    ``low`` and ``high`` bound it with 95%; ``limit`` is the one-sided 95% limit of the loss, that
    is of ``-difference``. ``lost`` and ``gained`` count answers, ``over`` names what is taken as
    drawn at random: images, or images and seeds where there are several seeds.
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
    """Compare right answers, bool ``(images,)`` or ``(seeds, images)``, matched one to one.

    The protocol's closed form on the differences (:mod:`oraclezoo.ranking.stats`). With one
    seed only the images' part of it is known, and the interval is over images alone.
    """
    first, second = np.atleast_2d(before), np.atleast_2d(after)
    if first.shape != second.shape or first.shape[1] < 2:
        raise ValueError(f"answers {first.shape} and {second.shape}: at least two images, matched")
    found = interval_of_differences(second, first)
    endless = np.isinf(found.df)
    t = -special.ndtri(ONE_SIDED) if endless else -special.stdtrit(found.df, ONE_SIDED)
    limit = -found.mean + float(t) * found.se
    lost, gained = int((first & ~second).sum()), int((~first & second).sum())
    over = "images" if first.shape[0] == 1 else "images and seeds"
    return Paired(found.mean, found.se, found.low, found.high, limit, lost, gained, over)
