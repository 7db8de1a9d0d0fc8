"""Specs of the built-in schedulers. Imports light."""

from __future__ import annotations

from oraclezoo.specs import Spec
from oraclezoo.zoo.scheduler_specs.cycles import CYCLES
from oraclezoo.zoo.scheduler_specs.decays import DECAYS

__all__ = ["SCHEDULERS"]

SCHEDULERS: tuple[Spec, ...] = (*DECAYS, *CYCLES)
