"""torch's own optimizers under the contract of oraclezoo: named parameters in, frozen ones out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from oraclezoo.errors import UsageError

NamedParameters = Iterable[tuple[str, nn.Parameter]]


def trainable(named_parameters: NamedParameters) -> list[tuple[str, nn.Parameter]]:
    """The named parameters that want a gradient. Raises UsageError if there are none."""
    found = [(name, p) for name, p in named_parameters if p.requires_grad]
    if not found:
        raise UsageError("the backbone has no trainable parameter")
    return found


def sgd(
    named_parameters: NamedParameters,
    *,
    lr: float = 0.1,
    momentum: float = 0.9,
    nesterov: bool = True,
    weight_decay: float = 5e-4,
) -> torch.optim.SGD:
    """torch.optim.SGD. Raises UsageError for Nesterov momentum without momentum."""
    if nesterov and momentum == 0:
        raise UsageError("sgd: nesterov needs a momentum above 0; set nesterov = false")
    parameters = [p for _, p in trainable(named_parameters)]
    return torch.optim.SGD(
        parameters,
        lr=lr,
        momentum=momentum,
        nesterov=nesterov,
        weight_decay=weight_decay,
        fused=_fused(parameters),
    )


def adam(
    named_parameters: NamedParameters,
    *,
    lr: float = 1e-3,
    betas: Sequence[float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> torch.optim.Adam:
    """torch.optim.Adam; ``weight_decay`` is an L2 penalty on all parameters."""
    parameters = [p for _, p in trainable(named_parameters)]
    return torch.optim.Adam(
        parameters,
        lr=lr,
        betas=_pair(betas),
        eps=eps,
        weight_decay=weight_decay,
        fused=_fused(parameters),
    )


def adamw(
    named_parameters: NamedParameters,
    *,
    lr: float = 2e-3,
    betas: Sequence[float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.05,
) -> torch.optim.AdamW:
    """torch.optim.AdamW; ``weight_decay`` is decoupled, and spares biases and norms."""
    parameters = [p for _, p in trainable(named_parameters)]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=lr,
        betas=_pair(betas),
        eps=eps,
        fused=_fused(parameters),
    )


def _fused(parameters: Sequence[nn.Parameter]) -> bool | None:
    """True where torch has one kernel for a whole step; None lets torch choose.

    It is also the way that never reads a step count back: nothing is waited for. On the CPU such a
    kernel takes memory as it lies, so weights must fill theirs.
    """
    known = all(
        p.device.type in ("cpu", "cuda") and p.is_floating_point() and _is_dense(p)
        for p in parameters
    )
    return True if known else None


def _is_dense(parameter: nn.Parameter) -> bool:
    channels_last = parameter.ndim == 4 and parameter.is_contiguous(
        memory_format=torch.channels_last
    )
    return channels_last or parameter.is_contiguous()


def _pair(betas: Sequence[float]) -> tuple[float, float]:
    if len(betas) != 2:
        raise UsageError(f"betas are two numbers, not {len(betas)}")
    return betas[0], betas[1]
