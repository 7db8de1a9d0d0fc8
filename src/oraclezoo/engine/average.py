"""Exponential moving average (EMA) of a model's weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class Averaged:
    """Moving average of a model's weights; ``module`` is the averaged copy.

    The first update copies the weights; each later update sets the average to
    ``decay * average + (1 - decay) * new``. Integer buffers are copied. PyTorch's AveragedModel
    does the same, but reads its update counter from the device in each step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(model).requires_grad_(False)
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Update the average with the model's current weights."""
        pairs = list(zip(_tensors(self.module), _tensors(model), strict=True))
        floats = [pair for pair in pairs if self.updates and pair[0].is_floating_point()]
        if floats:
            averages, new = map(list, zip(*floats, strict=True))
            torch._foreach_lerp_(averages, new, 1 - self.decay)
        for old, latest in pairs:
            if not (self.updates and old.is_floating_point()):
                old.copy_(latest)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the averages (``module.<name>``) and the number of updates (``n_averaged``)."""
        state = {f"module.{name}": value for name, value in self.module.state_dict().items()}
        return {"n_averaged": self.updates, **state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state returned by :meth:`state_dict`."""
        weights = {k.removeprefix("module."): v for k, v in state.items() if k != "n_averaged"}
        self.module.load_state_dict(weights)
        self.updates = int(state["n_averaged"])


def _tensors(model: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]
