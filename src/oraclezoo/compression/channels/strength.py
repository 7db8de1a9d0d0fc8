"""Find the pruning strength that meets a target cost, by bisection."""

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
"""Number of bisection steps; the strength is found with a resolution of 1/4096."""


@dataclass(frozen=True)
class Solution:
    """A pruning plan, its strength, and the relative cost of the pruned network."""

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
        groups: The network's groups of coupled channels.
        scores: Importance of the channels, one float64 tensor ``(size,)`` or None for each group.
        target: Maximum cost.
        cost: Returns the cost of a pruned copy; called once for each distinct structure.
        scope: Which groups share a ranking; see
            :func:`oraclezoo.compression.channels.choose.choose`.
        round_to: Number of channels in a block.

    Raises:
        UsageError: Even at maximum strength, the cost is higher than ``target``.
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
    """Refine a choice that is too weak toward one that meets the target, one group at a time.

    Because of rounding, many groups may lose channels at the same strength; removing them all could
    overshoot the target.
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
    """Return the versions of the libraries used to make a plan."""
    names = ("torch", "torch-pruning")
    return {"oraclezoo": __version__} | {name: metadata.version(name) for name in names}
