"""torch.compile for the training's passes: when it is used, and how it is warmed up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from oraclezoo.errors import UsageError

CHOICES = ("auto", "on", "off")

FROM_STEPS = 10_000
"""Training steps from which ``auto`` compiles on CUDA: there about 3 ms saved a step, which is what
launching a small net's kernels one by one takes, pay for half a minute of compilation."""

PASSES = 3
"""Of warm-up: CUDA graphs are recorded in the second and first replayed in the third."""


def wanted(choice: str, device: torch.device, steps: int) -> bool:
    """Whether a training of ``steps`` steps is to be compiled. Raises UsageError.

    ``auto`` never compiles on the CPU, where it takes longer than it saves (docs/engine.md).
    """
    if choice not in CHOICES:
        raise UsageError(f"compile is '{choice}'; it must be auto, on or off")
    return choice == "on" or (choice == "auto" and device.type == "cuda" and steps >= FROM_STEPS)


def compile_and_warm_up(
    model: nn.Module, device: torch.device, passes: Callable[[Callable[[Tensor], Tensor]], None]
) -> Callable[[Tensor], Tensor]:
    """The model's forward pass compiled; on CUDA with CUDA graphs.

    ``passes`` runs a forward and a backward pass of whatever it is given, on dummy images. Buffers,
    gradients and torch's random state are as before when this returns or raises; the weights are
    not touched, and the model itself stays as it is, so that no name in its state changes.
    """
    torch.compiler.reset()  # earlier trainings in this process count towards torch's limit
    mode = "reduce-overhead" if device.type == "cuda" else None
    compiled = torch.compile(model, mode=mode, dynamic=False)
    graphs = device.type == "cuda"

    def forward(images: Tensor) -> Tensor:
        if graphs:  # what the last step's graph holds may be overwritten
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # torch's own gap
        logits: Tensor = compiled(images)
        return logits

    with kept_state(model, device):
        for _ in range(PASSES):
            passes(forward)
            for parameter in model.parameters():  # as before a step: a graph may own the memory
                parameter.grad = None
    return forward


class kept_state:  # noqa: N801  # reads as what it is, a context
    """A context that leaves buffers, gradients, mode and random state of a model as they were."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.model = model
        self._random = torch.random.fork_rng([device] if device.type == "cuda" else [])

    def __enter__(self) -> None:
        self._random.__enter__()
        self._training = self.model.training
        self._buffers = [buffer.detach().clone() for buffer in self.model.buffers()]
        self._gradients = [parameter.grad for parameter in self.model.parameters()]
        for parameter in self.model.parameters():
            parameter.grad = None
        self.model.train()

    def __exit__(self, *details: Any) -> None:
        with torch.no_grad():
            for buffer, before in zip(self.model.buffers(), self._buffers, strict=True):
                buffer.copy_(before)
        for parameter, gradient in zip(self.model.parameters(), self._gradients, strict=True):
            parameter.grad = gradient
        self.model.train(self._training)
        self._random.__exit__(*details)
