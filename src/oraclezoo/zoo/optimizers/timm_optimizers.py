"""timm's optimizers under the contract of oraclezoo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from timm import optim
from timm.optim.kron import Kron

from oraclezoo.zoo.optimizers.torch_optimizers import NamedParameters, build, groups


class EagerKron(Kron):
    """timm's Kron, which compiles parts of its step for each shape, run without compiling.

    On a net of many shapes compiling takes minutes, and needs a C++ compiler.
    """

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; the closure's loss, if one is given."""
        with torch.compiler.set_stance("force_eager"):
            return super().step(closure)  # type: ignore[no-untyped-call]  # timm is untyped


def kron(
    named_parameters: NamedParameters, *, weight_decay: float, decay_norms: bool, **options: Any
) -> torch.optim.Optimizer:
    """:class:`EagerKron` with decoupled decay; its own random numbers do not change torch's.

    Convolutions are seen as (out, in, places). Raises as :func:`from_timm`.
    """
    made = groups(named_parameters, weight_decay, decay_norms=decay_norms)
    fixed = {"decoupled_decay": True, "deterministic": True, "flatten": True}
    return build(EagerKron, "kron", made, {**options, **fixed})


def from_timm(
    named_parameters: NamedParameters,
    *,
    algorithm: str,
    weight_decay: float,
    decay_norms: bool,
    **options: Any,
) -> torch.optim.Optimizer:
    """The optimizer that timm calls ``algorithm``; timm's own defaults where nothing is given.

    Raises UsageError for options that contradict each other, and as
    :func:`oraclezoo.zoo.optimizers.torch_optimizers.groups`.
    """
    return build(
        optim.get_optimizer_class(algorithm, bind_defaults=True),  # type: ignore[attr-defined]  # timm does not mark it as its own
        algorithm,
        groups(named_parameters, weight_decay, decay_norms=decay_norms),
        options,
    )
