"""Bisection over the pruning strength, to meet a target cost."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata

from torch import Tensor, nn

from oraclezoo._version import __version__
from oraclezoo.compression.channels import plan
from oraclezoo.compression.channels.choose import Choice, choose, places
from oraclezoo.compression.channels.coupled import Group
from oraclezoo.errors import UsageError

Try = Callable[[Choice, float], "Solution"]

HALVINGS = 12
"""Bisection steps: the strength is resolved to 1 in 4,096."""


@dataclass(frozen=True)
class Solution:
    """A pruning plan, its strength, and the cost of the network relative to the unpruned one."""

    plan: plan.Plan
    strength: float
    cost: float


def find(
    module: nn.Module,
    groups: Sequence[Group],
    scores: Sequence[Tensor | None],
    *,
    target: float,
    cost: Callable[[nn.Module], float],
    scope: str,
    round_to: int,
) -> Solution:
    """Find the lowest pruning strength that brings the cost of a network down to a target.

    Args:
        module: The network; it is not changed.
        groups: Its coupled channels.
        scores: Importance of each channel, float64 ``(size,)`` for each group, or None.
        target: Maximum cost.
        cost: Returns the cost of a pruned copy; called once for each structure.
        scope: See :func:`oraclezoo.compression.channels.choose.choose`, also for ``round_to``.
        round_to: Channels in a block.

    Raises:
        UsageError: The strongest pruning still costs more than ``target``.
    """
    known: dict[Choice, Solution] = {}

    def at(strength: float) -> Choice:
        return choose(groups, scores, strength, scope=scope, round_to=round_to)

    def try_(choice: Choice, strength: float) -> Solution:
        if choice not in known:
            pruned = copy.deepcopy(module)
            pruning_plan = plan.make(pruned, places(groups, choice), versions())
            known[choice] = Solution(pruning_plan, strength, cost(pruned))
        return known[choice]

    weak, strong = 0.0, 1.0
    enough = at(strong)
    if (minimum := try_(enough, strong).cost) > target:
        raise UsageError(
            f"{target:g} cannot be reached: the strongest pruning reaches {minimum:.3f}; "
            "choose a larger target or a smaller round_to"
        )
    for _ in range(HALVINGS):
        middle = (weak + strong) / 2
        choice = at(middle)
        if try_(choice, middle).cost <= target:
            enough, strong = choice, middle
        else:
            weak = middle
    return _between(at(weak), enough, strong, target, try_)


def _between(weak: Choice, enough: Choice, strength: float, target: float, try_: Try) -> Solution:
    """Move from a choice that is too weak to one that is sufficient, one group at a time.

    Because of rounding, many groups can lose channels at the same strength, which may overshoot the
    target.
    """
    best = try_(enough, strength)
    current = list(weak)
    for number, channels in enumerate(enough):
        if current[number] != channels:
            current[number] = channels
            partial = try_(tuple(current), strength)
            if partial.cost <= target:
                return partial if partial.cost > best.cost else best
    return best


def versions() -> dict[str, str]:
    """Return the versions of the libraries that make a plan."""
    names = ("torch", "torch-pruning")
    return {"oraclezoo": __version__} | {name: metadata.version(name) for name in names}
