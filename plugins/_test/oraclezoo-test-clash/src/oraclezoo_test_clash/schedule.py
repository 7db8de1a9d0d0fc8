"""A scheduler unrelated to REX."""

from __future__ import annotations

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class HalfAtHalf(LRScheduler):
    """Halve the learning rate at half of ``total_steps``."""

    def __init__(self, optimizer: Optimizer, *, total_steps: int, steps_per_epoch: int) -> None:
        self.total_steps = total_steps
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        factor = 0.5 if 2 * self.last_epoch >= self.total_steps else 1.0
        return [base * factor for base in self.base_lrs]
