"""A plugin whose scheduler has the name of another plugin's."""

from __future__ import annotations

from oraclezoo.hookspecs import hookimpl
from oraclezoo.specs import Spec


@hookimpl
def oraclezoo_schedulers() -> list[Spec]:
    """Return a scheduler named ``rex``, like that of oraclezoo-rex."""
    return [
        Spec(
            kind="scheduler",
            name="rex",
            target="oraclezoo_test_clash.schedule:HalfAtHalf",
            summary="halves the learning rate at half of the steps",
            facts={"metric": False},
            source="a test",
        )
    ]
