"""Facts: what a page's reader may choose rows by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from oraclezoo.ranking.compression import compression
from oraclezoo.ranking.rows import Row
from oraclezoo.ranking.text import short
from oraclezoo.result import Result

FACETS: Mapping[str, str] = {
    "track": "Track",
    "division": "Division",
    "family": "Backbone family",
    "optimizer": "Optimizer",
    "scheduler": "Scheduler",
    "compression": "Compression",
    "hardware": "Hardware class",
}
"""What rows are filtered by, and how it is called."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The value of each facet for one row."""

    track: str
    division: str
    family: str
    optimizer: str
    scheduler: str
    compression: str
    hardware: str


def facts_of(row: Row, result: Result) -> Facts:
    """The facets of a row of a table and of the result that it stands for."""
    return Facts(
        track=short(result.track.name),
        division=result.track.division,
        family=family(row.backbone),
        optimizer=short(row.optimizer),
        scheduler=short(row.scheduler),
        compression=compression(result.recipe.content),
        hardware=row.hardware_class,
    )


def choices(facts: Iterable[Facts]) -> dict[str, list[str]]:
    """The values of each facet that has more than one, in order: one alone is no choice."""
    listed = list(facts)
    found = {name: sorted({getattr(each, name) for each in listed}) for name in FACETS}
    return {name: values for name, values in found.items() if len(values) > 1}


def family(backbone: str) -> str:
    """The family of a backbone, told by its name: ``timm/resnet18`` and ``resnet10t`` are resnet.

    Left out are the distribution, ``timm/``, timm's marks of origin, and what follows the first
    underscore or number, versions (``mobilenetv3``) apart.
    """
    name = backbone.rpartition(":")[2].removeprefix("timm/")
    name = re.sub(r"^(?:tf|ese|nf)_", "", name)
    first = name.split("_")[0]
    return re.sub(r"(?<=[a-z]{2}[a-uw-z])\d+[a-z]*$", "", first)
