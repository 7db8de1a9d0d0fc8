"""Specs of the built-in backbones, by family, and of any timm architecture. No heavy imports."""

from __future__ import annotations

from oraclezoo.specs import Spec
from oraclezoo.zoo.backbones.specs.any_timm import timm_spec
from oraclezoo.zoo.backbones.specs.classics import CLASSICS
from oraclezoo.zoo.backbones.specs.convnets import CONVNETS
from oraclezoo.zoo.backbones.specs.mobile import MOBILE
from oraclezoo.zoo.backbones.specs.oraclenet import ORACLENETS
from oraclezoo.zoo.backbones.specs.resnets import RESNETS
from oraclezoo.zoo.backbones.specs.tokens import TOKENS

__all__ = ["BACKBONES", "timm_spec"]

BACKBONES: tuple[Spec, ...] = (*ORACLENETS, *CLASSICS, *RESNETS, *MOBILE, *CONVNETS, *TOKENS)
