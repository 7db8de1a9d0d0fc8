"""Specs of the built-in optimizers, by where their code comes from. Imports light."""

from __future__ import annotations

from oraclezoo.specs import Spec
from oraclezoo.zoo.optimizer_specs.from_timm import FROM_TIMM
from oraclezoo.zoo.optimizer_specs.from_torch import FROM_TORCH
from oraclezoo.zoo.optimizer_specs.own import OWN

__all__ = ["OPTIMIZERS"]

OPTIMIZERS: tuple[Spec, ...] = (*OWN, *FROM_TORCH, *FROM_TIMM)
