"""Calibration: whether stored probabilities mean what they say.

The expected calibration error of Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural
networks" (ICML 2017, arXiv 1706.04599), over bins of equal width; and over bins of equally many
images, after Nixon et al., "Measuring calibration in deep learning" (CVPR workshops 2019), where
the few images of low confidence weigh no more than others do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from oraclezoo.ranking.predictions import Predictions, losses

BINS = 15


@dataclass(frozen=True, slots=True)
class Calibration:
    """Means over seeds: ``ece`` and ``ece_equal_mass`` shares of 1, ``nll`` nats an image."""

    ece: float
    ece_equal_mass: float
    nll: float


def calibration(predictions: Predictions) -> Calibration:
    """What the stored probabilities of a result give; each seed is taken by itself."""
    probabilities, right = predictions.probabilities, predictions.correct
    bits = probabilities.view(np.int16)  # of floats from 0 up, in the same order and quicker
    largest = reduce(np.maximum, (bits[..., label] for label in range(bits.shape[2])))
    confidence = largest.view(np.float16).astype(np.float64)
    pairs = list(zip(confidence, right, strict=True))
    return Calibration(
        float(np.mean([expected_error(*pair) for pair in pairs])),
        float(np.mean([expected_error(*pair, equal_mass=True) for pair in pairs])),
        float(losses(probabilities, predictions.labels).mean()),
    )


def expected_error(
    confidence: npt.ArrayLike, right: npt.ArrayLike, *, bins: int = BINS, equal_mass: bool = False
) -> float:
    """Mean over bins, by their images, of |accuracy less mean confidence|, as a share of 1.

    ``confidence`` ``(N,)`` in [0, 1] is the probability of the answer, ``right`` bool ``(N,)``.
    Bins of equal width are (0, 1/bins], ..., as Guo et al. have them; those of ``equal_mass`` hold
    equally many images but for one, by ascending confidence.
    """
    sure = np.asarray(confidence, dtype=np.float64)
    hit = np.asarray(right, dtype=np.float64)
    if equal_mass:
        order = np.argsort(sure, kind="stable")
        place = np.empty(len(sure), dtype=np.int64)
        place[order] = np.arange(len(sure)) * bins // len(sure)
    else:
        place = np.clip(np.ceil(sure * bins).astype(np.int64) - 1, 0, bins - 1)
    gap = np.bincount(place, hit, bins) - np.bincount(place, sure, bins)
    return float(np.abs(gap).sum() / len(sure))
