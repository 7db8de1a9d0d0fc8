"""torch's OneCycleLR, alone or followed by cosine annealing with warm restarts."""

from __future__ import annotations

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, OneCycleLR, SequentialLR

from oraclezoo.errors import UsageError


class OneCycle(OneCycleLR):
    """torch's OneCycleLR, which also holds its last learning rate after ``total_steps``.

    torch's own runs on past its last value at step ``total_steps`` and raises after that.
    """

    def get_lr(self) -> list[float | torch.Tensor]:
        """The learning rate of each parameter group at the present step."""
        step = self.last_epoch
        self.last_epoch = min(step, self.total_steps - 1)
        try:
            return super().get_lr()
        finally:
            self.last_epoch = step


class WarmRestarts(CosineAnnealingWarmRestarts):
    """torch's CosineAnnealingWarmRestarts with the floor in proportion in each parameter group."""

    def get_lr(self) -> list[float | torch.Tensor]:
        """The learning rate of each parameter group at the present step."""
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
    """One cycle over the whole training, to ``max_lr_ratio`` times each group's learning rate.

    Smith and Topin 2018, arXiv:1708.07120. Raises UsageError if momentum is to be cycled and the
    optimizer has none.
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
    """One cycle over ``lr_warmup_period`` steps, then cosine annealing with warm restarts.

    The cycle rises to ``lr_warmup_max`` and falls back to nearly 0. At step ``lr_warmup_period``
    the learning rate starts again at the optimizer's and falls to ``lr_min`` within
    ``lr_half_period`` steps, then again within ``lr_mult_period`` times as many, and so on.
    ``lr_warmup_max`` and ``lr_min`` are those of the first parameter group; the others' are in
    proportion. A training of no more than ``lr_warmup_period`` steps stays within the cycle.
    Raises UsageError if ``lr_min`` is above the optimizer's learning rate.
    """
    first_lr = optimizer.param_groups[0]["lr"]
    if lr_min > first_lr:
        raise UsageError(
            f"onecycle-restarts: lr_min {lr_min:g} is above the optimizer's lr {first_lr:g}; "
            "lower lr_min or raise lr"
        )
    peaks = [group["lr"] * (lr_warmup_max / first_lr) for group in optimizer.param_groups]
    # Built first: the one cycle replaces the groups' initial learning rate with its own.
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
        raise UsageError(f"a schedule needs at least one step, not {total_steps}")
    if cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
        raise UsageError("cycle_momentum needs an optimizer with momentum or betas")
    # torch divides by zero where the rise is one step long, or all of them.
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
