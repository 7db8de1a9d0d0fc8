"""Temperature scaling, which calibrates the confidence of a classifier.

Source: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks" (ICML 2017,
arXiv 1706.04599), section 4.2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from oraclezoo.errors import UsageError

BOUNDS = (0.05, 20.0)
"""Lower and upper bound of the temperature."""

_LEAST = 1e-30


def tempered(probabilities: npt.ArrayLike, temperature: float) -> npt.NDArray[np.float64]:
    """Return the probabilities ``(N, C)`` that result from dividing logits by ``temperature``."""
    logits = np.log(np.maximum(np.asarray(probabilities, np.float64), _LEAST)) / temperature
    powers = np.exp(logits - logits.max(1, keepdims=True))
    shares: npt.NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
    return shares


def mean_loss(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return the mean negative log-likelihood, in nats, of integer labels ``(N,)``."""
    matrix, rows = np.asarray(probabilities, np.float64), np.asarray(labels)
    likelihood = matrix[np.arange(len(rows)), rows]
    return float(-np.log(np.maximum(likelihood, _LEAST)).mean())


def fit_temperature(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return the temperature within BOUNDS that minimizes the negative log-likelihood.

    Args:
        probabilities: Class probabilities ``(N, C)`` for images that the model was not trained on.
        labels: Labels of the images, ``(N,)``.

    Raises:
        UsageError: There are no images, or the shapes do not match.
    """
    matrix, rows = np.asarray(probabilities, np.float64), np.asarray(labels)
    if matrix.ndim != 2 or not len(matrix) or rows.shape != matrix.shape[:1]:
        raise UsageError(f"probabilities {matrix.shape} and labels {rows.shape} do not match")

    def loss(logarithm: float) -> float:
        return mean_loss(tempered(matrix, float(np.exp(logarithm))), rows)

    low, high = np.log(BOUNDS)
    best = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(best.x))
