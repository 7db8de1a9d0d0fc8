"""A group-equivariant CNN for oraclezoo. Imports nothing heavy."""

from __future__ import annotations

from oraclezoo.hookspecs import hookimpl
from oraclezoo.specs import Option, Spec

oraclezoo_plugin_api = ">=1,<2"


@hookimpl
def oraclezoo_backbones() -> list[Spec]:
    """One backbone: ``gcnn``."""
    return [
        Spec(
            kind="backbone",
            name="gcnn",
            target="oraclezoo_gcnn.net:GCNN",
            summary="group-equivariant CNN: mirrored (or turned) images get equal logits",
            options=(
                Option(
                    "group",
                    "str",
                    "mirror",
                    "mirror: reflection; p4: quarter turns; p4m: both",
                    choices=("mirror", "p4", "p4m"),
                ),
                Option(
                    "width",
                    "int",
                    24,
                    "channels of the first stage for each element of the group; then 2 and 4 times",
                    low=4,
                    high=256,
                ),
                Option(
                    "pool",
                    "str",
                    "max",
                    "of the last map, also over the group",
                    choices=("max", "avg"),
                ),
            ),
            facts={"data_init": False, "prunable": False},
            source="Cohen and Welling 2016, arXiv:1602.07576",
        )
    ]
