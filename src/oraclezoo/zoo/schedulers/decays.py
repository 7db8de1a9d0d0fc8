"""Decay schedules: step, exponential, polynomial, inverse square root and tanh."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch.optim import Optimizer

from oraclezoo.errors import UsageError
from oraclezoo.zoo.schedulers.closed_form import ClosedForm


class MultiStep(ClosedForm):
    """Multiply the learning rate by ``gamma`` at each milestone.

    Args:
        optimizer: The optimizer.
        total_steps: Total number of optimizer steps.
        steps_per_epoch: Number of optimizer steps per epoch; unused.
        milestones: Milestones as fractions of ``total_steps``, strictly increasing.
        gamma: Factor by which the learning rate is multiplied at each milestone.
        warmup: Fraction of the steps used for warm-up.

    Raises:
        UsageError: ``milestones`` are not strictly increasing.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        total_steps: int,
        steps_per_epoch: int,
        milestones: Sequence[float] = (0.5, 0.75),
        gamma: float = 0.1,
        warmup: float = 0.0,
    ) -> None:
        if list(milestones) != sorted(set(milestones)):
            raise UsageError(
                f"multistep: milestones must be strictly increasing, not {list(milestones)}"
            )
        self.steps = [round(fraction * total_steps) for fraction in milestones]
        self.gamma = gamma
        super().__init__(optimizer, total_steps=total_steps, warmup=warmup, lr_min_ratio=0.0)

    def remaining(self, step: int) -> float:
        passed = sum(step >= milestone for milestone in self.steps)
        return float(self.gamma**passed)


class Step(MultiStep):
    """Multiply the learning rate by ``gamma`` after each fraction ``every`` of all steps."""

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        total_steps: int,
        steps_per_epoch: int,
        every: float = 0.3,
        gamma: float = 0.1,
        warmup: float = 0.0,
    ) -> None:
        intervals = math.ceil(1 / every - 1e-9)
        super().__init__(
            optimizer,
            total_steps=total_steps,
            steps_per_epoch=steps_per_epoch,
            milestones=[every * number for number in range(1, intervals)],
            gamma=gamma,
            warmup=warmup,
        )


class Exponential(ClosedForm):
    """Exponential decay after the warm-up that reaches ``lr_end_ratio`` at the last step."""

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        total_steps: int,
        steps_per_epoch: int,
        lr_end_ratio: float = 0.01,
        warmup: float = 0.0,
    ) -> None:
        self.lr_end_ratio = lr_end_ratio
        super().__init__(optimizer, total_steps=total_steps, warmup=warmup, lr_min_ratio=0.0)

    def remaining(self, step: int) -> float:
        return float(self.lr_end_ratio ** self.progress(step, self.warmup_steps))


class Polynomial(ClosedForm):
    """Polynomial decay after the warm-up: the fraction of remaining steps, raised to ``power``."""

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        total_steps: int,
        steps_per_epoch: int,
        power: float = 2.0,
        warmup: float = 0.0,
        lr_min_ratio: float = 0.0,
    ) -> None:
        self.power = power
        super().__init__(
            optimizer, total_steps=total_steps, warmup=warmup, lr_min_ratio=lr_min_ratio
        )

    def remaining(self, step: int) -> float:
        return float((1 - self.progress(step, self.warmup_steps)) ** self.power)


class InverseSqrt(ClosedForm):
    """Inverse square root decay sqrt(W / step) after W warm-up steps (1 without a warm-up).

    The decay does not depend on ``total_steps``. From Vaswani et al. 2017, arXiv:1706.03762.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        total_steps: int,
        steps_per_epoch: int,
        warmup: float = 0.1,
    ) -> None:
        super().__init__(optimizer, total_steps=total_steps, warmup=warmup, lr_min_ratio=0.0)

    def remaining(self, step: int) -> float:
        scale = max(1, self.warmup_steps)
        return math.sqrt(scale / (scale + step - self.warmup_steps))


class Tanh(ClosedForm):
    """Hyperbolic tangent decay, (1 - tanh) / 2 over [lower, upper], after the warm-up.

    From Hsueh et al. 2019, arXiv:1806.01593.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        total_steps: int,
        steps_per_epoch: int,
        lower: float = -6.0,
        upper: float = 3.0,
        warmup: float = 0.0,
        lr_min_ratio: float = 0.0,
    ) -> None:
        self.lower, self.upper = lower, upper
        super().__init__(
            optimizer, total_steps=total_steps, warmup=warmup, lr_min_ratio=lr_min_ratio
        )

    def remaining(self, step: int) -> float:
        progress = self.progress(step, self.warmup_steps)
        return (1 - math.tanh(self.lower + (self.upper - self.lower) * progress)) / 2
