"""Specs of mobile architectures from timm (depthwise-separable convolutions). No heavy imports."""

from __future__ import annotations

from typing import Any

from oraclezoo.specs import Spec
from oraclezoo.zoo.backbones.specs.shared import DROP_RATE, timm

_STEM = "stride 1 (was 2) in the stem"
_STEM_AND_SECOND = "stride 1 (was 2) in the stem and the second stage"
_STEM_AND_SIXTH = "stride 1 (was 2) in the stem and the sixth stage"


def _small_classifier(
    name: str, change: str, source: str, *, prunable: bool | str, **fixed: Any
) -> Spec:
    """Return a spec whose classifier is initialized with small weights.

    timm's initialization is meant for 1,000 classes; with ten classes, the logits are too large.
    """
    change = f"{change}; smaller initial classifier weights"
    return timm(name, change, source, prunable=prunable, classifier_std=0.02, **fixed)


MOBILE: tuple[Spec, ...] = (
    _small_classifier(
        "mobilenetv1_100",
        _STEM,
        "Howard et al. 2017, arXiv:1704.04861",
        prunable=True,
        unstride=("conv_stem",),
    ),
    _small_classifier(
        "mobilenetv2_050",
        _STEM_AND_SECOND,
        "Sandler et al. 2018, arXiv:1801.04381",
        prunable=True,
        unstride=("conv_stem", "blocks.1.0"),
    ),
    _small_classifier(
        "mobilenetv3_small_100",
        "stride 1 (was 2) in stem and first stage",
        "Howard et al. 2019, arXiv:1905.02244",
        prunable=True,
        unstride=("conv_stem", "blocks.0.0"),
    ),
    _small_classifier(
        "mobilenetv3_large_100",
        _STEM_AND_SIXTH,
        "Howard et al. 2019, arXiv:1905.02244",
        prunable=True,
        unstride=("conv_stem", "blocks.5.0"),
    ),
    _small_classifier(
        "mobilenetv4_conv_small",
        "stride 1 (was 2) in the stem and the first stage",
        "Qin et al. 2024, arXiv:2404.10518",
        prunable=True,
        unstride=("conv_stem", "blocks.0.0"),
    ),
    _small_classifier(
        "mnasnet_small",
        _STEM_AND_SECOND,
        "Tan et al. 2019, arXiv:1807.11626",
        prunable=True,
        unstride=("conv_stem", "blocks.1.0"),
    ),
    _small_classifier(
        "fbnetc_100",
        _STEM_AND_SIXTH,
        "Wu et al. 2019, arXiv:1812.03443",
        prunable=True,
        unstride=("conv_stem", "blocks.5.0"),
    ),
    _small_classifier(
        "hardcorenas_a",
        _STEM_AND_SIXTH,
        "Nayman et al. 2021, arXiv:2102.11646",
        prunable=True,
        unstride=("conv_stem", "blocks.5.0"),
    ),
    _small_classifier(
        "efficientnet_b0",
        "stride 1 (was 2) in stem and sixth stage",
        "Tan and Le 2019, arXiv:1905.11946",
        prunable=True,
        unstride=("conv_stem", "blocks.5.0"),
    ),
    _small_classifier(
        "efficientnet_lite0",
        _STEM_AND_SIXTH,
        "after Tan and Le 2019, arXiv:1905.11946, without squeeze-and-excitation",
        prunable=True,
        unstride=("conv_stem", "blocks.5.0"),
    ),
    _small_classifier(
        "tf_efficientnetv2_b0",
        _STEM,
        "Tan and Le 2021, arXiv:2104.00298",
        prunable=True,
        unstride=("conv_stem",),
    ),
    _small_classifier(
        "tinynet_e",
        _STEM_AND_SECOND,
        "Han et al. 2020, arXiv:2010.14819",
        prunable=True,
        unstride=("conv_stem", "blocks.1.0"),
    ),
    _small_classifier(
        "mixnet_s",
        _STEM_AND_SIXTH,
        "Tan and Le 2019, arXiv:1907.09595",
        prunable="it splits its channels at fixed indices",
        unstride=("conv_stem", "blocks.5.0"),
    ),
    _small_classifier(
        "lcnet_050",
        _STEM_AND_SECOND,
        "Cui et al. 2021, arXiv:2109.15099",
        prunable=True,
        unstride=("conv_stem", "blocks.1.0"),
    ),
    _small_classifier(
        "rexnet_100",
        "stride 1 (was 2) in the stem and the twelfth block",
        "Han et al. 2021, arXiv:2007.00992",
        prunable="its shortcuts cover a fixed range of channels",
        unstride=("stem", "features.11"),
    ),
    timm(
        "ghostnet_050",
        _STEM_AND_SECOND,
        "Han et al. 2020, arXiv:1911.11907",
        (DROP_RATE,),
        prunable="it splits its channels at fixed indices",
        unstride=("conv_stem", "blocks.1.0"),
    ),
    timm(
        "fastvit_t8",
        "stride 1 (was 2) in the first convolution",
        "Vasu et al. 2023, arXiv:2303.14189",
        prunable="pruning cannot trace the shape of its layer scales",
        unstride=("stem.0",),
    ),
    timm(
        "repvit_m0_9",
        "stride 1 (was 2) in the first convolution",
        "Wang et al. 2024, arXiv:2307.09283",
        (DROP_RATE,),
        prunable=True,
        unstride=("stem.conv1",),
    ),
)
