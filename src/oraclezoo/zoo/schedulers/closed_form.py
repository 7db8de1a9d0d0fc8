"""Learning rates in closed form: the optimizer's, times a factor that depends on the step alone."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from oraclezoo.errors import UsageError


class ClosedForm(LRScheduler, ABC):
    """Warm-up to the optimizer's learning rate, then a course of its own to the last step.

    Of W = round(warmup * total_steps) warm-up steps, step s (from 0) runs at (s + 1) / W of the
    learning rate; the first step after them runs at all of it. The course reaches its end at
    ``total_steps`` and stays there. The state is plain numbers; all parameter groups keep their
    ratios. Subclasses define :meth:`course`.
    """

    def __init__(
        self, optimizer: Optimizer, *, total_steps: int, warmup: float, lr_min_ratio: float
    ) -> None:
        if total_steps < 1:
            raise UsageError(f"a schedule needs at least one step, not {total_steps}")
        self.total_steps = total_steps
        self.warmup_steps = round(warmup * total_steps)
        self.lr_min_ratio = lr_min_ratio
        super().__init__(optimizer)

    @abstractmethod
    def course(self, step: int) -> float:
        """From 1 to 0: the part of the way that is left at ``warmup_steps <= step <= total``."""

    def factor(self, step: int) -> float:
        """What the optimizer's learning rate is multiplied by at ``step``, from 0."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        left = self.course(min(step, self.total_steps))
        return self.lr_min_ratio + (1 - self.lr_min_ratio) * left

    def get_lr(self) -> list[float | torch.Tensor]:
        """The learning rate of each parameter group at the present step."""
        factor = self.factor(self.last_epoch)
        return [base_lr * factor for base_lr in self.base_lrs]

    def progress(self, step: int, start: int) -> float:
        """The part of the way from ``start`` to the last step that lies behind ``step``."""
        return (step - start) / (self.total_steps - start) if self.total_steps > start else 1.0


class Constant(ClosedForm):
    """After the warm-up the optimizer's learning rate at every step."""

    def __init__(
        self, optimizer: Optimizer, *, total_steps: int, steps_per_epoch: int, warmup: float = 0.0
    ) -> None:
        super().__init__(optimizer, total_steps=total_steps, warmup=warmup, lr_min_ratio=1.0)

    def course(self, step: int) -> float:
        return 1.0


class Linear(ClosedForm):
    """After the warm-up, a line down to ``lr_min_ratio``."""

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

    def course(self, step: int) -> float:
        return 1 - self.progress(step, self.warmup_steps)


class Cosine(ClosedForm):
    """After the warm-up, half a cosine down to ``lr_min_ratio``."""

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

    def course(self, step: int) -> float:
        return (1 + math.cos(math.pi * self.progress(step, self.warmup_steps))) / 2


class WSD(ClosedForm):
    """Warm-up, stable, decay: the last ``decay`` of the steps fall, by one of three shapes.

    Raises UsageError if warm-up and decay together are more than the whole.
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

    def course(self, step: int) -> float:
        if step <= self.decay_start:
            return 1.0
        progress = self.progress(step, self.decay_start)
        if self.shape == "cosine":
            return (1 + math.cos(math.pi * progress)) / 2
        return 1 - (math.sqrt(progress) if self.shape == "1-sqrt" else progress)
