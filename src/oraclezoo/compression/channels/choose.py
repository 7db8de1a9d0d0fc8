"""Select the channels to prune at a given strength, based on their importance scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from oraclezoo.compression.channels.coupled import Group
from oraclezoo.compression.channels.plan import Place

LEAST = 0.1
"""Minimum fraction of a group's channels to keep, so that no layer becomes empty."""

Choice = tuple[tuple[int, ...], ...]
"""The channels to remove from each group."""


def choose(
    groups: Sequence[Group],
    scores: Sequence[Tensor | None],
    strength: float,
    *,
    scope: str,
    round_to: int,
) -> Choice:
    """Select the channels to remove at a strength between 0 (none) and 1 (as many as possible).

    Channels are removed in blocks, starting with the least important channels of a group, so that
    each group keeps a multiple of ``round_to`` channels and at least a tenth of its channels.
    Blocks are ranked by their mean score, and the lowest fraction ``strength`` of each ranking is
    removed. A higher strength removes a superset of the channels that a lower strength removes.

    Args:
        groups: The groups of coupled channels of a network.
        scores: Importance of the channels, one float64 tensor ``(size,)`` for each group, or None
            for a group that must not be pruned.
        strength: Fraction of the blocks to remove.
        scope: Which groups share a ranking: ``uniform`` ranks each group separately, ``global``
            ranks all groups together, and ``isomorphic`` ranks groups of the same structure
            together (Fang et al. 2024, arXiv:2407.04616).
        round_to: Number of channels in a block.
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
    removed = [0] * len(groups)
    for blocks in pools.values():
        blocks.sort(key=lambda block: block[0])
        for _, number, length in blocks[: round(strength * len(blocks))]:
            removed[number] += length
    return tuple(
        () if values is None else tuple(sorted(values.argsort(stable=True)[:count].tolist()))
        for values, count in zip(scores, removed, strict=True)
    )


def _blocks(size: int, round_to: int) -> list[int]:
    """Return the sizes of a group's blocks in the order in which they are removed."""
    kept = max(1, math.ceil(LEAST * size / round_to)) * round_to
    first = [size % round_to] if size % round_to and size > kept else []
    return first + [round_to] * ((size - kept) // round_to)


def places(groups: Sequence[Group], choice: Choice) -> dict[Place, set[int]]:
    """Return the indices to remove along each dimension of each tensor."""
    indices_by_place: dict[Place, set[int]] = {}
    for group, channels in zip(groups, choice, strict=True):
        removed = set(channels)
        for cut in group.cuts:
            indices = {index for index, root in enumerate(cut.roots) if root in removed}
            indices_by_place.setdefault(cut.place, set()).update(indices)
    return indices_by_place
