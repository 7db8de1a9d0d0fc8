"""Portable arithmetic: accurate, and with robust rounding."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oraclezoo.data.glyphs import degrade, exact
from oraclezoo.data.glyphs.exact import EXP_PER_UNIT, EXP_STEP, NORMAL_STEP, Draws

MARGIN = 1e-9
"""A math library errs by less than 1e-14 here: a rounding boundary further away is safe."""


def distance_to_boundary(value: float, step: float) -> float:
    """Return the distance of ``value`` to the nearest rounding boundary of ``step``."""
    return abs(value / step % 1 - 0.5) * step


@given(st.floats(-600, 600))
def test_exp_is_close(x: float) -> None:
    """exp is accurate to 13 digits."""
    assert exact.exp(np.array([x]))[0] == pytest.approx(math.exp(x), rel=1e-13)


@given(st.floats(-50, 50))
def test_cosine_and_sine_are_close(angle: float) -> None:
    """In every quadrant and for both signs."""
    cosine, sine = exact.cos_sin(np.array([angle]))
    assert cosine[0] == pytest.approx(math.cos(angle), abs=1e-13)
    assert sine[0] == pytest.approx(math.sin(angle), abs=1e-13)


@given(st.floats(0, 1e6, width=32))
def test_the_exponential_table_is_close(u: float) -> None:
    """Multiples of the step within the documented error, 0 beyond the table."""
    steps = exact.exp_steps(np.array([u * EXP_PER_UNIT]))[0]
    assert steps == int(steps)
    assert steps * EXP_STEP == pytest.approx(math.exp(-u), abs=0.0006)


def test_no_table_entry_is_near_a_rounding_boundary() -> None:
    """The last bits of a math library cannot change an entry."""
    exponentials = [math.exp(-(i + 0.5) / EXP_PER_UNIT) for i in range(len(exact._exp_table()) - 1)]
    assert min(distance_to_boundary(x, EXP_STEP) for x in exponentials) > MARGIN
    quantiles = [NormalDist().inv_cdf((i + 0.5) / 65536) for i in range(32768, 65536)]
    assert min(distance_to_boundary(z, NORMAL_STEP) for z in quantiles) > MARGIN


def test_normal_numbers_are_standard_normal() -> None:
    """Mean, variance, kurtosis and the share beyond two and three deviations, of a million."""
    z = Draws(0, "normal").normal(1000, 1001).astype(np.float64)
    assert z.shape == (1000, 1001)
    assert abs(z.mean()) < 0.005
    assert abs(z.var() - 1) < 0.01
    assert abs((z**4).mean() - 3) < 0.05
    for deviations in (1, 2, 3):
        share = 2 * NormalDist().cdf(-deviations)
        assert (np.abs(z) > deviations).mean() == pytest.approx(share, rel=0.1)


def test_uniform_numbers_fill_their_range() -> None:
    """They are in [low, high), with equal frequencies in ten bins."""
    x = Draws(0, "uniform").uniform(-2, 3, 100_001)
    assert x.min() >= -2
    assert x.max() < 3
    np.testing.assert_allclose(np.histogram(x, 10, (-2, 3))[0], 10_000, rtol=0.05)
    assert Draws(0, "chance").happens(0.3, 100_000).mean() == pytest.approx(0.3, abs=0.01)


def test_a_permutation_holds_each_number_once() -> None:
    """Another purpose or seed gives another permutation."""
    order = Draws(1, "order").permutation(1000)
    assert sorted(order.tolist()) == list(range(1000))
    for other in (Draws(2, "order"), Draws(1, "another")):
        assert not np.array_equal(order, other.permutation(1000))


def test_the_worst_blur_stays_exact() -> None:
    """No partial sum reaches 2^24, the limit of exact integers in float32."""
    sigma = np.linspace(0.05, 8, 60, dtype=np.float32)
    kernel = degrade._kernels(sigma)
    assert (kernel == np.rint(kernel)).all()
    assert (kernel >= 0).all()
    largest = kernel.sum(2).max() * degrade._LEVELS
    assert largest < 2**24
    worst = np.full((len(sigma), 28, 28), degrade._LEVELS, np.float32)
    worst[:, ::2] = -degrade._LEVELS
    expected = kernel.astype(np.int64) @ worst.astype(np.int64)
    assert np.array_equal(kernel @ worst, expected)


def test_a_blur_is_the_gaussian_blur() -> None:
    """A single bright pixel spreads as the Gaussian does, and a flat image stays flat."""
    image = np.zeros((1, 28, 28), np.float32)
    image[0, 14, 14] = 255
    blurred = degrade.smooth(image, np.array([1.5], np.float32), 2.0**-3)[0]
    ray = np.exp(-((np.arange(28) - 14.0) ** 2) / (2 * 1.5**2))
    np.testing.assert_allclose(blurred, 255 * np.outer(ray, ray) / ray.sum() ** 2, atol=0.15)
    flat = np.full((1, 28, 28), 100, np.float32)
    np.testing.assert_allclose(
        degrade.smooth(flat, np.array([2.0], np.float32), 2.0**-3), 100, atol=1.5
    )


def test_texture_has_unit_variance_at_every_width() -> None:
    """The correlation of neighboring pixels increases with the width."""
    sigma = np.repeat(np.array([0.45, 1.0, 3.0, 5.8], np.float32), 20)
    noise = degrade.texture(Draws(0, "texture"), sigma).astype(np.float64)
    np.testing.assert_allclose(noise.std((1, 2)), 1, atol=0.01)
    alike = (noise[:, :, 1:] * noise[:, :, :-1]).mean((1, 2)).reshape(4, 20).mean(1)
    assert (np.diff(alike) > 0).all()
