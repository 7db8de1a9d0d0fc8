"""REX follows the equation of its paper."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oraclezoo_rex.schedule import REX

from oraclezoo.errors import UsageError


def rates(total_steps: int, **options: float) -> list[float]:
    """Return the learning rates at steps 0, 1, ... total_steps, starting from 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = REX(optimizer, total_steps=total_steps, steps_per_epoch=5, **options)
    actual = []
    for _ in range(total_steps + 1):
        actual.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        schedule.step()
    return actual


def test_it_is_the_papers_curve() -> None:
    """lr(t) = lr0 * (1 - t/T) / (1/2 + 1/2 * (1 - t/T)), arXiv:2107.04197."""
    expected = [(1 - t / 40) / (0.5 + 0.5 * (1 - t / 40)) for t in range(41)]
    assert rates(40) == pytest.approx(expected)
    assert rates(40)[20] == pytest.approx(2 / 3)


def test_beta_zero_is_a_line_and_more_stays_high_for_longer() -> None:
    """At half time, a larger beta gives a larger learning rate: 1/2, 2/3, and more."""
    assert rates(10, beta=0.0) == pytest.approx([1 - t / 10 for t in range(11)])
    assert rates(10, beta=0.0)[5] < rates(10)[5] < rates(10, beta=0.9)[5]


def test_warm_up_reaches_the_learning_rate_and_the_fall_its_floor() -> None:
    """Four warm-up steps precede the curve over the other sixteen."""
    actual = rates(20, warmup=0.2, lr_min_ratio=0.1)
    assert actual[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert actual[12] == pytest.approx(0.1 + 0.9 * 2 / 3)
    assert actual[20] == pytest.approx(0.1)


@given(st.integers(1, 60), st.floats(0, 1), st.floats(0, 0.99), st.floats(0, 1))
def test_it_stays_within_bounds_and_only_falls_after_the_warm_up(
    total_steps: int, warmup: float, beta: float, floor: float
) -> None:
    """For any options, the factor is between 0 and 1."""
    actual = rates(total_steps, warmup=warmup, beta=beta, lr_min_ratio=floor)
    assert all(0 <= rate <= 1 for rate in actual)
    after = actual[round(warmup * total_steps) :]
    assert all(one >= other - 1e-12 for one, other in pairwise(after))


def test_a_schedule_of_no_steps_is_refused() -> None:
    """Zero steps raise an error."""
    with pytest.raises(UsageError, match="at least one step"):
        rates(0)
