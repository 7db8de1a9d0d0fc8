"""Calibration from stored probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oraclezoo.ranking.calibration import calibration, expected_error
from oraclezoo.ranking.predictions import Predictions, losses


def test_one_sure_of_everything_errs_by_what_it_gets_wrong() -> None:
    """A certain forecast that is right three times in four has an error of 1/4 for any bins."""
    right = np.array([True, True, True, False] * 25)
    for equal_mass in (False, True):
        assert expected_error(np.ones(100), right, equal_mass=equal_mass) == pytest.approx(
            0.25, abs=0.06 if equal_mass else 1e-12
        )


def test_bins_of_equal_width_are_closed_above() -> None:
    """As in Guo et al.: 1/15 belongs to the first bin, just above it to the second."""
    edge = 1 / 15
    separate = expected_error([edge, edge + 1e-9], [True, False])
    assert separate == pytest.approx(((1 - edge) + edge) / 2)
    assert expected_error([edge, edge - 1e-9], [True, False]) == pytest.approx(
        abs(1 - 2 * edge) / 2
    )


def test_an_honest_forecast_errs_by_chance_alone() -> None:
    """The error of a calibrated forecast falls towards zero with more images."""
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.1, 1, 200_000)
    right = rng.random(200_000) < sure
    assert expected_error(sure, right) < 0.005
    assert expected_error(sure, right, equal_mass=True) < 0.005


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_the_error_lies_between_the_gap_of_means_and_one(
    pairs: list[tuple[float, bool]],
) -> None:
    """Between the overall gap of accuracy and confidence, and one."""
    sure, right = (np.array(part, dtype=float) for part in zip(*pairs, strict=True))
    for equal_mass in (False, True):
        actual = expected_error(sure, right, equal_mass=equal_mass)
        assert abs(sure.mean() - right.mean()) - 1e-9 <= actual <= 1 + 1e-9


def test_a_result_is_taken_seed_by_seed() -> None:
    """Over- and underconfident seeds do not cancel in the mean."""
    labels = np.zeros(10, dtype=np.int64)
    sure, unsure = np.tile([0.9, 0.1], (10, 1)), np.tile([0.6, 0.4], (10, 1))
    kept = np.stack([sure, unsure]).astype(np.float16)
    actual = calibration(Predictions(kept, labels))
    assert actual.ece == pytest.approx((0.1 + 0.4) / 2, abs=1e-3)
    assert actual.ece_equal_mass == pytest.approx((0.1 + 0.4) / 2, abs=1e-3)
    assert actual.nll == pytest.approx(-np.log([0.9, 0.6]).mean(), abs=1e-3)
    assert losses(kept, labels).shape == (2,)


def test_the_largest_probability_is_found_in_any_place() -> None:
    """Also with a negative zero, which an untrusted file may contain."""
    rng = np.random.default_rng(1)
    kept = rng.dirichlet(np.ones(7), (3, 50)).astype(np.float16)
    kept[0, 0] = [-0.0, 1, 0, 0, 0, 0, -0.0]
    labels = rng.integers(0, 7, 50)
    plain = [expected_error(p.max(1).astype(float), p.argmax(1) == labels) for p in kept]
    assert calibration(Predictions(kept, labels)).ece == pytest.approx(np.mean(plain))
