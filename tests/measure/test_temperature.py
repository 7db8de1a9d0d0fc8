"""Temperature scaling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oraclezoo.errors import UsageError
from oraclezoo.measure.temperature import BOUNDS, fit_temperature, mean_loss, tempered


def honest(images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities, and labels drawn from them."""
    generator = np.random.default_rng(seed)
    logits = 2 * generator.normal(size=(images, 5))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([generator.choice(5, p=row) for row in shares])
    return shares, labels


@pytest.mark.parametrize("truth", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_found_again(truth: float) -> None:
    """Overconfident, calibrated and underconfident probabilities are recovered."""
    shares, labels = honest(4000, 0)
    skewed = tempered(shares, 1 / truth)
    assert fit_temperature(skewed, labels) == pytest.approx(truth, rel=0.08)


@given(st.integers(0, 1000), st.floats(0.2, 5))
@settings(max_examples=20)
def test_the_loss_never_grows_and_labels_stay(seed: int, skew: float) -> None:
    """This holds for any probabilities."""
    shares, labels = honest(60, seed)
    before = tempered(shares, skew)
    after = tempered(before, fit_temperature(before, labels))
    assert mean_loss(after, labels) <= mean_loss(before, labels) + 1e-9
    assert (after.argmax(1) == before.argmax(1)).all()
    assert after.sum(1) == pytest.approx(np.ones(60))


def test_a_net_that_is_always_right_gets_the_lowest_temperature() -> None:
    """The search is bounded, and zero probabilities are finite."""
    actual = fit_temperature(np.array([[0.9, 0.1], [0.2, 0.8]]), [0, 1])
    assert actual == pytest.approx(BOUNDS[0], rel=1e-3)
    assert np.isfinite(mean_loss(np.eye(2), [1, 0]))
    with pytest.raises(UsageError, match="do not match"):
        fit_temperature(np.zeros((0, 2)), [])
