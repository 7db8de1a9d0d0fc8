"""Specs of oraclenet. Imports light."""

from __future__ import annotations

from oraclezoo.specs import Option, Spec

_ORACLENET = "oraclezoo.zoo.backbones.oraclenet:OracleNet"
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


def _size(letter: str, width: float, about: str) -> Spec:
    """One of the three sizes that are trained and shipped."""
    channels = ", ".join(f"{stage * width:g}" for stage in (32, 64, 128))
    return Spec(
        kind="backbone",
        name=f"oraclenet_{letter}",
        target=_ORACLENET,
        summary=f"oraclenet with stages of {channels} channels: {about}",
        options=_ORACLENET_SCALES,
        facts=_ORACLENET_FACTS,
        source=_ORACLENET_SOURCE,
        fixed={"width": width},
    )


ORACLENETS: tuple[Spec, ...] = (
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
            Option(
                "depth",
                "int",
                1,
                "residual convolutions in each stage",
                low=0,
                high=16,
                later=True,
            ),
            Option(
                "activation",
                "str",
                "gelu",
                "after the first convolution and each batch norm",
                choices=("gelu", "relu", "silu", "hardswish"),
                later=True,
            ),
            Option(
                "pool",
                "str",
                "max",
                "of the last map to a vector",
                choices=("max", "avg"),
                later=True,
            ),
            Option(
                "whiten",
                "bool",
                True,
                "freeze the first convolution to whiten patches; false: learn it",
                later=True,
            ),
            *_ORACLENET_SCALES,
        ),
        facts=_ORACLENET_FACTS,
        source=_ORACLENET_SOURCE,
    ),
    _size("n", 0.5, "0.08M parameters, under 100 kB as int8"),
    _size("s", 1.0, "0.29M parameters"),
    _size("b", 1.25, "0.46M parameters"),
)
