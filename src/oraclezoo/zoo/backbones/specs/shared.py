"""What specs of backbones have in common. Imports light."""

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
    "stochastic depth: probability of skipping the last residual branch, less for earlier ones",
    low=0.0,
    high=0.9,
)
DROPS = (DROP_RATE, DROP_PATH)
PRETRAINED = Option(
    "pretrained",
    "bool",
    False,
    "start from timm's weights, out of the local cache or from the hub; the result is open",
    later=True,
)


def facts(*, prunable: bool | str, data_init: bool = False) -> Mapping[str, bool | str]:
    """The facts of a backbone; ``prunable`` is True, False, or the reason why it is not."""
    found: dict[str, bool | str] = {"data_init": data_init, "prunable": prunable is True}
    if isinstance(prunable, str):
        found["not_prunable_because"] = prunable
    return found


def own(name: str, target: str, summary: str, source: str, *options: Option, **more: Any) -> Spec:
    """The spec of a net that is written here; ``more`` are other fields of a spec."""
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
    """The spec of a net of timm's that takes timm's weights too.

    ``change`` says what is other than in timm; ``fixed`` does it, see
    :func:`oraclezoo.zoo.backbones.timm_nets.create`.
    """
    return made(name, name, change, source, (*options, PRETRAINED), prunable=prunable, **fixed)


def made(
    name: str,
    architecture: str,
    change: str,
    source: str,
    options: tuple[Option, ...] = DROPS,
    *,
    prunable: bool | str,
    **fixed: Any,
) -> Spec:
    """The spec of a net made from timm's ``architecture`` by changes that no weights would fit."""
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
