"""Adapters from oraclezoo's optimizer contract to the package ``schedulefree``.

Frozen parameters are ignored. A new optimizer is in evaluation mode; call ``train()`` before the
first step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from schedulefree import AdamWScheduleFree, RAdamScheduleFree, SGDScheduleFree
from torch import nn

from oraclezoo.errors import UsageError

NamedParameters = Iterable[tuple[str, nn.Parameter]]


def sgd(named_parameters: NamedParameters, **options: Any) -> SGDScheduleFree:
    """Build SGDScheduleFree. Raises UsageError if there is no trainable parameter."""
    return SGDScheduleFree(_trainable(named_parameters), **options)


def adamw(named_parameters: NamedParameters, *, weight_decay: float = 0.0, **options: Any) -> Any:
    """Build AdamWScheduleFree. Raises UsageError without two betas, or without parameters."""
    options = _with_pair(options)
    return AdamWScheduleFree(_groups(named_parameters, weight_decay), **options)


def radam(named_parameters: NamedParameters, *, weight_decay: float = 0.0, **options: Any) -> Any:
    """Build RAdamScheduleFree. Raises UsageError without two betas, or without parameters."""
    options = _with_pair(options)
    return RAdamScheduleFree(_groups(named_parameters, weight_decay), **options)


def _trainable(named_parameters: NamedParameters) -> list[nn.Parameter]:
    trainable = [p for _, p in named_parameters if p.requires_grad]
    if not trainable:
        raise UsageError("the backbone has no trainable parameter")
    return trainable


def _groups(named_parameters: NamedParameters, weight_decay: float) -> list[dict[str, Any]]:
    """Return parameter groups with weight decay for matrices and filters only."""
    parameters = _trainable(named_parameters)
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _with_pair(options: dict[str, Any]) -> dict[str, Any]:
    betas: Sequence[float] = options.get("betas", (0.9, 0.999))
    if len(betas) != 2:
        raise UsageError(f"betas must be two numbers, not {len(betas)}")
    return {**options, "betas": (betas[0], betas[1])}
