"""Specs of residual networks from timm with full (not depthwise) convolutions. No heavy imports."""

from __future__ import annotations

from oraclezoo.specs import Spec
from oraclezoo.zoo.backbones.specs.shared import timm

RESNETS: tuple[Spec, ...] = (
    timm(
        "resnet10t",
        "stride 1 (was 2) in the stem; max-pool kept",
        "after He et al. 2016, arXiv:1512.03385; stem of He et al. 2019, arXiv:1812.01187",
        prunable=True,
        unstride=("conv1",),
    ),
    timm(
        "resnet18",
        "3x3 stem with stride 1 (was 7x7, stride 2); max-pool kept",
        "He et al. 2016, arXiv:1512.03385",
        prunable=True,
        convolutions={"conv1": {"kernel_size": 3, "stride": 1}},
    ),
    timm(
        "seresnet18",
        "stride 1 (was 2) in the 7x7 stem; max-pool kept",
        "Hu et al. 2018, arXiv:1709.01507",
        prunable=True,
        unstride=("conv1",),
    ),
    timm(
        "gernet_s",
        "stride 1 (was 2) in the stem",
        "Lin et al. 2020, arXiv:2006.14090",
        prunable=True,
        unstride=("stem",),
    ),
    timm(
        "regnetx_002",
        "stride 1 (was 2) in stem and first stage",
        "Radosavovic et al. 2020, arXiv:2003.13678",
        prunable=True,
        unstride=("stem", "s1.b1"),
    ),
    timm(
        "regnety_002",
        "stride 1 (was 2) in stem and first stage",
        "Radosavovic et al. 2020, arXiv:2003.13678",
        prunable=True,
        unstride=("stem", "s1.b1"),
    ),
    timm(
        "nf_regnet_b0",
        "stride 1 (was 2) in the stem",
        "Brock et al. 2021, arXiv:2101.08692",
        prunable=True,
        unstride=("stem",),
    ),
    timm(
        "repvgg_a0",
        "stride 1 (was 2) in the stem",
        "Ding et al. 2021, arXiv:2101.03697",
        prunable=True,
        unstride=("stem",),
    ),
)
