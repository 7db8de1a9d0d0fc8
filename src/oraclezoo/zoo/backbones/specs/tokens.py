"""Specs of nets with attention or with layers that mix patches. Imports light."""

from __future__ import annotations

from oraclezoo.specs import Option, Spec
from oraclezoo.zoo.backbones.specs.shared import DROP_PATH, DROP_RATE, facts, made, own, timm

_PATCH_SIZE = Option("patch_size", "int", 4, "edge of a patch, in pixels", low=2, high=32)


def _depth(default: int, what: str = "transformer blocks") -> Option:
    return Option("depth", "int", default, f"number of {what}", low=1, high=24)


TOKENS: tuple[Spec, ...] = (
    made(
        "vit_tiny",
        "vit_tiny_patch16_224",
        "patches of 4x4 (was 16x16), depth 4 (was 12), mean of the tokens instead of a class token",
        "Dosovitskiy et al. 2021, arXiv:2010.11929",
        (DROP_RATE, DROP_PATH, _PATCH_SIZE, _depth(4)),
        prunable=True,
        arguments={"class_token": False, "global_pool": "avg"},
    ),
    made(
        "vit_micro",
        "vit_tiny_patch16_224",
        "patches of 4x4 (was 16x16), 96 wide (was 192), depth 6 (was 12), mean of the tokens "
        "instead of a class token",
        "Dosovitskiy et al. 2021, arXiv:2010.11929",
        (DROP_RATE, DROP_PATH, _PATCH_SIZE, _depth(6)),
        prunable=True,
        arguments={"class_token": False, "global_pool": "avg", "embed_dim": 96},
    ),
    made(
        "swin_micro",
        "swin_tiny_patch4_window7_224",
        "patches of 2x2 (was 4x4), 48 wide (was 96), stages of 2, 4 blocks (was 2, 2, 6, 2)",
        "Liu et al. 2021, arXiv:2103.14030",
        prunable="the heads of its attention have a fixed width",
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
        prunable="it cuts its channels into parts at fixed places",
        unstride=("stem",),
    ),
    timm(
        "efficientvit_b0",
        "stride 1 (was 2) in the stem and the first stage",
        "Cai et al. 2023, arXiv:2205.14756",
        (DROP_RATE,),
        prunable="the heads of its attention have a fixed width",
        unstride=("stem", "stages.0.blocks.0"),
    ),
    own(
        "mlp_mixer",
        "mixer:MLPMixer",
        "patches, mixed across the image and across channels by MLPs in turn",
        "Tolstikhin et al. 2021, arXiv:2105.01601",
        _PATCH_SIZE,
        Option("dim", "int", 128, "channels of a patch", low=8, high=1024),
        _depth(6, "mixer blocks"),
        facts=facts(prunable="it mixes the places of a map, which pruning takes for channels"),
    ),
    own(
        "convmixer",
        "mixer:ConvMixer",
        "patches, mixed by depthwise and pointwise convolutions in turn",
        "Trockman and Kolter 2022, arXiv:2201.09792",
        Option("patch_size", "int", 2, "edge of a patch, in pixels", low=1, high=32),
        Option("dim", "int", 96, "channels of a patch", low=8, high=1024),
        _depth(6, "mixer blocks"),
        Option("kernel_size", "int", 5, "edge of the depthwise convolutions", low=1, high=15),
    ),
)
