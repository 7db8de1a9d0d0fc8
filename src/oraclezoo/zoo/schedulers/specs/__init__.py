"""Specs of the built-in schedulers. No heavy imports."""

from __future__ import annotations

from oraclezoo.specs import Spec
from oraclezoo.zoo.schedulers.specs.cycles import CYCLES
from oraclezoo.zoo.schedulers.specs.decays import DECAYS

__all__ = ["SCHEDULERS"]

SCHEDULERS: tuple[Spec, ...] = (*DECAYS, *CYCLES)
