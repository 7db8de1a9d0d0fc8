"""Specs of the built-in backbones, and of any timm architecture by name. Imports light."""

from __future__ import annotations

import re

from oraclezoo.errors import UnknownNameError
from oraclezoo.specs import Option, Spec

_TIMM = "oraclezoo.zoo.timm_nets"
_CNN = {"data_init": False, "prunable": True}

_DROP_RATE = Option(
    "drop_rate", "float", 0.0, "dropout probability before the classifier", low=0.0, high=0.9
)
_DROP_PATH = Option(
    "drop_path_rate",
    "float",
    0.0,
    "stochastic depth: probability of skipping the last residual branch, less for earlier ones",
    low=0.0,
    high=0.9,
)

_ORACLENET = "oraclezoo.zoo.oraclenet:OracleNet"
_ORACLENET_FACTS = {"data_init": True, "prunable": True}
_ORACLENET_SOURCE = "this project; ideas of Jordan 2024, arXiv:2404.00498 (whitening, logit scale)"
_ORACLENET_SCALES = (
    Option(
        "whiten_eps",
        "float",
        5e-4,
        "added to each eigenvalue of the patch covariance before its root is divided by",
        low=1e-8,
        high=1.0,
    ),
    Option(
        "logit_scale",
        "float",
        1 / 9,
        "factor on the logits; small values keep early predictions soft",
        low=1e-3,
        high=100.0,
    ),
)

BACKBONES: tuple[Spec, ...] = (
    Spec(
        kind="backbone",
        name="lenet5",
        target="oraclezoo.zoo.lenet:LeNet5",
        summary="the data set authors' CNN: conv 20@5x5, conv 50@5x5, each max-pooled, fc 500",
        facts=_CNN,
        source="Wang and Deng 2024, arXiv:2205.09442; after LeCun et al. 1998",
    ),
    Spec(
        kind="backbone",
        name="oraclenet",
        target=_ORACLENET,
        summary="residual CNN for small images on a frozen patch whitening, of any width and depth",
        options=(
            Option(
                "width",
                "float",
                1.0,
                "multiplies the channels 32, 64, 128 of the stages (to multiples of 8)",
                low=0.25,
                high=8.0,
            ),
            Option("depth", "int", 1, "residual convolutions in each stage", low=0, high=16),
            Option(
                "activation",
                "str",
                "gelu",
                "after the first convolution and each batch norm",
                choices=("gelu", "relu", "silu", "hardswish"),
            ),
            Option(
                "pool", "str", "max", "of the last map to a vector", choices=("max", "avg")
            ),
            Option(
                "whiten",
                "bool",
                True,
                "freeze the first convolution to whiten patches; false: learn it",
            ),
            *_ORACLENET_SCALES,
        ),
        facts=_ORACLENET_FACTS,
        source=_ORACLENET_SOURCE,
    ),
    Spec(
        kind="backbone",
        name="resnet18",
        target=f"{_TIMM}:resnet18",
        summary="timm's resnet18; changed: 3x3 stem of stride 1 (was 7x7, 2); max-pool kept",
        options=(_DROP_RATE, _DROP_PATH),
        facts=_CNN,
        source="He et al. 2016, arXiv:1512.03385; timm",
    ),
    Spec(
        kind="backbone",
        name="mobilenetv3_small_100",
        target=f"{_TIMM}:mobilenetv3_small_100",
        summary="timm's mobilenetv3_small_100; changed: stride 1 (was 2) in stem and first stage",
        options=(_DROP_RATE, _DROP_PATH),
        facts=_CNN,
        source="Howard et al. 2019, arXiv:1905.02244; timm",
    ),
    Spec(
        kind="backbone",
        name="efficientnet_b0",
        target=f"{_TIMM}:efficientnet_b0",
        summary="timm's efficientnet_b0; changed: stride 1 (was 2) in stem and sixth stage",
        options=(_DROP_RATE, _DROP_PATH),
        facts=_CNN,
        source="Tan and Le 2019, arXiv:1905.11946; timm",
    ),
    Spec(
        kind="backbone",
        name="convnext_atto",
        target=f"{_TIMM}:convnext_atto",
        summary="timm's convnext_atto; changed: 4x4 stem of stride 2, padding 3 (was 4, 0): "
        "28 pixels become 16; layer scale starts at 0.1 (was 1e-6)",
        options=(
            _DROP_RATE,
            _DROP_PATH,
            Option(
                "ls_init_value",
                "float",
                0.1,
                "start of the layer scale of each residual branch",
                low=1e-6,
                high=1.0,
            ),
        ),
        facts=_CNN,
        source="Liu et al. 2022, arXiv:2201.03545; layer scale arXiv:2103.17239; timm",
    ),
    Spec(
        kind="backbone",
        name="vit_tiny",
        target=f"{_TIMM}:vit_tiny",
        summary="timm's vit_tiny_patch16_224; changed: patches of 4x4 (was 16x16), depth 4 (was "
        "12), mean of the tokens instead of a class token",
        options=(
            _DROP_RATE,
            _DROP_PATH,
            Option("patch_size", "int", 4, "edge of a patch, in pixels", low=2, high=32),
            Option("depth", "int", 4, "number of transformer blocks", low=1, high=24),
        ),
        facts={"data_init": False, "prunable": False},
        source="Dosovitskiy et al. 2021, arXiv:2010.11929; timm",
    ),
)

TIMM_PREFIX = "timm/"
_ARCHITECTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def timm_spec(name: str) -> Spec:
    """The spec of backbone ``timm/<architecture>``, at timm's own strides. timm is not imported.

    Whether timm has the architecture shows when it is built. Raises UnknownNameError for a name
    that no architecture can have.
    """
    architecture = name.removeprefix(TIMM_PREFIX)
    if not _ARCHITECTURE.fullmatch(architecture):
        raise UnknownNameError("backbone", name, (), "write timm/<architecture>")
    drop_rate, drop_path = (
        Option(
            option.name,
            option.type,
            None,
            f"{option.help}; timm's default if left out",
            low=option.low,
            high=option.high,
        )
        for option in (_DROP_RATE, _DROP_PATH)
    )
    return Spec(
        kind="backbone",
        name=TIMM_PREFIX + architecture,
        target=f"{_TIMM}:create",
        summary=f"timm's {architecture}, unchanged, from scratch",
        options=(drop_rate, drop_path),
        facts={"data_init": False, "prunable": False},
        source="timm",
        fixed={"architecture": architecture},
    )
