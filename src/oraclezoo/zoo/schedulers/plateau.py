"""PyTorch's ReduceLROnPlateau, with durations as fractions of the epochs."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau


def plateau(
    optimizer: Optimizer,
    *,
    total_steps: int,
    steps_per_epoch: int,
    factor: float = 0.3,
    patience: float = 0.1,
    threshold: float = 1e-3,
    cooldown: float = 0.0,
    lr_min_ratio: float = 1e-3,
) -> ReduceLROnPlateau:
    """Return PyTorch's ReduceLROnPlateau on the validation loss, stepped once per epoch.

    Args:
        optimizer: The optimizer.
        total_steps: Number of optimizer steps in total.
        steps_per_epoch: Optimizer steps per epoch.
        factor: Multiplier of the learning rate at each reduction.
        patience: Fraction of the epochs without improvement before a reduction.
        threshold: Minimum relative improvement on the lowest loss so far.
        cooldown: Fraction of the epochs to ignore after a reduction.
        lr_min_ratio: Lower bound as a fraction of each group's learning rate.
    """
    epochs = total_steps / steps_per_epoch
    return ReduceLROnPlateau(
        optimizer,
        factor=factor,
        patience=round(patience * epochs),
        threshold=threshold,
        cooldown=round(cooldown * epochs),
        min_lr=[group["lr"] * lr_min_ratio for group in optimizer.param_groups],
        eps=0.0,  # otherwise groups with a small learning rate would skip reductions
    )
