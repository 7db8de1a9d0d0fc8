"""PyTorch's OneCycleLR, alone or followed by cosine annealing with warm restarts."""

from __future__ import annotations

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, OneCycleLR, SequentialLR

from oraclezoo.errors import UsageError


class OneCycle(OneCycleLR):
    """PyTorch's OneCycleLR, except that the learning rate stays constant after ``total_steps``.

    PyTorch's version overshoots the final learning rate at step ``total_steps`` and raises an error
    after that.
    """

    def get_lr(self) -> list[float | torch.Tensor]:
        """Return the learning rate of each parameter group at the current step."""
        step = self.last_epoch
        self.last_epoch = min(step, self.total_steps - 1)
        try:
            return super().get_lr()
        finally:
            self.last_epoch = step


class WarmRestarts(CosineAnnealingWarmRestarts):
    """PyTorch's CosineAnnealingWarmRestarts with ``eta_min`` scaled per parameter group."""

    def get_lr(self) -> list[float | torch.Tensor]:
        """Return the learning rate of each parameter group at the current step."""
        first = super().get_lr()[0]
        return [first * (base_lr / self.base_lrs[0]) for base_lr in self.base_lrs]


def onecycle(
    optimizer: Optimizer,
    *,
    total_steps: int,
    steps_per_epoch: int,
    max_lr_ratio: float = 1.0,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    cycle_momentum: bool = False,
) -> OneCycle:
    """Return a one-cycle schedule over all steps (Smith and Topin 2018, arXiv:1708.07120).

    Args:
        optimizer: The optimizer.
        total_steps: Total number of optimizer steps.
        steps_per_epoch: Number of optimizer steps per epoch; unused.
        max_lr_ratio: Peak learning rate as a multiple of each parameter group's learning rate.
        pct_start: Fraction of the steps during which the learning rate increases.
        div_factor: Ratio of the peak to the initial learning rate.
        final_div_factor: Ratio of the initial to the final learning rate.
        cycle_momentum: Whether to cycle the momentum (or beta1) inversely to the learning rate.

    Raises:
        UsageError: ``cycle_momentum`` is set and the optimizer has no momentum, or ``total_steps``
            is below 1.
    """
    return _one_cycle(
        optimizer,
        [group["lr"] * max_lr_ratio for group in optimizer.param_groups],
        total_steps=total_steps,
        pct_start=pct_start,
        div_factor=div_factor,
        final_div_factor=final_div_factor,
        cycle_momentum=cycle_momentum,
    )


def onecycle_restarts(
    optimizer: Optimizer,
    *,
    total_steps: int,
    steps_per_epoch: int,
    lr_warmup_period: int = 100,
    lr_warmup_max: float = 3e-3,
    lr_half_period: int = 200,
    lr_mult_period: int = 2,
    lr_min: float = 1e-5,
    cycle_momentum: bool = False,
) -> SequentialLR:
    """Return a one-cycle schedule followed by cosine annealing with warm restarts.

    In the one-cycle phase, the learning rate rises to ``lr_warmup_max`` and falls to nearly 0 at
    step ``lr_warmup_period``. It then restarts at the optimizer's learning rate and decays to
    ``lr_min`` in cosine periods: the first has ``lr_half_period`` steps, and each of the following
    is ``lr_mult_period`` times as long as the previous one. Runs of up to ``lr_warmup_period``
    steps consist of the one-cycle phase only.

    Args:
        optimizer: The optimizer.
        total_steps: Total number of optimizer steps; unused.
        steps_per_epoch: Number of optimizer steps per epoch; unused.
        lr_warmup_period: Number of steps of the one-cycle phase.
        lr_warmup_max: Peak learning rate of the one-cycle phase for the first parameter group;
            other groups are scaled proportionally.
        lr_half_period: Number of steps of the first cosine period.
        lr_mult_period: Ratio of the lengths of consecutive periods.
        lr_min: Final learning rate of each period for the first parameter group; other groups
            are scaled proportionally.
        cycle_momentum: Whether to cycle the momentum (or beta1) inversely to the learning rate.

    Raises:
        UsageError: ``lr_min`` exceeds the optimizer's learning rate, or ``cycle_momentum`` is set
            and the optimizer has no momentum.
    """
    first_lr = optimizer.param_groups[0]["lr"]
    if lr_min > first_lr:
        raise UsageError(
            f"onecycle-restarts: lr_min {lr_min:g} is above the optimizer's lr {first_lr:g}; "
            "lower lr_min or raise lr"
        )
    peaks = [group["lr"] * (lr_warmup_max / first_lr) for group in optimizer.param_groups]
    # Build this first, because OneCycleLR overwrites the initial learning rates of the groups.
    restarts = WarmRestarts(optimizer, T_0=lr_half_period, T_mult=lr_mult_period, eta_min=lr_min)
    cycle = _one_cycle(
        optimizer, peaks, total_steps=lr_warmup_period, cycle_momentum=cycle_momentum
    )
    return SequentialLR(optimizer, [cycle, restarts], milestones=[lr_warmup_period])


def _one_cycle(
    optimizer: Optimizer,
    peaks: list[float],
    *,
    total_steps: int,
    cycle_momentum: bool,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> OneCycle:
    if total_steps < 1:
        raise UsageError(f"total_steps must be at least 1, not {total_steps}")
    if cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
        raise UsageError("cycle_momentum needs an optimizer with momentum or betas")
    # PyTorch divides by zero if the increase takes exactly one step or all steps.
    if float(pct_start * total_steps) == 1.0:
        pct_start *= 1 + 1e-9 if pct_start < 1 else 1 - 1e-9
    return OneCycle(
        optimizer,
        max_lr=peaks,
        total_steps=total_steps,
        pct_start=float(pct_start),
        div_factor=div_factor,
        final_div_factor=final_div_factor,
        cycle_momentum=cycle_momentum,
    )
