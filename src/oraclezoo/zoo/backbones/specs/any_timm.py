"""Specs of arbitrary timm architectures, by name. No heavy imports."""

from __future__ import annotations

import re

from oraclezoo.errors import UnknownNameError
from oraclezoo.specs import Option, Spec
from oraclezoo.zoo.backbones.specs.shared import DROP_PATH, DROP_RATE, PRETRAINED, TIMM, facts

TIMM_PREFIX = "timm/"
_ARCHITECTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def timm_spec(name: str) -> Spec:
    """Return the spec of the backbone ``timm/<architecture>``, which is timm's unmodified model.

    This function does not import timm, so an unknown architecture is detected only when the
    backbone is built.

    Args:
        name: ``timm/<architecture>``, or only the architecture.

    Raises:
        UnknownNameError: No timm architecture can have this name.

    >>> timm_spec("timm/resnet18").summary
    "timm's resnet18, unchanged"
    """
    architecture = name.removeprefix(TIMM_PREFIX)
    if not _ARCHITECTURE.fullmatch(architecture):
        raise UnknownNameError("backbone", name, (), "write timm/<architecture>")
    drop_rate, drop_path = (
        Option(
            option.name,
            option.type,
            None,
            f"{option.help}; timm's default if omitted",
            low=option.low,
            high=option.high,
        )
        for option in (DROP_RATE, DROP_PATH)
    )
    return Spec(
        kind="backbone",
        name=TIMM_PREFIX + architecture,
        target=TIMM,
        summary=f"timm's {architecture}, unchanged",
        options=(drop_rate, drop_path, PRETRAINED),
        facts=facts(prunable=False),
        source="timm",
        fixed={"architecture": architecture},
    )
