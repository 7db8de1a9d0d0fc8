"""Specs of vision transformers, hybrids and mixers. No heavy imports."""

from __future__ import annotations

from oraclezoo.specs import Option, Spec
from oraclezoo.zoo.backbones.specs.shared import (
    DROP_PATH,
    DROP_RATE,
    facts,
    native,
    timm,
    timm_variant,
)

_PATCH_SIZE = Option("patch_size", "int", 4, "patch edge in pixels", low=2, high=32)


def _depth(default: int, content: str = "transformer blocks") -> Option:
    return Option("depth", "int", default, f"number of {content}", low=1, high=24)


TOKENS: tuple[Spec, ...] = (
    timm_variant(
        "vit_tiny",
        "vit_tiny_patch16_224",
        "4x4 patches (was 16x16), depth 4 (was 12), average pooling instead of a class token",
        "Dosovitskiy et al. 2021, arXiv:2010.11929",
        (DROP_RATE, DROP_PATH, _PATCH_SIZE, _depth(4)),
        prunable=True,
        arguments={"class_token": False, "global_pool": "avg"},
    ),
    timm_variant(
        "vit_micro",
        "vit_tiny_patch16_224",
        "4x4 patches (was 16x16), width 96 (was 192), depth 6 (was 12), average pooling instead of "
        "a class token",
        "Dosovitskiy et al. 2021, arXiv:2010.11929",
        (DROP_RATE, DROP_PATH, _PATCH_SIZE, _depth(6)),
        prunable=True,
        arguments={"class_token": False, "global_pool": "avg", "embed_dim": 96},
    ),
    timm_variant(
        "swin_micro",
        "swin_tiny_patch4_window7_224",
        "2x2 patches (was 4x4), width 48 (was 96), stages of 2, 4 blocks (was 2, 2, 6, 2)",
        "Liu et al. 2021, arXiv:2103.14030",
        prunable="its attention heads have a fixed width",
        arguments={
            "patch_size": 2,
            "window_size": 7,
            "embed_dim": 48,
            "depths": (2, 4),
            "num_heads": (3, 6),
        },
    ),
    timm(
        "mobilevitv2_050",
        "stride 1 (was 2) in the stem",
        "Mehta and Rastegari 2022, arXiv:2206.02680",
        prunable="it splits its channels at fixed indices",
        unstride=("stem",),
    ),
    timm(
        "efficientvit_b0",
        "stride 1 (was 2) in the stem and the first stage",
        "Cai et al. 2023, arXiv:2205.14756",
        (DROP_RATE,),
        prunable="its attention heads have a fixed width",
        unstride=("stem", "stages.0.blocks.0"),
    ),
    native(
        "mlp_mixer",
        "mixer:MLPMixer",
        "alternating token-mixing and channel-mixing MLPs on patches",
        "Tolstikhin et al. 2021, arXiv:2105.01601",
        _PATCH_SIZE,
        Option("dim", "int", 128, "embedding dimension of a patch", low=8, high=1024),
        _depth(6, "mixer blocks"),
        facts=facts(prunable="pruning would mistake its token dimension for channels"),
    ),
    native(
        "convmixer",
        "mixer:ConvMixer",
        "alternating depthwise and pointwise convolutions on patches",
        "Trockman and Kolter 2022, arXiv:2201.09792",
        Option("patch_size", "int", 2, "patch edge in pixels", low=1, high=32),
        Option("dim", "int", 96, "embedding dimension of a patch", low=8, high=1024),
        _depth(6, "mixer blocks"),
        Option(
            "kernel_size", "int", 5, "kernel size of the depthwise convolutions", low=1, high=15
        ),
    ),
)
