"""Check that a recipe has only one hash: no options without effect, no omitted defaults."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from oraclezoo.plugins.discovery import normalize
from oraclezoo.publish.claim import Claim, Unchecked
from oraclezoo.publish.reread import flat, plain
from oraclezoo.recipe.sections import COMPONENTS, SECTIONS, keys

SWITCHES: Mapping[str, str] = {
    "augment.elastic_grid": "augment.elastic",
    "augment.jpeg_quality": "augment.jpeg",
    "distill.weight": "distill.teachers",
    "distill.temperature": "distill.teachers",
    "pretrain.track": "pretrain.epochs",
}
"""Keys that have no effect if a related key is zero."""


def one_hash(claim: Claim) -> Iterator[str]:
    """Yield reasons why a recipe is not canonical, i.e. an equivalent recipe has another hash."""
    stated, recipe = flat(claim.result.recipe.content), claim.recipe
    for key, value in stated.items():
        if isinstance(value, float) and value == 0 and math.copysign(1, value) < 0:
            yield f"{key} is -0.0, a second hash of one recipe: write 0.0"
    for key, switch in SWITCHES.items():
        section, _, name = key.partition(".")
        default = keys(SECTIONS[section])[name].default
        if not stated.get(switch) and stated.get(key, default) != default:
            yield (
                f"{key} has no effect without {switch}, only a second hash of one recipe: leave it "
                f"at its default, {default}"
            )
    if recipe is None:
        yield Unchecked(_unread(claim))
        return
    if recipe.hash == claim.result.recipe.hash:
        return
    read = flat(plain(recipe))
    surplus, dropped = sorted(stated.keys() - read.keys()), sorted(read.keys() - stated.keys())
    newer = set(dropped) & set(_of_other_versions(claim, dropped))
    if surplus:
        yield f"{', '.join(surplus)}: not in the canonical recipe, {recipe.hash12}: a second hash"
    elif set(dropped) - newer:
        yield f"{', '.join(dropped)}: missing from the recipe {recipe.hash12}: a second hash"
    elif newer:
        yield Unchecked(f"options of another version of a plugin: {', '.join(dropped)}")
    else:
        yield f"numbers are written differently in the recipe {recipe.hash12}: a second hash"


def _unread(claim: Claim) -> str:
    missing = claim.missing
    return f"{', '.join(missing)} not installed" if missing else "the recipe cannot be read"


def _of_other_versions(claim: Claim, dropped: list[str]) -> Iterator[str]:
    """Yield the keys of components whose installed plugin version differs from the stated one."""
    for kind in COMPONENTS:
        part: Any = claim.result.components[kind]
        entry = claim.registry.get(kind, part.name)
        foreign = normalize(part.distribution) != "oraclezoo"
        if foreign and entry.version != part.version:
            yield from (key for key in dropped if key.startswith(f"{kind}."))
