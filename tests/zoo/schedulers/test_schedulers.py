"""Built-in schedulers satisfy their contract and follow their definitions."""

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
from oraclezoo.specs import Option, Spec
from oraclezoo.zoo.schedulers.specs import SCHEDULERS

PER_SPEC = pytest.mark.parametrize("spec", SCHEDULERS, ids=lambda spec: spec.name)
LRS = (0.1, 0.5)  # two parameter groups, as muon has
FRACTION = st.floats(0, 1)


def optimizer_of(lrs: tuple[float, ...] = LRS) -> torch.optim.SGD:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs]
    return torch.optim.SGD(groups, lr=1.0, momentum=0.9)


def build(
    spec: Spec, optimizer: torch.optim.Optimizer, total_steps: int, **options: object
) -> torch.optim.lr_scheduler.LRScheduler:
    scheduler = spec.load()(
        optimizer, total_steps=total_steps, steps_per_epoch=5, **spec.fill(options)
    )
    assert isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler)
    return scheduler


def advance(spec: Spec, scheduler: torch.optim.lr_scheduler.LRScheduler, step: int) -> None:
    """One step; of a scheduler that goes by a metric with a loss that falls, then doesn't."""
    if spec.facts["metric"]:
        scheduler.step(max(0.5, 1.0 - step / 10))
    else:
        scheduler.step()


def course(spec: Spec, total_steps: int, extra: int = 0, **options: object) -> list[list[float]]:
    """The learning rates of both groups at step 0, 1, ... total_steps + extra."""
    optimizer = optimizer_of()
    scheduler = build(spec, optimizer, total_steps, **options)
    lrs = [[group["lr"] for group in optimizer.param_groups]]
    for step in range(total_steps + extra):
        optimizer.step()
        advance(spec, scheduler, step)
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
                "shape": st.sampled_from(["linear", "1-sqrt", "cosine"]),
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
    return st.fixed_dictionaries({option.name: values_of(option) for option in spec.options})


def values_of(option: Option) -> st.SearchStrategy[Any]:
    """All values that an option allows, but for whole numbers above 40."""
    if option.choices:
        return st.sampled_from(option.choices)
    if option.type == "bool":
        return st.booleans()
    assert option.low is not None
    assert option.high is not None
    if option.type == "int":
        return st.integers(int(option.low), min(int(option.high), 40))
    numbers = st.floats(option.low, option.high)
    if option.type == "floats":
        return st.lists(numbers, unique=True, max_size=5).map(sorted).map(tuple)
    return numbers


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
    """Scheduler and optimizer resume from a state stored as JSON without a difference."""
    options = data.draw(options_of(spec))
    cut = data.draw(st.integers(0, total_steps))
    expected = course(spec, total_steps, **options)

    optimizer = optimizer_of()
    scheduler = build(spec, optimizer, total_steps, **options)
    for step in range(cut):
        optimizer.step()
        advance(spec, scheduler, step)
    saved = json.loads(json.dumps([scheduler.state_dict(), optimizer.state_dict()]))

    optimizer = optimizer_of()
    scheduler = build(spec, optimizer, total_steps, **options)
    optimizer.load_state_dict(saved[1])
    scheduler.load_state_dict(saved[0])
    for step in range(cut, total_steps):
        assert [group["lr"] for group in optimizer.param_groups] == expected[step]
        optimizer.step()
        advance(spec, scheduler, step)
    assert [group["lr"] for group in optimizer.param_groups] == expected[total_steps]


def first_group(name: str, total_steps: int, extra: int = 0, **options: object) -> list[float]:
    return [lrs[0] for lrs in course(spec_of(name), total_steps, extra, **options)]


def test_constant_is_constant() -> None:
    """The optimizer's learning rate at every step, but for a warm-up where one is asked for."""
    assert first_group("constant", 10) == [0.1] * 11
    warm = first_group("constant", 10, warmup=0.2)
    assert warm == pytest.approx([0.05, *[0.1] * 10])


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
    cosine = first_group("wsd", 20, warmup=0.1, decay=0.4, shape="cosine")
    assert cosine[14] == pytest.approx(0.05 * (1 + math.cos(math.pi / 4)))
    assert cosine[20] == pytest.approx(0, abs=1e-12)


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
    """An optimizer without momentum or betas gives a one-line error."""
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
    """``total_steps`` must be at least 1."""
    with pytest.raises(UsageError, match="total_steps must be at least 1, not 0"):
        build(spec_of(name), optimizer_of(), 0)


def test_step_and_multistep_cut_at_fractions_of_the_training() -> None:
    """20 steps: every 0.3 is at 6, 12 and 18; milestones 0.5 and 0.75 are at 10 and 15."""
    cuts = first_group("step", 20, gamma=0.5)
    assert cuts == pytest.approx([0.1] * 6 + [0.05] * 6 + [0.025] * 6 + [0.0125] * 3)
    assert first_group("step", 20, every=1.0) == [0.1] * 21
    cuts = first_group("multistep", 20)
    assert cuts == pytest.approx([0.1] * 10 + [0.01] * 5 + [0.001] * 6)
    assert first_group("multistep", 20, milestones=()) == [0.1] * 21


def test_milestones_that_do_not_rise_are_refused() -> None:
    """Milestones are not sorted silently."""
    with pytest.raises(UsageError, match="must be strictly increasing"):
        first_group("multistep", 20, milestones=(0.75, 0.5))


def test_exponential_multiplies_by_one_factor() -> None:
    """To a hundredth in ten steps: each is the tenth root of that times the last."""
    lrs = first_group("exponential", 10)
    assert lrs == pytest.approx([0.1 * 0.01 ** (s / 10) for s in range(11)])


def test_polynomial_is_torchs() -> None:
    """Without a warm-up it is PolynomialLR."""
    optimizer = optimizer_of((0.1,))
    torchs = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=10, power=3.0)
    expected = [0.1]
    for _ in range(10):
        optimizer.step()
        torchs.step()
        expected.append(optimizer.param_groups[0]["lr"])
    assert first_group("polynomial", 10, power=3.0) == pytest.approx(expected)


def test_inverse_sqrt_halves_when_steps_are_four_times_the_warmup() -> None:
    """After 4 warm-up steps of 40: a half at step 16, and no end at the last."""
    lrs = first_group("inverse-sqrt", 40, warmup=0.1)
    assert lrs[:5] == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1])
    assert lrs[16] == pytest.approx(0.05)
    assert lrs[36] == pytest.approx(0.1 / 3)


def test_tanh_is_timms() -> None:
    """timm's formula, half-way and at the ends."""
    lrs = first_group("tanh", 10, lower=-7.0, upper=3.0)
    for step in (0, 5, 10):
        t = step / 10
        assert lrs[step] == pytest.approx(0.05 * (1 - math.tanh(-7.0 * (1 - t) + 3.0 * t)))


def test_cosine_restarts_fills_the_training_with_longer_cycles() -> None:
    """28 steps in three cycles, each twice as long: 4, 8 and 16; peaks fall by ``decay``."""
    lrs = first_group("cosine-restarts", 28, decay=0.5)
    for number, (start, length) in enumerate([(0, 4), (4, 8), (12, 16)]):
        peak = 0.1 * 0.5**number
        expected = [peak * (1 + math.cos(math.pi * s / length)) / 2 for s in range(length)]
        assert lrs[start : start + length] == pytest.approx(expected)
    assert lrs[28] == pytest.approx(0, abs=1e-12)


def test_triangular_goes_up_and_down() -> None:
    """Two cycles of ten steps from a tenth of the rate; the second is half as high."""
    lrs = first_group("triangular", 20, cycles=2, lr_min_ratio=0.1)
    assert [lrs[s] for s in (0, 5, 10, 15, 20)] == pytest.approx([0.01, 0.1, 0.01, 0.055, 0.01])


def test_plateau_waits_for_its_share_of_the_epochs() -> None:
    """Of 20 epochs a tenth is 2: the third epoch without a lower loss cuts the learning rate."""
    optimizer = optimizer_of()
    scheduler = build(spec_of("plateau"), optimizer, 100, factor=0.5)
    lrs = []
    for loss in (1.0, 0.9, 0.9, 0.9, 0.9, 0.9):
        scheduler.step(loss)  # type: ignore[arg-type]  # a metric, which its base class lacks
        lrs.append(optimizer.param_groups[0]["lr"])
    assert lrs == [0.1, 0.1, 0.1, 0.1, 0.05, 0.05]
