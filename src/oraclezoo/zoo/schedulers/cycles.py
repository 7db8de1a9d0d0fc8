"""Cyclic schedules: cosine annealing with warm restarts, and triangular cycles."""

from __future__ import annotations

import math
from abc import abstractmethod

from torch.optim import Optimizer

from oraclezoo.zoo.schedulers.closed_form import ClosedForm


class Cycles(ClosedForm):
    """``cycles`` cycles after the warm-up, each ``mult`` times as long as the previous one.

    The cycles span all steps after the warm-up; each peak is ``decay`` times the previous peak.
    Subclasses define the shape of a cycle in :meth:`within`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        total_steps: int,
        warmup: float,
        lr_min_ratio: float,
        cycles: int,
        mult: float,
        decay: float,
    ) -> None:
        self.decay = decay
        first = min(round(warmup * total_steps), total_steps)
        total = sum(mult**number for number in range(cycles))
        ends = [sum(mult**i for i in range(number + 1)) / total for number in range(cycles)]
        self.starts = [first, *(first + round(end * (total_steps - first)) for end in ends)]
        super().__init__(
            optimizer, total_steps=total_steps, warmup=warmup, lr_min_ratio=lr_min_ratio
        )

    def remaining(self, step: int) -> float:
        if step >= self.total_steps:
            return self._at(len(self.starts) - 2, 1.0)
        number = max(i for i, start in enumerate(self.starts) if start <= step)
        start, end = self.starts[number], self.starts[number + 1]
        return self._at(number, (step - start) / (end - start))

    def _at(self, number: int, progress: float) -> float:
        return float(self.decay**number) * self.within(progress)

    @abstractmethod
    def within(self, progress: float) -> float:
        """Return the factor, in [0, 1], at a given progress through a cycle, in [0, 1]."""


class CosineRestarts(Cycles):
    """Cosine annealing with warm restarts (SGDR, Loshchilov and Hutter 2017, arXiv:1608.03983)."""

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        total_steps: int,
        steps_per_epoch: int,
        cycles: int = 3,
        mult: float = 2.0,
        decay: float = 1.0,
        warmup: float = 0.0,
        lr_min_ratio: float = 0.0,
    ) -> None:
        super().__init__(
            optimizer,
            total_steps=total_steps,
            warmup=warmup,
            lr_min_ratio=lr_min_ratio,
            cycles=cycles,
            mult=mult,
            decay=decay,
        )

    def within(self, progress: float) -> float:
        return (1 + math.cos(math.pi * progress)) / 2


class Triangular(Cycles):
    """Triangular cyclical learning rate (Smith 2017, arXiv:1506.01186)."""

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        total_steps: int,
        steps_per_epoch: int,
        cycles: int = 4,
        decay: float = 0.5,
        lr_min_ratio: float = 0.05,
    ) -> None:
        super().__init__(
            optimizer,
            total_steps=total_steps,
            warmup=0.0,
            lr_min_ratio=lr_min_ratio,
            cycles=cycles,
            mult=1.0,
            decay=decay,
        )

    def within(self, progress: float) -> float:
        return 1 - abs(2 * progress - 1)
