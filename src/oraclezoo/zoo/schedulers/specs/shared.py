"""Helpers for scheduler specs. No heavy imports."""

from __future__ import annotations

from oraclezoo.specs import Option, Spec

FACTS = {"metric": False}


def warmup(default: float = 0.0, *, later: bool = False) -> Option:
    """Return the option for the length of the warm-up."""
    help = "fraction of the steps with linear warm-up"
    return Option("warmup", "float", default, help, low=0.0, high=1.0, later=later)


def lr_min_ratio(default: float = 0.0) -> Option:
    """Return the option for the final learning rate."""
    help = "final learning rate as a fraction of the optimizer's"
    return Option("lr_min_ratio", "float", default, help, low=0.0, high=1.0)


def number(name: str, default: float, help: str, low: float, high: float) -> Option:
    """Return an option for a number in the range ``low`` to ``high``."""
    return Option(name, "float", default, help, low=low, high=high)


def scheduler(name: str, target: str, summary: str, source: str, *options: Option) -> Spec:
    """Return the spec of a scheduler that is stepped after each optimizer step."""
    return Spec(
        kind="scheduler",
        name=name,
        target=f"oraclezoo.zoo.schedulers.{target}",
        summary=summary,
        options=options,
        facts=FACTS,
        source=source,
    )
