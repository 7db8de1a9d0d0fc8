"""Helpers for optimizer specs. No heavy imports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oraclezoo.specs import Option

DECOUPLED = "decoupled weight decay, scaled by lr"
PENALTY = "L2 penalty: this times the weight is added to the gradient"


def facts(*, separable: bool = True, needs_closure: bool = False) -> Mapping[str, Any]:
    """Return the metadata of an optimizer that uses one algorithm for all parameters."""
    return {
        "needs_closure": needs_closure,
        "train_eval": False,
        "separable": separable,
        "takes": "all trainable parameters",
        "others": "none",
    }


def lr(default: float, help: str = "learning rate") -> Option:
    """Return the option for the learning rate."""
    return Option("lr", "float", default, help, low=1e-8, high=100.0)


def betas(*default: float, content: str = "of the gradient and of its square") -> Option:
    """Return the option for the decay rates of running averages."""
    count = {2: "two", 3: "three"}[len(default)]
    help = f"{count} decay rates of running averages: {content}"
    return Option("betas", "floats", default, help, low=0.0, high=0.999999)


def eps(default: float, help: str = "added to the denominator") -> Option:
    """Return the option for the constant that is added to the denominator."""
    return Option("eps", "float", default, help, low=1e-30, high=1.0)


def momentum(default: float, help: str = "momentum") -> Option:
    """Return the option for momentum."""
    return Option("momentum", "float", default, help, low=0.0, high=0.9999)


def flag(name: str, default: bool, help: str) -> Option:
    """Return a boolean option."""
    return Option(name, "bool", default, help)


def number(name: str, default: float, help: str, low: float, high: float) -> Option:
    """Return an option for a number in the range ``low`` to ``high``."""
    return Option(name, "float", default, help, low=low, high=high)


def decay(default: float, help: str, *, norms: bool = False) -> tuple[Option, Option]:
    """Return two options: weight decay, and whether it also applies to biases and norms."""
    return (
        Option("weight_decay", "float", default, help, low=0.0, high=1.0),
        Option(
            "decay_norms",
            "bool",
            norms,
            "decay biases and one-dimensional parameters (norms) too",
            later=True,
        ),
    )
