"""Strength: how much is to go for a net to cost what it may, found by bisection."""

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

Try = Callable[[Choice, float], "Found"]

HALVINGS = 12
"""Of the interval of strengths: 1 in 4,096 of all channels is told apart."""


@dataclass(frozen=True)
class Found:
    """A plan, the strength that it stands for, and what the net then costs, before being 1."""

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
) -> Found:
    """The weakest pruning after which ``cost`` is at most ``target``; the module is untouched.

    ``cost`` is asked for cut copies, each structure once. Raises UsageError if the strongest
    pruning costs more than that.
    """
    known: dict[Choice, Found] = {}

    def at(strength: float) -> Choice:
        return choose(groups, scores, strength, scope=scope, round_to=round_to)

    def try_(choice: Choice, strength: float) -> Found:
        if choice not in known:
            cut = copy.deepcopy(module)
            made = plan.make(cut, places(groups, choice), versions())
            known[choice] = Found(made, strength, cost(cut))
        return known[choice]

    weak, strong = 0.0, 1.0
    enough = at(strong)
    if (least := try_(enough, strong).cost) > target:
        raise UsageError(
            f"{target:g} cannot be reached: pruned as far as it goes it is {least:.3f}; "
            "ask for less, or round to fewer channels"
        )
    for _ in range(HALVINGS):
        middle = (weak + strong) / 2
        choice = at(middle)
        if try_(choice, middle).cost <= target:
            enough, strong = choice, middle
        else:
            weak = middle
    return _between(at(weak), enough, strong, target, try_)


def _between(weak: Choice, enough: Choice, strength: float, target: float, try_: Try) -> Found:
    """Go from a choice that is too weak to one that is enough, a group at a time.

    Rounding lets many groups lose channels at one strength, which may be more than was asked for.
    """
    best = try_(enough, strength)
    now = list(weak)
    for number, channels in enumerate(enough):
        if now[number] != channels:
            now[number] = channels
            found = try_(tuple(now), strength)
            if found.cost <= target:
                return found if found.cost > best.cost else best
    return best


def versions() -> dict[str, str]:
    """What a plan is made by."""
    names = ("torch", "torch-pruning")
    return {"oraclezoo": __version__} | {name: metadata.version(name) for name in names}
