"""Specs of the built-in backbones, by family, and of any timm architecture. Imports light."""

from __future__ import annotations

from oraclezoo.specs import Spec
from oraclezoo.zoo.backbone_specs.any_timm import timm_spec
from oraclezoo.zoo.backbone_specs.classics import CLASSICS
from oraclezoo.zoo.backbone_specs.convnets import CONVNETS
from oraclezoo.zoo.backbone_specs.mobile import MOBILE
from oraclezoo.zoo.backbone_specs.oraclenet import ORACLENETS
from oraclezoo.zoo.backbone_specs.resnets import RESNETS
from oraclezoo.zoo.backbone_specs.tokens import TOKENS

__all__ = ["BACKBONES", "timm_spec"]

BACKBONES: tuple[Spec, ...] = (*ORACLENETS, *CLASSICS, *RESNETS, *MOBILE, *CONVNETS, *TOKENS)
