"""The REX scheduler."""

from __future__ import annotations

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from oraclezoo.errors import UsageError


class REX(LRScheduler):
    """Reflected exponential: ``(1 - p) / (1 - beta + beta * (1 - p))`` of the learning rate.

    Chen, Wolfe and Kyrillidis, "REX: Revisiting Budgeted Training with an Improved Schedule",
    MLSys 2022, arXiv:2107.04197, where beta is 1/2. p increases from 0, after W = round(warmup *
    total_steps) warm-up steps, to 1 at ``total_steps``, and stays there. Warm-up step s, from 0,
    uses (s + 1) / W of the learning rate. ``lr_min_ratio`` is the final fraction.

    Call ``step`` after each optimizer step. The ratios of parameter groups stay constant. Raises
    UsageError if ``total_steps`` is below 1.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        total_steps: int,
        steps_per_epoch: int,
        warmup: float = 0.0,
        beta: float = 0.5,
        lr_min_ratio: float = 0.0,
    ) -> None:
        if total_steps < 1:
            raise UsageError(f"total_steps must be at least one step, not {total_steps}")
        self.total_steps, self.warmup_steps = total_steps, round(warmup * total_steps)
        self.beta, self.lr_min_ratio = beta, lr_min_ratio
        super().__init__(optimizer)

    def factor(self, step: int) -> float:
        """Return the factor of the learning rate at ``step``, from 0."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        steps = self.total_steps - self.warmup_steps
        left = max(0.0, (self.total_steps - step) / steps) if steps else 0.0
        fall = left / (1 - self.beta + self.beta * left)
        return self.lr_min_ratio + (1 - self.lr_min_ratio) * fall

    def get_lr(self) -> list[float | Tensor]:
        """Return the current learning rate of each parameter group."""
        return [base * self.factor(self.last_epoch) for base in self.base_lrs]
