"""Learning rates that only fall: in steps, exponentially, as a power, a root or a tanh."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch.optim import Optimizer

from oraclezoo.errors import UsageError
from oraclezoo.zoo.schedulers.closed_form import ClosedForm


class MultiStep(ClosedForm):
    """After the warm-up the learning rate, times ``gamma`` from each milestone on.

    ``milestones`` are fractions of the training, rising. Raises UsageError if they do not rise.
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
            raise UsageError(f"multistep: milestones must rise, not be {list(milestones)}")
        self.steps = [round(part * total_steps) for part in milestones]
        self.gamma = gamma
        super().__init__(optimizer, total_steps=total_steps, warmup=warmup, lr_min_ratio=0.0)

    def course(self, step: int) -> float:
        passed = sum(step >= milestone for milestone in self.steps)
        return float(self.gamma**passed)


class Step(MultiStep):
    """After the warm-up the learning rate, times ``gamma`` after each ``every`` of the steps."""

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
        times = math.ceil(1 / every - 1e-9)
        super().__init__(
            optimizer,
            total_steps=total_steps,
            steps_per_epoch=steps_per_epoch,
            milestones=[every * number for number in range(1, times)],
            gamma=gamma,
            warmup=warmup,
        )


class Exponential(ClosedForm):
    """After the warm-up, the same factor a step, down to ``lr_end_ratio`` at the last."""

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

    def course(self, step: int) -> float:
        return float(self.lr_end_ratio ** self.progress(step, self.warmup_steps))


class Polynomial(ClosedForm):
    """After the warm-up, ``power`` of the part of the way that is left."""

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

    def course(self, step: int) -> float:
        return float((1 - self.progress(step, self.warmup_steps)) ** self.power)


class InverseSqrt(ClosedForm):
    """After W warm-up steps, the root of W over the steps taken; it does not know of an end.

    Without warm-up W is 1.
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

    def course(self, step: int) -> float:
        scale = max(1, self.warmup_steps)
        return math.sqrt(scale / (scale + step - self.warmup_steps))


class Tanh(ClosedForm):
    """After the warm-up, 1 - tanh over [lower, upper], halved: flat, a fall, and nearly flat."""

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

    def course(self, step: int) -> float:
        progress = self.progress(step, self.warmup_steps)
        return (1 - math.tanh(self.lower + (self.upper - self.lower) * progress)) / 2
