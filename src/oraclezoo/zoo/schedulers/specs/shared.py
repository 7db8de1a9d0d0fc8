"""What specs of schedulers have in common. Imports light."""

from __future__ import annotations

from oraclezoo.specs import Option, Spec

FACTS = {"metric": False}


def warmup(default: float = 0.0, *, later: bool = False) -> Option:
    """The part of the training that warms up."""
    help = "fraction of the steps over which the learning rate rises linearly"
    return Option("warmup", "float", default, help, low=0.0, high=1.0, later=later)


def lr_min_ratio(default: float = 0.0) -> Option:
    """Where the learning rate ends."""
    help = "last learning rate, as a fraction of the optimizer's"
    return Option("lr_min_ratio", "float", default, help, low=0.0, high=1.0)


def number(name: str, default: float, help: str, low: float, high: float) -> Option:
    """Any other number."""
    return Option(name, "float", default, help, low=low, high=high)


def scheduler(name: str, target: str, summary: str, source: str, *options: Option) -> Spec:
    """The spec of a scheduler that is stepped with the optimizer."""
    return Spec(
        kind="scheduler",
        name=name,
        target=f"oraclezoo.zoo.schedulers.{target}",
        summary=summary,
        options=options,
        facts=FACTS,
        source=source,
    )
