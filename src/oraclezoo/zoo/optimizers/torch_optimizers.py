"""Adapters for PyTorch's optimizers: build parameter groups without frozen parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from oraclezoo.errors import UsageError

NamedParameters = Iterable[tuple[str, nn.Parameter]]


def trainable(named_parameters: NamedParameters) -> list[tuple[str, nn.Parameter]]:
    """Return the named parameters that require a gradient.

    Raises:
        UsageError: No parameter requires a gradient.
    """
    parameters = [(name, p) for name, p in named_parameters if p.requires_grad]
    if not parameters:
        raise UsageError("the backbone has no trainable parameters")
    return parameters


def groups(
    named_parameters: NamedParameters, weight_decay: float, *, decay_norms: bool
) -> list[dict[str, Any]]:
    """Return parameter groups with and without weight decay; empty groups are omitted.

    Without ``decay_norms``, biases (recognized by name) and one-dimensional parameters, such as
    those of normalization layers, are not decayed, as in timm.

    Raises:
        UsageError: There are no trainable parameters.
    """
    parameters = trainable(named_parameters)
    undecayed = [] if decay_norms else [p for name, p in parameters if _is_bias_or_norm(name, p)]
    ids = {id(p) for p in undecayed}
    param_groups = [
        {"params": [p for _, p in parameters if id(p) not in ids], "weight_decay": weight_decay},
        {"params": undecayed, "weight_decay": 0.0},
    ]
    return [group for group in param_groups if group["params"]]


def sgd(
    named_parameters: NamedParameters,
    *,
    lr: float = 0.1,
    momentum: float = 0.9,
    nesterov: bool = True,
    weight_decay: float = 5e-4,
    decay_norms: bool = True,
) -> torch.optim.SGD:
    """Return torch.optim.SGD; ``weight_decay`` is an L2 penalty.

    Raises:
        UsageError: ``nesterov`` is True with zero momentum, or no parameter is trainable.
    """
    if nesterov and momentum == 0:
        raise UsageError("sgd: nesterov needs a momentum above 0; set nesterov = false")
    param_groups = groups(named_parameters, weight_decay, decay_norms=decay_norms)
    return torch.optim.SGD(
        param_groups, lr=lr, momentum=momentum, nesterov=nesterov, fused=_fused(param_groups)
    )


def adam(
    named_parameters: NamedParameters,
    *,
    lr: float = 1e-3,
    betas: Sequence[float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decay_norms: bool = True,
) -> torch.optim.Adam:
    """Return torch.optim.Adam; ``weight_decay`` is an L2 penalty."""
    param_groups = groups(named_parameters, weight_decay, decay_norms=decay_norms)
    return torch.optim.Adam(
        param_groups, lr=lr, betas=_pair(betas), eps=eps, fused=_fused(param_groups)
    )


def adamw(
    named_parameters: NamedParameters,
    *,
    lr: float = 2e-3,
    betas: Sequence[float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.05,
    decay_norms: bool = False,
) -> torch.optim.AdamW:
    """Return torch.optim.AdamW; by default, biases and norms are not decayed."""
    param_groups = groups(named_parameters, weight_decay, decay_norms=decay_norms)
    return torch.optim.AdamW(
        param_groups, lr=lr, betas=_pair(betas), eps=eps, fused=_fused(param_groups)
    )


def from_torch(
    named_parameters: NamedParameters,
    *,
    algorithm: str,
    weight_decay: float,
    decay_norms: bool,
    **options: Any,
) -> torch.optim.Optimizer:
    """Return ``torch.optim.<algorithm>``, with PyTorch's defaults for omitted options.

    Args:
        named_parameters: Names and parameters of the model; frozen ones are skipped.
        algorithm: Name of a class in ``torch.optim``.
        weight_decay: Weight decay of the parameters that ``decay_norms`` selects.
        decay_norms: Whether to decay biases and one-dimensional parameters too.
        **options: Arguments for the class.

    Raises:
        UsageError: The options contradict each other, or no parameter is trainable.
    """
    param_groups = groups(named_parameters, weight_decay, decay_norms=decay_norms)
    return build(getattr(torch.optim, algorithm), algorithm, param_groups, options)


def build(
    factory: Callable[..., torch.optim.Optimizer],
    algorithm: str,
    param_groups: list[dict[str, Any]],
    options: Mapping[str, Any],
) -> torch.optim.Optimizer:
    """Return ``factory(param_groups, **options)``; error messages contain ``algorithm``.

    Raises:
        UsageError: The factory rejects an option.
    """
    default = inspect.signature(factory).parameters.get("betas")
    count = len(options.get("betas", ()))
    if default is not None and count and count != len(default.default):
        raise UsageError(f"{algorithm}: betas must be {len(default.default)} numbers, not {count}")
    try:
        return factory(param_groups, **options)
    except ValueError as error:
        raise UsageError(f"{algorithm}: {error}") from error


def _is_bias_or_norm(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim < 2 or name.rpartition(".")[2] == "bias"


def _fused(param_groups: list[dict[str, Any]]) -> bool | None:
    """Return True if PyTorch has a fused kernel, otherwise None, which leaves it to PyTorch.

    The fused kernel never reads the step count from the device, so it needs no synchronization. On
    the CPU it requires dense weights.
    """
    supported = all(
        p.device.type in ("cpu", "cuda") and p.is_floating_point() and _is_dense(p)
        for group in param_groups
        for p in group["params"]
    )
    return True if supported else None


def _is_dense(parameter: nn.Parameter) -> bool:
    channels_last = parameter.ndim == 4 and parameter.is_contiguous(
        memory_format=torch.channels_last
    )
    return channels_last or parameter.is_contiguous()


def _pair(betas: Sequence[float]) -> tuple[float, float]:
    if len(betas) != 2:
        raise UsageError(f"betas must be 2 numbers, not {len(betas)}")
    return betas[0], betas[1]
