"""What specs of optimizers have in common. Imports light."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oraclezoo.specs import Option

DECOUPLED = "decoupled: weights shrink by lr times this, beside the step"
PENALTY = "L2 penalty: added to the gradient, times the weight"


def facts(*, separable: bool = True, needs_closure: bool = False) -> Mapping[str, Any]:
    """The facts of an optimizer that updates every parameter in one way."""
    return {
        "needs_closure": needs_closure,
        "train_eval": False,
        "separable": separable,
        "takes": "all trainable parameters",
        "others": "none",
    }


def lr(default: float, help: str = "learning rate") -> Option:
    """The learning rate."""
    return Option("lr", "float", default, help, low=1e-8, high=100.0)


def betas(*default: float, what: str = "of the mean of gradients and of their squares") -> Option:
    """Decay rates of running means."""
    count = {2: "two", 3: "three"}[len(default)]
    help = f"{count} decay rates: {what}"
    return Option("betas", "floats", default, help, low=0.0, high=0.999999)


def eps(default: float, help: str = "added to the denominator") -> Option:
    """A small number that keeps a quotient finite."""
    return Option("eps", "float", default, help, low=1e-30, high=1.0)


def momentum(default: float, help: str = "momentum") -> Option:
    """Momentum."""
    return Option("momentum", "float", default, help, low=0.0, high=0.9999)


def flag(name: str, default: bool, help: str) -> Option:
    """A switch."""
    return Option(name, "bool", default, help)


def number(name: str, default: float, help: str, low: float, high: float) -> Option:
    """Any other number."""
    return Option(name, "float", default, help, low=low, high=high)


def decay(default: float, help: str, *, norms: bool = False) -> tuple[Option, Option]:
    """Weight decay, and whether biases and norms are decayed too."""
    return (
        Option("weight_decay", "float", default, help, low=0.0, high=1.0),
        Option(
            "decay_norms",
            "bool",
            norms,
            "decay biases and parameters of one dimension too, as norms have",
            later=True,
        ),
    )
