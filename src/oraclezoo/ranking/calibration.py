"""Calibration errors of stored probabilities.

The expected calibration error uses bins of equal width (Guo, Pleiss, Sun and Weinberger, "On
calibration of modern neural networks", ICML 2017, arXiv 1706.04599) or bins of equal mass (Nixon
et al., "Measuring calibration in deep learning", CVPR workshops 2019), which keep sparse
low-confidence bins from dominating.
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
    """Means over seeds: ``ece`` and ``ece_equal_mass`` in [0, 1], ``nll`` in nats per image."""

    ece: float
    ece_equal_mass: float
    nll: float


def calibration(predictions: Predictions) -> Calibration:
    """Compute the calibration errors of stored predictions for each seed, and average them."""
    probabilities, right = predictions.probabilities, predictions.correct
    bits = probabilities.view(np.int16)  # sorts in the same order as the floats, but faster
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
    """Return the expected calibration error: the mean over bins of |accuracy - mean confidence|.

    Bins are weighted by the number of images in them.

    Args:
        confidence: Probability of the predicted class, ``(N,)`` in [0, 1].
        right: Whether the prediction is correct, bool ``(N,)``.
        bins: Number of bins.
        equal_mass: Whether to use bins with (nearly) the same number of images, in ascending order
            of confidence, instead of bins of equal width (0, 1/bins], ....

    Returns:
        The error in [0, 1].

    >>> round(expected_error([0.9, 0.9, 0.9, 0.9], [True, True, True, False]), 2)
    0.15
    """
    certainty = np.asarray(confidence, dtype=np.float64)
    correct = np.asarray(right, dtype=np.float64)
    if equal_mass:
        order = np.argsort(certainty, kind="stable")
        index = np.empty(len(certainty), dtype=np.int64)
        index[order] = np.arange(len(certainty)) * bins // len(certainty)
    else:
        index = np.clip(np.ceil(certainty * bins).astype(np.int64) - 1, 0, bins - 1)
    gap = np.bincount(index, correct, bins) - np.bincount(index, certainty, bins)
    return float(np.abs(gap).sum() / len(certainty))
