"""Closed-form schedules: base learning rate times a factor that depends only on the step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from oraclezoo.errors import UsageError


class ClosedForm(LRScheduler, ABC):
    """Linear warm-up to the base learning rate, then a decay that subclasses define.

    With W = round(warmup * total_steps) and steps counted from 0, step s < W uses (s + 1) / W of
    the base learning rate, and step W uses the full base learning rate. After ``total_steps`` the
    learning rate stays at its last value. The ratios between the parameter groups' learning rates
    do not change, and the state contains only plain numbers. Subclasses implement
    :meth:`remaining`.

    Args:
        optimizer: The optimizer; its learning rates are the base learning rates.
        total_steps: Total number of optimizer steps.
        warmup: Fraction of the steps used for warm-up.
        lr_min_ratio: Final learning rate as a fraction of the base learning rate.

    Raises:
        UsageError: ``total_steps`` is below 1.
    """

    def __init__(
        self, optimizer: Optimizer, *, total_steps: int, warmup: float, lr_min_ratio: float
    ) -> None:
        if total_steps < 1:
            raise UsageError(f"total_steps must be at least 1, not {total_steps}")
        self.total_steps = total_steps
        self.warmup_steps = round(warmup * total_steps)
        self.lr_min_ratio = lr_min_ratio
        super().__init__(optimizer)

    @abstractmethod
    def remaining(self, step: int) -> float:
        """Return the decay factor, from 1 to 0, for a step after the warm-up."""

    def factor(self, step: int) -> float:
        """Return the multiplier of the base learning rate at ``step`` (counted from 0)."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        remaining = self.remaining(min(step, self.total_steps))
        return self.lr_min_ratio + (1 - self.lr_min_ratio) * remaining

    def get_lr(self) -> list[float | torch.Tensor]:
        """Return the learning rate of each parameter group at the current step."""
        factor = self.factor(self.last_epoch)
        return [base_lr * factor for base_lr in self.base_lrs]

    def progress(self, step: int, start: int) -> float:
        """Return the progress at ``step``, from 0 at step ``start`` to 1 at the end."""
        return (step - start) / (self.total_steps - start) if self.total_steps > start else 1.0


class Constant(ClosedForm):
    """Constant learning rate after the warm-up."""

    def __init__(
        self, optimizer: Optimizer, *, total_steps: int, steps_per_epoch: int, warmup: float = 0.0
    ) -> None:
        super().__init__(optimizer, total_steps=total_steps, warmup=warmup, lr_min_ratio=1.0)

    def remaining(self, step: int) -> float:
        return 1.0


class Decay(ClosedForm):
    """Decay from the base learning rate to ``lr_min_ratio`` over all steps after the warm-up."""

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        total_steps: int,
        steps_per_epoch: int,
        warmup: float = 0.0,
        lr_min_ratio: float = 0.0,
    ) -> None:
        super().__init__(
            optimizer, total_steps=total_steps, warmup=warmup, lr_min_ratio=lr_min_ratio
        )


class Linear(Decay):
    """Linear decay to ``lr_min_ratio`` after the warm-up.

    From Defazio et al. 2023, arXiv:2310.07831.
    """

    def remaining(self, step: int) -> float:
        return 1 - self.progress(step, self.warmup_steps)


class Cosine(Decay):
    """Cosine decay to ``lr_min_ratio`` after the warm-up: one half-cosine without restarts.

    From Loshchilov and Hutter 2017, arXiv:1608.03983.
    """

    def remaining(self, step: int) -> float:
        return (1 + math.cos(math.pi * self.progress(step, self.warmup_steps))) / 2


class WSD(ClosedForm):
    """Warmup-stable-decay: constant, then a decay over the last fraction ``decay`` of the steps.

    From Hu et al. 2024, arXiv:2404.06395; the 1-sqrt shape is from Haegele et al. 2024,
    arXiv:2405.18392.

    Raises:
        UsageError: ``warmup`` and ``decay`` sum to more than 1.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        total_steps: int,
        steps_per_epoch: int,
        warmup: float = 0.05,
        decay: float = 0.4,
        shape: str = "linear",
        lr_min_ratio: float = 0.0,
    ) -> None:
        if warmup + decay > 1:
            raise UsageError(f"wsd: warmup {warmup:g} and decay {decay:g} sum to more than 1")
        self.decay_start = max(
            total_steps - round(decay * total_steps), round(warmup * total_steps)
        )
        self.shape = shape
        super().__init__(
            optimizer, total_steps=total_steps, warmup=warmup, lr_min_ratio=lr_min_ratio
        )

    def remaining(self, step: int) -> float:
        if step <= self.decay_start:
            return 1.0
        progress = self.progress(step, self.decay_start)
        if self.shape == "cosine":
            return (1 + math.cos(math.pi * progress)) / 2
        return 1 - (math.sqrt(progress) if self.shape == "1-sqrt" else progress)
