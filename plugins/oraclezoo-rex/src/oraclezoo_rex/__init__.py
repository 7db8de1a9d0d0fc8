"""The REX schedule for oraclezoo. Light imports only."""

from __future__ import annotations

from oraclezoo.hookspecs import hookimpl
from oraclezoo.specs import Option, Spec

oraclezoo_plugin_api = ">=1,<2"


@hookimpl
def oraclezoo_schedulers() -> list[Spec]:
    """Return the scheduler ``rex``."""
    return [
        Spec(
            kind="scheduler",
            name="rex",
            target="oraclezoo_rex.schedule:REX",
            summary="linear warm-up, then REX: slow decay with a steep drop at the end",
            options=(
                Option(
                    "warmup",
                    "float",
                    0.0,
                    "fraction of the steps over which the learning rate rises linearly",
                    low=0.0,
                    high=1.0,
                ),
                Option(
                    "beta",
                    "float",
                    0.5,
                    "shape: 0 is linear decay, 0.5 the curve of the paper",
                    low=0.0,
                    high=0.99,
                ),
                Option(
                    "lr_min_ratio",
                    "float",
                    0.0,
                    "final learning rate, as a fraction of the optimizer's",
                    low=0.0,
                    high=1.0,
                ),
            ),
            facts={"metric": False},
            source="Chen, Wolfe and Kyrillidis 2022, arXiv:2107.04197",
        )
    ]
