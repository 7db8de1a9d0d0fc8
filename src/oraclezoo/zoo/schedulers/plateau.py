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
    """Return PyTorch's ReduceLROnPlateau for the validation loss, to be stepped once per epoch.

    Args:
        optimizer: The optimizer.
        total_steps: Total number of optimizer steps.
        steps_per_epoch: Number of optimizer steps per epoch.
        factor: Multiplier of the learning rate at each reduction.
        patience: Number of epochs without improvement before a reduction, as a fraction of all
            epochs.
        threshold: Relative decrease of the lowest loss so far that counts as an improvement.
        cooldown: Number of epochs to wait after a reduction, as a fraction of all epochs.
        lr_min_ratio: Minimum learning rate as a fraction of each group's initial learning rate.
    """
    epochs = total_steps / steps_per_epoch
    return ReduceLROnPlateau(
        optimizer,
        factor=factor,
        patience=round(patience * epochs),
        threshold=threshold,
        cooldown=round(cooldown * epochs),
        min_lr=[group["lr"] * lr_min_ratio for group in optimizer.param_groups],
        eps=0.0,  # otherwise reductions of small learning rates would be skipped
    )
