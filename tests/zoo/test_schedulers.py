"""All built-in schedulers keep their contract, and each follows its definition."""

from __future__ import annotations

import json
import math
import warnings
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from oraclezoo.errors import UsageError
from oraclezoo.specs import Spec
from oraclezoo.zoo.scheduler_specs import SCHEDULERS

PER_SPEC = pytest.mark.parametrize("spec", SCHEDULERS, ids=lambda spec: spec.name)
LRS = (0.1, 0.5)  # two parameter groups, as muon has
FRACTION = st.floats(0, 1)


def optimizer_of(lrs: tuple[float, ...] = LRS) -> torch.optim.SGD:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs]
    return torch.optim.SGD(groups, lr=1.0, momentum=0.9)


def build(
    spec: Spec, optimizer: torch.optim.Optimizer, total_steps: int, **options: object
) -> torch.optim.lr_scheduler.LRScheduler:
    made = spec.load()(optimizer, total_steps=total_steps, steps_per_epoch=5, **spec.fill(options))
    assert isinstance(made, torch.optim.lr_scheduler.LRScheduler)
    return made


def course(spec: Spec, total_steps: int, extra: int = 0, **options: object) -> list[list[float]]:
    """The learning rates of both groups at step 0, 1, ... total_steps + extra."""
    optimizer = optimizer_of()
    scheduler = build(spec, optimizer, total_steps, **options)
    lrs = [[group["lr"] for group in optimizer.param_groups]]
    for _ in range(total_steps + extra):
        optimizer.step()
        scheduler.step()
        lrs.append([group["lr"] for group in optimizer.param_groups])
        assert scheduler.get_last_lr() == lrs[-1]
    return lrs


def spec_of(name: str) -> Spec:
    return next(spec for spec in SCHEDULERS if spec.name == name)


def options_of(spec: Spec) -> st.SearchStrategy[dict[str, Any]]:
    """Any options within their bounds, of a size that a short schedule feels."""
    if spec.name == "wsd":
        return st.fixed_dictionaries(
            {
                "warmup": st.floats(0, 0.5),
                "decay": st.floats(0, 0.5),
                "shape": st.sampled_from(["linear", "1-sqrt"]),
                "lr_min_ratio": FRACTION,
            }
        )
    if spec.name == "onecycle":
        return st.fixed_dictionaries(
            {
                "max_lr_ratio": st.floats(0.1, 2),
                "pct_start": FRACTION,
                "div_factor": st.floats(1, 100),
                "final_div_factor": st.floats(1, 100),
                "cycle_momentum": st.booleans(),
            }
        )
    if spec.name == "onecycle-restarts":
        return st.fixed_dictionaries(
            {
                "lr_warmup_period": st.integers(1, 80),
                "lr_warmup_max": st.floats(1e-3, 0.2),
                "lr_half_period": st.integers(1, 30),
                "lr_mult_period": st.integers(1, 3),
                "lr_min": st.floats(0, LRS[0]),
                "cycle_momentum": st.booleans(),
            }
        )
    names = {option.name for option in spec.options}
    return st.fixed_dictionaries(dict.fromkeys(sorted(names), FRACTION))


@PER_SPEC
@settings(max_examples=60, deadline=None)
@given(data=st.data(), total_steps=st.integers(1, 60))
def test_learning_rates_stay_in_bounds_in_proportion_and_without_warnings(
    spec: Spec, data: st.DataObject, total_steps: int
) -> None:
    """From step 0 to well past the last: finite, in [0, declared peak], groups in their ratio."""
    options = data.draw(options_of(spec))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lrs = course(spec, total_steps, extra=20, **options)
    peak = LRS[0] * max(1.0, options.get("max_lr_ratio", 1.0))
    peak = max(peak, options.get("lr_warmup_max", 0.0))
    for first, second in lrs:
        assert math.isfinite(first)
        assert 0 <= first <= peak * (1 + 1e-9)
        assert second == pytest.approx(first * LRS[1] / LRS[0], rel=1e-6, abs=1e-15)


@PER_SPEC
@settings(max_examples=25, deadline=None)
@given(data=st.data(), total_steps=st.integers(2, 60))
def test_a_saved_state_continues_exactly(spec: Spec, data: st.DataObject, total_steps: int) -> None:
    """Scheduler and optimizer state, through JSON, go on as if never interrupted."""
    options = data.draw(options_of(spec))
    cut = data.draw(st.integers(0, total_steps))
    expected = course(spec, total_steps, **options)

    optimizer = optimizer_of()
    scheduler = build(spec, optimizer, total_steps, **options)
    for _ in range(cut):
        optimizer.step()
        scheduler.step()
    saved = json.loads(json.dumps([scheduler.state_dict(), optimizer.state_dict()]))

    optimizer = optimizer_of()
    scheduler = build(spec, optimizer, total_steps, **options)
    optimizer.load_state_dict(saved[1])
    scheduler.load_state_dict(saved[0])
    for step in range(cut, total_steps):
        assert [group["lr"] for group in optimizer.param_groups] == expected[step]
        optimizer.step()
        scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == expected[total_steps]


def first_group(name: str, total_steps: int, extra: int = 0, **options: object) -> list[float]:
    return [lrs[0] for lrs in course(spec_of(name), total_steps, extra, **options)]


def test_constant_is_constant() -> None:
    """The optimizer's learning rate at every step."""
    assert first_group("constant", 10) == [0.1] * 11


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_warmup_then_decay(name: str) -> None:
    """A fifth of ten steps rises to the full rate; the last step is at the floor, and it holds."""
    lrs = first_group(name, 10, extra=5, warmup=0.2, lr_min_ratio=0.1)
    assert lrs[:3] == pytest.approx([0.05, 0.1, 0.1])
    half = 0.055  # half-way between step 2 and step 10, the mean of rate and floor
    assert lrs[6] == pytest.approx(half)
    assert lrs[10:] == pytest.approx([0.01] * 6)


def test_linear_falls_in_equal_steps_and_never_trains_at_zero() -> None:
    """Without options: lr * (1 - s / total), above 0 in the last step that trains."""
    assert first_group("linear", 5) == pytest.approx([0.1, 0.08, 0.06, 0.04, 0.02, 0.0])


def test_cosine_is_half_a_cosine() -> None:
    """Without options: lr * (1 + cos(pi s / total)) / 2."""
    expected = [0.05 * (1 + math.cos(math.pi * s / 8)) for s in range(9)]
    assert first_group("cosine", 8) == pytest.approx(expected)


def test_wsd_is_flat_between_warmup_and_decay() -> None:
    """20 steps, a tenth warming up and two fifths falling: steps 2 to 12 run at the full rate."""
    linear = first_group("wsd", 20, warmup=0.1, decay=0.4)
    assert linear[0] == pytest.approx(0.05)
    assert linear[1:13] == pytest.approx([0.1] * 12)
    assert linear[16] == pytest.approx(0.05)
    assert linear[20] == 0
    root = first_group("wsd", 20, warmup=0.1, decay=0.4, shape="1-sqrt")
    assert root[:13] == linear[:13]
    assert root[14] == pytest.approx(0.05)  # a quarter of the way: 1 - sqrt(1/4)
    assert root[20] == 0


def test_wsd_of_more_than_everything_is_refused() -> None:
    """Warm-up and decay that overlap are an error that names both."""
    with pytest.raises(UsageError, match=r"warmup 0\.7 and decay 0\.4"):
        first_group("wsd", 20, warmup=0.7, decay=0.4)


def test_onecycle_is_torchs() -> None:
    """The course of torch.optim.lr_scheduler.OneCycleLR, then its last value held."""
    optimizer = optimizer_of((0.1,))
    torchs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.2, total_steps=20, pct_start=0.4, cycle_momentum=False
    )
    expected = []
    for _ in range(20):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        torchs.step()
    lrs = first_group("onecycle", 20, extra=3, max_lr_ratio=2.0, pct_start=0.4)
    assert lrs[:20] == expected
    assert lrs[20:] == [expected[19]] * 4
    assert max(lrs) == pytest.approx(0.2)
    assert lrs[19] == pytest.approx(0.2 / 25 / 1e4)


@pytest.mark.parametrize("cycle_momentum", [True, False])
def test_momentum_is_cycled_only_when_asked(cycle_momentum: bool) -> None:
    """Off, the optimizer's momentum is left alone; on, it falls to 0.85 at the peak."""
    optimizer = optimizer_of()
    scheduler = build(spec_of("onecycle"), optimizer, 20, cycle_momentum=cycle_momentum)
    seen = []
    for _ in range(20):
        seen.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        scheduler.step()
    assert min(seen) == pytest.approx(0.85 if cycle_momentum else 0.9)
    assert max(seen) == pytest.approx(0.95 if cycle_momentum else 0.9)


def test_cycling_a_momentum_that_is_not_there_is_refused() -> None:
    """An optimizer without momentum or betas gets one clear line."""
    optimizer = torch.optim.Adagrad([nn.Parameter(torch.zeros(1))])
    with pytest.raises(UsageError, match="needs an optimizer with momentum or betas"):
        build(spec_of("onecycle"), optimizer, 10, cycle_momentum=True)


RESTARTS = {
    "lr_warmup_period": 10,
    "lr_warmup_max": 0.3,
    "lr_half_period": 4,
    "lr_mult_period": 2,
    "lr_min": 0.02,
}


def test_onecycle_restarts_follows_both_of_its_parts() -> None:
    """10 steps of OneCycleLR to lr_warmup_max; then cosines of 4, 8, ... steps from lr to lr_min.

    The junction is at step 10: the optimizer's learning rate, not the cycle's own first one.
    """
    lrs = first_group("onecycle-restarts", 30, **RESTARTS)
    optimizer = optimizer_of((0.1,))
    torchs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.3, total_steps=10, cycle_momentum=False
    )
    for step in range(10):
        assert lrs[step] == optimizer.param_groups[0]["lr"]
        optimizer.step()
        torchs.step()
    cosines = [
        0.02 + 0.08 * (1 + math.cos(math.pi * s / period)) / 2
        for period in (4, 8, 16)
        for s in range(period)
    ]
    assert lrs[10:31] == pytest.approx(cosines[:21])


@pytest.mark.parametrize("total_steps", [5, 10])
def test_a_training_shorter_than_the_one_cycle_stays_in_it(total_steps: int) -> None:
    """The restarts never come; the rates are the first ones of the long schedule."""
    short = first_group("onecycle-restarts", total_steps, **RESTARTS)
    long = first_group("onecycle-restarts", 40, **RESTARTS)
    assert short == long[: total_steps + 1]


def test_a_floor_above_the_learning_rate_is_refused() -> None:
    """lr_min above the optimizer's lr would make the cosine rise."""
    with pytest.raises(UsageError, match=r"lr_min 0\.2 is above the optimizer's lr 0\.1"):
        first_group("onecycle-restarts", 10, **{**RESTARTS, "lr_min": 0.2})


@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "wsd", "onecycle"])
def test_a_schedule_of_no_steps_is_refused(name: str) -> None:
    """At least one step."""
    with pytest.raises(UsageError, match="at least one step, not 0"):
        build(spec_of(name), optimizer_of(), 0)
