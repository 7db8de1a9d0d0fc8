"""torch's ReduceLROnPlateau, in units of the training."""

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
    """Times ``factor`` when the validation loss has not fallen for ``patience`` of the epochs.

    Stepped once an epoch with that loss. It counts as fallen if it is ``threshold`` of itself below
    the lowest so far; for ``cooldown`` of the epochs after a reduction nothing is counted.
    """
    epochs = total_steps / steps_per_epoch
    return ReduceLROnPlateau(
        optimizer,
        factor=factor,
        patience=round(patience * epochs),
        threshold=threshold,
        cooldown=round(cooldown * epochs),
        min_lr=[group["lr"] * lr_min_ratio for group in optimizer.param_groups],
        eps=0.0,  # else small learning rates would be cut in some groups and not in others
    )
