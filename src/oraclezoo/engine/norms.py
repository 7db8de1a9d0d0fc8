"""Recomputation of batch norm statistics for weights other than the training weights.

Schedule-free optimizers use different weights for evaluation than for training (Defazio et al.
2024, arXiv:2405.15682); the authors' package recommends recomputing the statistics.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

BATCHES = 16
"""Number of training batches used to compute the statistics."""


def tracking(model: nn.Module) -> list[_BatchNorm]:
    """Return the batch norm layers that track running statistics."""
    norms = (module for module in model.modules() if isinstance(module, _BatchNorm))
    return [norm for norm in norms if norm.running_mean is not None]


@torch.no_grad()
def regather(model: nn.Module, images: Iterable[Tensor]) -> None:
    """Set the running statistics to their means over batches of standardized images.

    All other layers run in evaluation mode, and the model is left in evaluation mode. If the model
    has no running statistics, no batch is read.
    """
    norms = tracking(model)
    if not norms:
        return
    model.eval()
    momenta = [norm.momentum for norm in norms]
    counts = dict.fromkeys(norms, 0)

    def average(norm: _BatchNorm, inputs: object) -> None:
        # same as momentum=None in torch, which however reads the count from the device
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
