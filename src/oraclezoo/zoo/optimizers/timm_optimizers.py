"""Adapters for timm's optimizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from timm import optim
from timm.optim.kron import Kron

from oraclezoo.zoo.optimizers.torch_optimizers import NamedParameters, build, groups


class EagerKron(Kron):
    """timm's Kron with compilation disabled.

    timm compiles parts of the step for each parameter shape, which takes minutes for most models
    and requires a C++ compiler.
    """

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Perform one step; return the closure's loss, or None."""
        with torch.compiler.set_stance("force_eager"):
            return super().step(closure)  # type: ignore[no-untyped-call]  # timm is untyped


def kron(
    named_parameters: NamedParameters, *, weight_decay: float, decay_norms: bool, **options: Any
) -> torch.optim.Optimizer:
    """Return :class:`EagerKron` with decoupled weight decay and a separate random generator.

    Convolution weights are flattened to (out, in, kernel positions). The arguments and exceptions
    are the same as for :func:`from_timm`.
    """
    param_groups = groups(named_parameters, weight_decay, decay_norms=decay_norms)
    fixed = {"decoupled_decay": True, "deterministic": True, "flatten": True}
    return build(EagerKron, "kron", param_groups, {**options, **fixed})


def from_timm(
    named_parameters: NamedParameters,
    *,
    algorithm: str,
    weight_decay: float,
    decay_norms: bool,
    **options: Any,
) -> torch.optim.Optimizer:
    """Return timm's optimizer ``algorithm``, with timm's defaults for omitted options.

    Args:
        named_parameters: Names and parameters of the model; frozen ones are skipped.
        algorithm: Name of the optimizer in timm.
        weight_decay: Weight decay of the parameters that ``decay_norms`` selects.
        decay_norms: Whether to decay biases and one-dimensional parameters too.
        **options: Arguments for timm's class.

    Raises:
        UsageError: The options contradict each other, or the model has no trainable parameters.
    """
    return build(
        optim.get_optimizer_class(algorithm, bind_defaults=True),  # type: ignore[attr-defined]  # timm does not re-export it explicitly
        algorithm,
        groups(named_parameters, weight_decay, decay_norms=decay_norms),
        options,
    )
