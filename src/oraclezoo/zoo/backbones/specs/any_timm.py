"""The spec of any timm architecture by name. Imports light."""

from __future__ import annotations

import re

from oraclezoo.errors import UnknownNameError
from oraclezoo.specs import Option, Spec
from oraclezoo.zoo.backbones.specs.shared import DROP_PATH, DROP_RATE, PRETRAINED, TIMM, facts

TIMM_PREFIX = "timm/"
_ARCHITECTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def timm_spec(name: str) -> Spec:
    """The spec of backbone ``timm/<architecture>``, at timm's own strides. timm is not imported.

    Whether timm has the architecture shows when it is built. Raises UnknownNameError for a name
    that no architecture can have.
    """
    architecture = name.removeprefix(TIMM_PREFIX)
    if not _ARCHITECTURE.fullmatch(architecture):
        raise UnknownNameError("backbone", name, (), "write timm/<architecture>")
    drop_rate, drop_path = (
        Option(
            option.name,
            option.type,
            None,
            f"{option.help}; timm's default if left out",
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
