"""A plugin whose scheduler goes by another plugin's name."""

from __future__ import annotations

from oraclezoo.hookspecs import hookimpl
from oraclezoo.specs import Spec


@hookimpl
def oraclezoo_schedulers() -> list[Spec]:
    """One scheduler, called ``rex`` as that of oraclezoo-rex is."""
    return [
        Spec(
            kind="scheduler",
            name="rex",
            target="oraclezoo_test_clash.schedule:HalfAtHalf",
            summary="half of the learning rate from half of the steps on",
            facts={"metric": False},
            source="a test",
        )
    ]
