"""torch's own optimizers under the contract of oraclezoo: named parameters in, frozen ones out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

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


def groups(
    named_parameters: NamedParameters, weight_decay: float, *, decay_norms: bool
) -> list[dict[str, Any]]:
    """Parameter groups with their weight decay: none for biases and norms unless ``decay_norms``.

    A norm's parameters are taken to be those of one dimension, as timm takes them; a bias is one
    that is called so. Raises UsageError if there is no trainable parameter.
    """
    parameters = trainable(named_parameters)
    spared = [] if decay_norms else [p for name, p in parameters if _is_bias_or_norm(name, p)]
    ids = {id(p) for p in spared}
    found = [
        {"params": [p for _, p in parameters if id(p) not in ids], "weight_decay": weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    return [group for group in found if group["params"]]


def sgd(
    named_parameters: NamedParameters,
    *,
    lr: float = 0.1,
    momentum: float = 0.9,
    nesterov: bool = True,
    weight_decay: float = 5e-4,
    decay_norms: bool = True,
) -> torch.optim.SGD:
    """torch.optim.SGD. Raises UsageError for Nesterov momentum without momentum."""
    if nesterov and momentum == 0:
        raise UsageError("sgd: nesterov needs a momentum above 0; set nesterov = false")
    made = groups(named_parameters, weight_decay, decay_norms=decay_norms)
    return torch.optim.SGD(made, lr=lr, momentum=momentum, nesterov=nesterov, fused=_fused(made))


def adam(
    named_parameters: NamedParameters,
    *,
    lr: float = 1e-3,
    betas: Sequence[float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decay_norms: bool = True,
) -> torch.optim.Adam:
    """torch.optim.Adam; ``weight_decay`` is an L2 penalty."""
    made = groups(named_parameters, weight_decay, decay_norms=decay_norms)
    return torch.optim.Adam(made, lr=lr, betas=_pair(betas), eps=eps, fused=_fused(made))


def adamw(
    named_parameters: NamedParameters,
    *,
    lr: float = 2e-3,
    betas: Sequence[float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.05,
    decay_norms: bool = False,
) -> torch.optim.AdamW:
    """torch.optim.AdamW; ``weight_decay`` is decoupled, and spares biases and norms."""
    made = groups(named_parameters, weight_decay, decay_norms=decay_norms)
    return torch.optim.AdamW(made, lr=lr, betas=_pair(betas), eps=eps, fused=_fused(made))


def from_torch(
    named_parameters: NamedParameters,
    *,
    algorithm: str,
    weight_decay: float,
    decay_norms: bool,
    **options: Any,
) -> torch.optim.Optimizer:
    """The class of torch.optim called ``algorithm``, with its own defaults where nothing is given.

    Raises UsageError for options that contradict each other, and as :func:`groups`.
    """
    made = groups(named_parameters, weight_decay, decay_norms=decay_norms)
    return build(getattr(torch.optim, algorithm), algorithm, made, options)


def build(
    factory: Callable[..., torch.optim.Optimizer],
    algorithm: str,
    made: list[dict[str, Any]],
    options: Mapping[str, Any],
) -> torch.optim.Optimizer:
    """``factory`` over parameter groups. Raises UsageError for what it does not take."""
    default = inspect.signature(factory).parameters.get("betas")
    count = len(options.get("betas", ()))
    if default is not None and count and count != len(default.default):
        raise UsageError(f"{algorithm}: betas are {len(default.default)} numbers, not {count}")
    try:
        return factory(made, **options)
    except ValueError as error:
        raise UsageError(f"{algorithm}: {error}") from error


def _is_bias_or_norm(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim < 2 or name.rpartition(".")[2] == "bias"


def _fused(made: list[dict[str, Any]]) -> bool | None:
    """True where torch has one kernel for a whole step; None lets torch choose.

    It is also the way that never reads a step count back: nothing is waited for. On the CPU such a
    kernel takes memory as it lies, so weights must fill theirs.
    """
    known = all(
        p.device.type in ("cpu", "cuda") and p.is_floating_point() and _is_dense(p)
        for group in made
        for p in group["params"]
    )
    return True if known else None


def _is_dense(parameter: nn.Parameter) -> bool:
    channels_last = parameter.ndim == 4 and parameter.is_contiguous(
        memory_format=torch.channels_last
    )
    return channels_last or parameter.is_contiguous()


def _pair(betas: Sequence[float]) -> tuple[float, float]:
    if len(betas) != 2:
        raise UsageError(f"betas are 2 numbers, not {len(betas)}")
    return betas[0], betas[1]
