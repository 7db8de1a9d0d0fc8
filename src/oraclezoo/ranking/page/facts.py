"""Facets for filtering the rows of a leaderboard page."""

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
"""The facets and their labels."""


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
    """Return the facets of a row, given its result."""
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
    """Return the sorted values of each facet that has more than one value."""
    listed = list(facts)
    by_facet = {name: sorted({getattr(each, name) for each in listed}) for name in FACETS}
    return {name: values for name, values in by_facet.items() if len(values) > 1}


def family(backbone: str) -> str:
    """Return the family of a backbone, derived from its name.

    Removes the distribution, ``timm/``, timm's origin prefixes, and everything from the first
    underscore or number on; versions such as ``mobilenetv3`` are kept.

    >>> family("timm/resnet18"), family("mobilenetv3_small_100")
    ('resnet', 'mobilenetv3')
    """
    name = backbone.rpartition(":")[2].removeprefix("timm/")
    name = re.sub(r"^(?:tf|ese|nf)_", "", name)
    first = name.split("_")[0]
    return re.sub(r"(?<=[a-z]{2}[a-uw-z])\d+[a-z]*$", "", first)
