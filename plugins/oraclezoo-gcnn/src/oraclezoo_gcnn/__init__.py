"""A group-equivariant CNN for oraclezoo. Light imports only."""

from __future__ import annotations

from oraclezoo.hookspecs import hookimpl
from oraclezoo.specs import Option, Spec

oraclezoo_plugin_api = ">=1,<2"


@hookimpl
def oraclezoo_backbones() -> list[Spec]:
    """Return the backbone ``gcnn``."""
    return [
        Spec(
            kind="backbone",
            name="gcnn",
            target="oraclezoo_gcnn.net:GCNN",
            summary="group-equivariant CNN: equal logits for mirrored (or rotated) images",
            options=(
                Option(
                    "group",
                    "str",
                    "mirror",
                    "mirror: reflection; p4: rotations by 90 degrees; p4m: both",
                    choices=("mirror", "p4", "p4m"),
                ),
                Option(
                    "width",
                    "int",
                    24,
                    "channels per group element in the first stage; then 2 and 4 times",
                    low=4,
                    high=256,
                ),
                Option(
                    "pool",
                    "str",
                    "max",
                    "pooling of the last feature map, over space and group",
                    choices=("max", "avg"),
                ),
            ),
            facts={"data_init": False, "prunable": False},
            source="Cohen and Welling 2016, arXiv:1602.07576",
        )
    ]
