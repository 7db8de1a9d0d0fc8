"""Helpers for backbone specs. No heavy imports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oraclezoo.specs import Option, Spec

TIMM = "oraclezoo.zoo.backbones.timm_nets:create"

DROP_RATE = Option(
    "drop_rate", "float", 0.0, "dropout probability before the classifier", low=0.0, high=0.9
)
DROP_PATH = Option(
    "drop_path_rate",
    "float",
    0.0,
    "stochastic depth: drop probability of the last residual branch, smaller for earlier ones",
    low=0.0,
    high=0.9,
)
DROPS = (DROP_RATE, DROP_PATH)
PRETRAINED = Option(
    "pretrained",
    "bool",
    False,
    "load timm's pretrained weights from the local cache or the Hub; open division only",
    later=True,
)


def facts(*, prunable: bool | str, data_init: bool = False) -> Mapping[str, bool | str]:
    """Return a backbone's metadata; if it is not prunable, ``prunable`` can be the reason."""
    table: dict[str, bool | str] = {"data_init": data_init, "prunable": prunable is True}
    if isinstance(prunable, str):
        table["not_prunable_because"] = prunable
    return table


def native(
    name: str, target: str, summary: str, source: str, *options: Option, **more: Any
) -> Spec:
    """Return the spec of a network from this package; ``more`` holds other fields of the spec."""
    more = {"facts": facts(prunable=True), **more}
    return Spec(
        "backbone",
        name,
        f"oraclezoo.zoo.backbones.{target}",
        summary,
        options,
        source=source,
        **more,
    )


def timm(
    name: str,
    change: str,
    source: str,
    options: tuple[Option, ...] = DROPS,
    *,
    prunable: bool | str,
    **fixed: Any,
) -> Spec:
    """Return the spec of a timm architecture that accepts timm's pretrained weights.

    ``change`` describes how the network differs from timm's, and ``fixed`` holds the arguments for
    :func:`oraclezoo.zoo.backbones.timm_nets.create` that make these changes.
    """
    return timm_variant(
        name, name, change, source, (*options, PRETRAINED), prunable=prunable, **fixed
    )


def timm_variant(
    name: str,
    architecture: str,
    change: str,
    source: str,
    options: tuple[Option, ...] = DROPS,
    *,
    prunable: bool | str,
    **fixed: Any,
) -> Spec:
    """Return the spec of a modified timm architecture that has no matching pretrained weights."""
    return Spec(
        kind="backbone",
        name=name,
        target=TIMM,
        summary=f"timm's {architecture}; changed: {change}",
        options=options,
        facts=facts(prunable=prunable),
        source=f"{source}; timm",
        fixed={"architecture": architecture, **fixed},
    )
