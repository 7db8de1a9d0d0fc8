"""Batch norm's running averages, gathered anew for weights that training did not stand at.

Schedule-free optimizers train at one point and are evaluated at another (Defazio et al. 2024,
arXiv:2405.15682, whose authors' package advises this).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

BATCHES = 16
"""Training batches that averages are gathered from."""


def tracking(model: nn.Module) -> list[_BatchNorm]:
    """The layers that keep running averages."""
    found = (module for module in model.modules() if isinstance(module, _BatchNorm))
    return [norm for norm in found if norm.running_mean is not None]


@torch.no_grad()
def regather(model: nn.Module, images: Iterable[Tensor]) -> None:
    """Set running averages to the plain means over batches of standardised ``images``.

    All else is in evaluation mode meanwhile, as it will be when they are used; the model is left
    there. Without such layers no image is asked for.
    """
    norms = tracking(model)
    if not norms:
        return
    model.eval()
    momenta = [norm.momentum for norm in norms]
    counts = dict.fromkeys(norms, 0)

    def average(norm: _BatchNorm, inputs: object) -> None:
        # as torch does for a momentum of None, but torch reads the count back from the device
        counts[norm] += 1
        norm.momentum = 1 / counts[norm]

    hooks = [norm.register_forward_pre_hook(average) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
    try:
        for batch in images:
            model(batch)
    finally:
        for hook in hooks:
            hook.remove()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.eval()
