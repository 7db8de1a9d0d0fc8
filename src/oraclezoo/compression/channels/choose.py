"""Choice: which channels go at a given strength, from their scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from oraclezoo.compression.channels.coupled import Group
from oraclezoo.compression.channels.plan import Place

LEAST = 0.1
"""Share of a group's channels that stays at least, so that no layer is cut off."""

Choice = tuple[tuple[int, ...], ...]
"""For each group the channels that go."""


def choose(
    groups: Sequence[Group],
    scores: Sequence[Tensor | None],
    strength: float,
    *,
    scope: str,
    round_to: int,
) -> Choice:
    """The channels that go at a strength from 0, nothing, to 1, all that may go.

    Channels go in blocks, a group's least important first: what stays of it is a multiple of
    ``round_to``, and not less than a tenth. Blocks are ranked by their mean score, within each
    group (uniform), over all groups (global) or over all groups of the same build (isomorphic; Fang
    et al. 2024, arXiv:2407.04616), and ``strength`` is the share of the blocks of each ranking that
    goes. A group without scores stays whole. A greater strength takes what a smaller one does, and
    more.
    """
    pools: dict[object, list[tuple[float, int, int]]] = {}
    for number, (group, values) in enumerate(zip(groups, scores, strict=True)):
        if values is not None:
            key = {"global": "", "isomorphic": group.shape}.get(scope, number)
            ascending, first = values.sort().values, 0
            for length in _blocks(group.size, round_to):
                mean = float(ascending[first : first + length].mean())
                pools.setdefault(key, []).append((mean, number, length))
                first += length
    going = [0] * len(groups)
    for blocks in pools.values():
        blocks.sort(key=lambda block: block[0])
        for _, number, length in blocks[: round(strength * len(blocks))]:
            going[number] += length
    return tuple(
        () if values is None else tuple(sorted(values.argsort(stable=True)[:count].tolist()))
        for values, count in zip(scores, going, strict=True)
    )


def _blocks(size: int, round_to: int) -> list[int]:
    """How many channels go at a time, as long as enough stay."""
    stays = max(1, math.ceil(LEAST * size / round_to)) * round_to
    first = [size % round_to] if size % round_to and size > stays else []
    return first + [round_to] * ((size - stays) // round_to)


def places(groups: Sequence[Group], choice: Choice) -> dict[Place, set[int]]:
    """Where the channels of a choice are: indices of each tensor's dimensions."""
    found: dict[Place, set[int]] = {}
    for group, channels in zip(groups, choice, strict=True):
        going = set(channels)
        for cut in group.cuts:
            indices = {index for index, root in enumerate(cut.roots) if root in going}
            found.setdefault(cut.place, set()).update(indices)
    return found
