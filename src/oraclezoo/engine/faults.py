"""Training errors that are caused by a component; the messages name the component."""

from __future__ import annotations

import math
from typing import Any

from torch.optim import Optimizer

from oraclezoo.engine.checkpoint import unsavable
from oraclezoo.engine.records import Parts
from oraclezoo.errors import DivergedError, PluginError
from oraclezoo.recipe import Recipe


def check_rates(optimizer: Optimizer, recipe: Recipe, when: str) -> None:
    """Raise PluginError if a learning rate is not finite, before it makes the loss diverge.

    Learning rates that are tensors are not read, since reading would synchronize with the device.

    Args:
        optimizer: The optimizer.
        recipe: The recipe, which names the scheduler.
        when: The end of the error message, which says when the error occurred.
    """
    for group in optimizer.param_groups:
        rate: Any = group.get("lr", 0.0)
        if isinstance(rate, (int, float)) and not math.isfinite(rate):
            raise PluginError(
                f"scheduler '{recipe.scheduler.name}' sets the learning rate to {rate} {when}; "
                "it must be finite"
            )


def diverged(quantity: str, epoch: int) -> DivergedError:
    """Return the error for a training run whose loss is no longer finite.

    Args:
        quantity: Clause that names the loss and its value, e.g. "the loss is nan".
        epoch: Number of the epoch in which this happened.

    Returns:
        The error.
    """
    return DivergedError(
        f"{quantity} in epoch {epoch}: training diverged; "
        "try a lower learning rate, e.g. -s optimizer.lr=..."
    )


def check_start(parts: Parts, recipe: Recipe) -> None:
    """Raise PluginError if the components' state or the learning rates are invalid before training.

    Args:
        parts: Model, optimizer and scheduler.
        recipe: The recipe that names them.
    """
    check_state(parts, recipe)
    check_rates(parts.optimizer, recipe, "before training")


def check_state(parts: Parts, recipe: Recipe) -> None:
    """Raise PluginError if the state of a component cannot be stored in a checkpoint.

    Args:
        parts: Model, optimizer and scheduler.
        recipe: The recipe that names them.
    """
    for kind, name, component in (
        ("backbone", recipe.backbone.name, parts.model),
        ("optimizer", recipe.optimizer.name, parts.optimizer),
        ("scheduler", recipe.scheduler.name, parts.scheduler),
    ):
        fault = unsavable(component.state_dict(), "state")
        if fault:
            raise PluginError(
                f"{kind} '{name}': its state_dict() cannot be saved: {fault}; a state holds "
                "tensors, numbers, strings, None, and lists, tuples and dicts of these"
            )
