"""Specs of the built-in optimizers, grouped by implementation. No heavy imports."""

from __future__ import annotations

from oraclezoo.specs import Spec
from oraclezoo.zoo.optimizers.specs.from_timm import FROM_TIMM
from oraclezoo.zoo.optimizers.specs.from_torch import FROM_TORCH
from oraclezoo.zoo.optimizers.specs.own import OWN

__all__ = ["OPTIMIZERS"]

OPTIMIZERS: tuple[Spec, ...] = (*OWN, *FROM_TORCH, *FROM_TIMM)
