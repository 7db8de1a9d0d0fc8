"""Conformance checks for schedulers, based on the learning rates of two parameter groups."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from oraclezoo.errors import UsageError
from oraclezoo.specs import Value
from oraclezoo.testing.subject import Subject, fail, skip, through_checkpoint

LRS = (0.1, 0.5)
"""Initial learning rates of the two parameter groups."""
TOTALS = (1, 2, 7, 60)
"""Numbers of training steps to check."""
EXTRA = 20
"""Number of additional steps to check after the end of training."""
PER_EPOCH = 5
LOSSES = (1.0, 0.5, 0.6, 0.6, 0.6, 0.4)
"""Validation losses, repeated cyclically, for schedulers whose step() takes a metric."""


def bounds(subject: Subject) -> str:
    """Learning rates are finite and within [0, lr_peak times the optimizer's], also after the end.

    The check covers training runs of 1 to 60 steps. If the metadata does not declare lr_peak, it is
    1.
    """
    peak = float(subject.facts.get("lr_peak") or 1.0)
    low, high = math.inf, 0.0
    for total in TOTALS:
        rates = _course(subject, total)
        _finite(rates, f"of {total} steps")
        ratios = [rate[0] / LRS[0] for rate in rates]
        low, high = min(low, *ratios), max(high, *ratios)
    if high > peak * (1 + 1e-6):
        fail(
            f"the learning rate reaches {high:g} times the optimizer's, but lr_peak is {peak:g}; "
            "declare it as facts['lr_peak']"
        )
    return f"{low:g} to {high:g} times the optimizer's"


def proportion(subject: Subject) -> None:
    """Parameter groups keep the ratio of their learning rates."""
    for step, (first, second) in enumerate(_course(subject, 60)):
        if not math.isclose(second, first * LRS[1] / LRS[0], rel_tol=1e-5, abs_tol=1e-12):
            fail(
                f"at step {step} the groups' learning rates are {first:g} and {second:g}; "
                f"they started at {LRS[0]:g} and {LRS[1]:g}"
            )


def options(subject: Subject) -> str | None:
    """Option bounds give finite learning rates, or raise UsageError."""
    rejected = 0
    settings = list(_settings(subject))
    if not settings:
        skip("it has no option with bounds")
    for name, value in settings:
        try:
            rates = _course(subject, 12, **{name: value})
        except UsageError:
            rejected += 1
        else:
            _finite(rates, f"with {name} = {value!r}")
    return (
        f"{len(settings)} settings, {rejected} rejected"
        if rejected
        else f"{len(settings)} settings"
    )


def resume(subject: Subject) -> None:
    """Resuming from a checkpoint at any step gives the same learning rates."""
    expected = _course(subject, 12)
    for cut in (0, 1, 5, 12):
        optimizer = _optimizer()
        scheduler = _build(subject, optimizer, 12)
        for step in range(cut):
            _step(subject, optimizer, scheduler, step)
        saved = through_checkpoint([optimizer.state_dict(), scheduler.state_dict()])
        optimizer = _optimizer()
        scheduler = _build(subject, optimizer, 12)
        optimizer.load_state_dict(saved[0])
        scheduler.load_state_dict(saved[1])
        rates = [*expected[:cut], _rates(optimizer)]
        for step in range(cut, 12 + EXTRA):
            _step(subject, optimizer, scheduler, step)
            rates.append(_rates(optimizer))
        if rates != expected:
            step = next(
                i for i, pair in enumerate(zip(rates, expected, strict=True)) if len({*pair}) > 1
            )
            fail(f"after resuming at step {cut}, the learning rate at step {step} differs")


def determinism(subject: Subject) -> None:
    """The schedule is deterministic."""
    if _course(subject, 60) != _course(subject, 60):
        fail("two identical training runs have different learning rates")


def metric(subject: Subject) -> None:
    """step() takes a metric if and only if the metadata metric is declared."""
    optimizer = _optimizer()
    scheduler = _build(subject, optimizer, 12)
    optimizer.step()
    declared = bool(subject.facts.get("metric"))
    try:
        scheduler.step(*([0.5] if declared else []))
    except TypeError as error:
        fail(f"metric is declared {declared}, but step raises TypeError: {error}")
    if declared:
        try:
            scheduler.step()
        except TypeError:
            return
        fail("metric is declared, but step() works without one; declare metric = False")


CHECKS = (bounds, proportion, options, resume, determinism, metric)
SLOW: tuple[object, ...] = ()


def _optimizer() -> torch.optim.SGD:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in LRS]
    return torch.optim.SGD(groups, lr=1.0, momentum=0.9)


def _build(subject: Subject, optimizer: torch.optim.Optimizer, total: int, **options: Any) -> Any:
    return subject.create(optimizer, total_steps=total, steps_per_epoch=PER_EPOCH, **options)


def _course(subject: Subject, total: int, **options: Any) -> list[tuple[float, ...]]:
    """Return the learning rates of both groups at each step, from 0 to beyond ``total``."""
    optimizer = _optimizer()
    scheduler = _build(subject, optimizer, total, **options)
    rates = [_rates(optimizer)]
    for step in range(total + EXTRA):
        _step(subject, optimizer, scheduler, step)
        rates.append(_rates(optimizer))
    return rates


def _step(subject: Subject, optimizer: torch.optim.Optimizer, scheduler: Any, step: int) -> None:
    optimizer.step()
    if not subject.facts.get("metric"):
        scheduler.step()
    elif (step + 1) % PER_EPOCH == 0:
        scheduler.step(LOSSES[step // PER_EPOCH % len(LOSSES)])


def _rates(optimizer: torch.optim.Optimizer) -> tuple[float, ...]:
    return tuple(float(group["lr"]) for group in optimizer.param_groups)


def _finite(rates: list[tuple[float, ...]], where: str) -> None:
    for step, rate in enumerate(rates):
        for value in rate:
            if not (math.isfinite(value) and value >= 0):
                fail(f"{where}, the learning rate at step {step} is {value:g}")


def _settings(subject: Subject) -> Iterator[tuple[str, Value]]:
    for option in subject.spec.options:
        values: tuple[Value, ...] = option.choices
        if option.type == "bool":
            values = (True, False)
        elif option.type in ("float", "int"):
            ends = (option.low, option.high)
            values = tuple(
                int(end) if option.type == "int" else float(end) for end in ends if end is not None
            )
        for value in values:
            if value != option.default:
                yield option.name, value
