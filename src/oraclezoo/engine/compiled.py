"""Use of torch.compile in training: the decision whether to compile, and the warm-up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from oraclezoo.errors import UsageError

CHOICES = ("auto", "on", "off")

FROM_STEPS = 10_000
"""Minimum number of training steps for which ``auto`` compiles on CUDA. Compilation takes about
half a minute and saves about 3 ms per step (kernel launch overhead of a small model).
"""

PASSES = 3
"""Number of warm-up passes: CUDA graphs are recorded in the second and replayed in the third."""


def wanted(choice: str, device: torch.device, steps: int) -> bool:
    """Return whether to compile a training run of ``steps`` steps.

    ``auto`` never compiles on the CPU, where it costs more time than it saves
    (docs/how-to/train/engine.md). Raises UsageError for an unknown choice.
    """
    if choice not in CHOICES:
        raise UsageError(f"compile is '{choice}'; it must be auto, on or off")
    return choice == "on" or (choice == "auto" and device.type == "cuda" and steps >= FROM_STEPS)


def compile_and_warm_up(
    model: nn.Module, device: torch.device, passes: Callable[[Callable[[Tensor], Tensor]], None]
) -> Callable[[Tensor], Tensor]:
    """Compile the model's forward pass (with CUDA graphs on CUDA) and warm it up.

    Buffers, gradients and PyTorch's random state are restored. The model itself is not wrapped, so
    the keys of its state dict stay the same.

    Args:
        model: The model.
        device: The model's device.
        passes: Runs a forward and a backward pass of the function it is given, on dummy images.

    Returns:
        The compiled forward pass.
    """
    torch.compiler.reset()  # earlier training runs count towards torch's recompilation limit
    mode = "reduce-overhead" if device.type == "cuda" else None
    compiled = torch.compile(model, mode=mode, dynamic=False)
    graphs = device.type == "cuda"

    def forward(images: Tensor) -> Tensor:
        if graphs:  # outputs of the last step's graph may be overwritten
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # untyped in torch
        logits: Tensor = compiled(images)
        return logits

    with kept_state(model, device):
        for _ in range(PASSES):
            passes(forward)
            for parameter in model.parameters():  # a CUDA graph may own this memory
                parameter.grad = None
    return forward


class kept_state:  # noqa: N801  # a context manager
    """Context that restores a model's buffers, gradients and mode, and the random state."""

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
