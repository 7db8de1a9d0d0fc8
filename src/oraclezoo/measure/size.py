"""Count the parameters and multiply-accumulates of a module."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def parameters(model: nn.Module) -> int:
    """Return the number of parameters, including frozen ones."""
    return sum(parameter.numel() for parameter in model.parameters())


def macs(model: nn.Module, *, in_chans: int, image_size: int) -> int:
    """Return the number of multiply-accumulates in a forward pass for one image.

    This is half of PyTorch's FLOP count, which includes convolutions, matrix multiplications and
    attention.
    """
    device = next(model.parameters()).device
    image = torch.zeros(1, in_chans, image_size, image_size, device=device)
    was_training = model.training
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(image)
    model.train(was_training)
    return int(counter.get_total_flops()) // 2
