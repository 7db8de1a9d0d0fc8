"""Specs of other convolutional networks from timm: ConvNeXt, DenseNet etc. No heavy imports."""

from __future__ import annotations

from oraclezoo.specs import Option, Spec
from oraclezoo.zoo.backbones.specs.shared import DROP_PATH, DROP_RATE, timm, timm_variant

_SMALL_STEM = {"stem.0": {"stride": 2, "padding": 3}}
_STEM = "4x4 stem with stride 2 and padding 3 (was 4 and 0), 28 pixels to 16"
_LAYER_SCALE = Option(
    "ls_init_value",
    "float",
    0.1,
    "initial layer scale of each residual branch",
    low=1e-6,
    high=1.0,
)

CONVNETS: tuple[Spec, ...] = (
    timm(
        "convnext_atto",
        f"{_STEM}; layer scale starts at 0.1 (was 1e-6)",
        "Liu et al. 2022, arXiv:2201.03545; layer scale arXiv:2103.17239",
        (DROP_RATE, DROP_PATH, _LAYER_SCALE),
        prunable=True,
        convolutions=_SMALL_STEM,
    ),
    timm(
        "convnext_femto",
        f"{_STEM}; layer scale starts at 0.1 (was 1e-6)",
        "Liu et al. 2022, arXiv:2201.03545; layer scale arXiv:2103.17239",
        (DROP_RATE, DROP_PATH, _LAYER_SCALE),
        prunable=True,
        convolutions=_SMALL_STEM,
    ),
    timm(
        "convnextv2_atto",
        _STEM,
        "Woo et al. 2023, arXiv:2301.00808",
        prunable=True,
        convolutions=_SMALL_STEM,
    ),
    timm(
        "inception_next_atto",
        f"{_STEM}; layer scale starts at 0.1 (was 1e-6)",
        "Yu et al. 2024, arXiv:2303.16900",
        (DROP_RATE, DROP_PATH, _LAYER_SCALE),
        prunable="it splits its channels at fixed indices",
        convolutions=_SMALL_STEM,
    ),
    timm(
        "edgenext_xx_small",
        _STEM,
        "Maaz et al. 2022, arXiv:2206.10589",
        prunable="it splits its channels at fixed indices",
        convolutions=_SMALL_STEM,
    ),
    timm(
        "hgnetv2_b0",
        "stride 1 (was 2) in the first convolution",
        "Zhao et al. 2024, arXiv:2304.08069 (its backbone)",
        prunable=True,
        unstride=("stem.stem1",),
    ),
    timm_variant(
        "densenet_bc_34",
        "densenet121",
        "3x3 stem with stride 1 (was 7x7, stride 2) and no pooling after it; three dense blocks of "
        "5 layers with growth rate 12 (was 6, 12, 24, 16 layers with growth rate 32)",
        "Huang et al. 2017, arXiv:1608.06993",
        (DROP_RATE,),
        prunable=True,
        arguments={"growth_rate": 12, "block_config": (5, 5, 5)},
        convolutions={"features.conv0": {"kernel_size": 3, "stride": 1}},
        unstride=("features.pool0",),
    ),
)
