"""Specs of OracleNet. No heavy imports."""

from __future__ import annotations

from oraclezoo.specs import Option, Spec

_ORACLENET = "oraclezoo.zoo.backbones.oraclenet:OracleNet"
_ORACLENET_FACTS = {"data_init": True, "prunable": True}
_ORACLENET_SOURCE = "this project; whitening and logit scale after Jordan 2024, arXiv:2404.00498"
_ORACLENET_SCALES = (
    Option(
        "whiten_eps",
        "float",
        5e-4,
        "added to the eigenvalues of the patch covariance before their square root",
        low=1e-8,
        high=1.0,
    ),
    Option(
        "logit_scale",
        "float",
        1 / 9,
        "factor on the logits; small values keep early predictions uncertain",
        low=1e-3,
        high=100.0,
    ),
)


def _size(letter: str, width: float, about: str) -> Spec:
    """Return the spec of one of the three sizes with bundled weights."""
    channels = ", ".join(f"{stage * width:g}" for stage in (32, 64, 128))
    return Spec(
        kind="backbone",
        name=f"oraclenet_{letter}",
        target=_ORACLENET,
        summary=f"OracleNet with stages of {channels} channels, {about}",
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
        summary="small residual CNN with a frozen patch-whitening layer, of any width and depth",
        options=(
            Option(
                "width",
                "float",
                1.0,
                "multiplier of the stages' channels 32, 64, 128 (rounded to multiples of 8)",
                low=0.25,
                high=8.0,
            ),
            Option(
                "depth",
                "int",
                1,
                "residual convolutions per stage",
                low=0,
                high=16,
                later=True,
            ),
            Option(
                "activation",
                "str",
                "gelu",
                "activation after the first convolution and each batch norm",
                choices=("gelu", "relu", "silu", "hardswish"),
                later=True,
            ),
            Option(
                "pool",
                "str",
                "max",
                "global pooling of the last feature map",
                choices=("max", "avg"),
                later=True,
            ),
            Option(
                "whiten",
                "bool",
                True,
                "freeze the first convolution as patch whitening; false trains it",
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
