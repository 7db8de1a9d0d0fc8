"""Temperature: the one number by which a net's logits are divided so that it is as sure as right.

Source: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks" (ICML 2017,
arXiv 1706.04599), section 4.2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from oraclezoo.errors import UsageError

BOUNDS = (0.05, 20.0)
"""Between these the temperature is sought."""

_LEAST = 1e-30


def tempered(probabilities: npt.ArrayLike, temperature: float) -> npt.NDArray[np.float64]:
    """Softmax of the logits over ``temperature``, from that of the logits: ``(N, C)``."""
    logits = np.log(np.maximum(np.asarray(probabilities, np.float64), _LEAST)) / temperature
    powers = np.exp(logits - logits.max(1, keepdims=True))
    shares: npt.NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
    return shares


def mean_loss(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Mean negative log-likelihood in nats of labels int ``(N,)``."""
    found, rows = np.asarray(probabilities, np.float64), np.asarray(labels)
    likelihood = found[np.arange(len(rows)), rows]
    return float(-np.log(np.maximum(likelihood, _LEAST)).mean())


def fit_temperature(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """The temperature, within BOUNDS, by which ``probabilities`` ``(N, C)`` lose least.

    The images must not have been trained on. Raises UsageError without images.
    """
    found, rows = np.asarray(probabilities, np.float64), np.asarray(labels)
    if found.ndim != 2 or not len(found) or rows.shape != found.shape[:1]:
        raise UsageError(f"probabilities {found.shape} and labels {rows.shape} do not fit")

    def loss(logarithm: float) -> float:
        return mean_loss(tempered(found, float(np.exp(logarithm))), rows)

    low, high = np.log(BOUNDS)
    best = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(best.x))
