"""Test martingales: a bound on false alarms, and power against changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import kstest

from oraclezoo.watching.martingale import POWERS, Martingales

BINS = 16


def drawn(
    random: np.random.Generator, number: int, signals: int = 2, top: int = BINS
) -> np.ndarray:
    return random.integers(0, top, (number, signals))


def baseline(random: np.random.Generator, number: int = 50, signals: int = 2) -> np.ndarray:
    bins = drawn(random, number, signals)
    return np.stack([np.bincount(bins[:, s], minlength=BINS) for s in range(signals)])


def test_p_values_of_an_exchangeable_stream_are_uniform() -> None:
    """Also with a baseline of a few values and many ties."""
    random = np.random.default_rng(1)
    p = [
        Martingales(baseline(random, 5), seed=seed).take(drawn(random, 40, top=4 + seed % 12))
        for seed in range(60)
    ]
    exchangeable = [
        Martingales(np.stack([np.bincount(bins[:5, 0], minlength=BINS)]), seed=seed).take(bins[5:])
        for seed, bins in enumerate(drawn(random, 45, 1) for _ in range(60))
    ]
    assert kstest(np.concatenate(exchangeable).ravel(), "uniform").pvalue > 0.001
    assert kstest(np.concatenate(p).ravel(), "uniform").pvalue < 0.001  # another distribution


def test_false_alarms_stay_below_the_level() -> None:
    """The peak over a whole stream exceeds 1/a in at most a fraction a of streams."""
    random = np.random.default_rng(2)
    peaks = []
    for seed in range(300):
        test = Martingales(baseline(random), seed=seed)
        test.take(drawn(random, 300))
        peaks.append(test.peak)
    for level in (0.05, 0.2, 0.5):
        rate = (np.array(peaks) >= 1 / level).mean()
        assert rate <= level + 3 * np.sqrt(level / 600)


@pytest.mark.parametrize("exponent", POWERS)
def test_bets_are_densities(exponent: float) -> None:
    """A fair bet integrates to 1."""
    assert quad(lambda p: exponent * p ** (exponent - 1), 0, 1)[0] == pytest.approx(1, abs=1e-6)


def test_learned_bets_are_densities() -> None:
    """The learned factors average to 1 over the cells, whatever was learned."""
    random = np.random.default_rng(3)
    test = Martingales(baseline(random), seed=0)
    test.take(drawn(random, 200, top=4))
    for column, cells in ((0, 10), (1, 20)):
        first = 10 * column
        density = (test._cells[:, first : first + cells] / test._unit[column] + 1) * cells
        density /= test._learned[column] + cells
        assert density.mean(1) == pytest.approx(1)


@pytest.mark.parametrize("clean", [0, 2000])
def test_a_change_is_found_soon(clean: int) -> None:
    """At the start and after a long stretch without a change, in the changed signal only."""
    random = np.random.default_rng(4)
    test = Martingales(baseline(random, 200), seed=0)
    test.take(drawn(random, clean))
    assert test.peak.max() < 100
    changed = drawn(random, 100)
    changed[:, 0] //= 3
    test.take(changed)
    assert test.peak[0] > 1000
    assert test.peak[1] < 100


def test_a_known_distribution_is_not_learned_from_the_stream() -> None:
    """A stream that keeps its distribution is found, however long it lasts."""
    random = np.random.default_rng(5)
    shares = np.full((1, BINS), 1 / BINS)
    fair = Martingales(shares, [True], seed=0)
    fair.take(drawn(random, 1000, 1))
    assert fair.peak[0] < 100
    skewed = Martingales(shares, [True], seed=0)
    skewed.take(drawn(random, 1000, 1, top=12))
    assert skewed.peak[0] > 1e6
    assert (skewed.counts == shares).all()


@given(st.lists(st.integers(0, 7), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_the_division_into_calls_does_not_matter(sizes: list[int]) -> None:
    """Batches of a server give what single images give."""
    stream = drawn(np.random.default_rng(6), sum(sizes))
    counts = baseline(np.random.default_rng(7))
    whole, parts = Martingales(counts, seed=0), Martingales(counts, seed=0)
    whole.take(stream)
    for part in np.split(stream, np.cumsum(sizes)[:-1]):
        parts.take(part)
    assert parts.seen == whole.seen
    assert parts.capital.tolist() == whole.capital.tolist()
    assert parts.peak.tolist() == whole.peak.tolist()


def test_evidence_stays_finite() -> None:
    """A stream that has drifted for long does not overflow."""
    random = np.random.default_rng(8)
    test = Martingales(baseline(random, 1000, 1), seed=0)
    for _ in range(30):
        test.take(np.zeros((200, 1), np.int64))
    assert np.isfinite(test.capital).all()
    assert np.isfinite(test.peak).all()
