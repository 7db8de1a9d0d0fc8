"""Goals of a compression: what a candidate must keep to, and which one is best."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from oraclezoo.errors import UsageError
from oraclezoo.search.journal import Candidate, Trial

_ROUNDING = 1e-9


class Crossed(NamedTuple):
    """A bound that is not kept: the option that sets it, the value found, and both in words."""

    option: str
    value: float
    bound: float
    words: str

    @property
    def excess(self) -> float:
        """How far beyond: relative to a target, in points of accuracy for a gate."""
        gate = self.option.startswith("--max")
        return self.value - self.bound if gate else self.value / self.bound - 1


@dataclass(frozen=True)
class Goals:
    """Targets (shares of the original's latency and bytes) and gates (points of accuracy).

    Raises UsageError without a target, or for one that is not above 0 and at most 1.
    """

    latency: float | None = None
    size: float | None = None
    max_drop: float | None = None
    max_limit: float | None = None

    def __post_init__(self) -> None:
        targets = {"latency": self.latency, "size": self.size}
        if all(value is None for value in targets.values()):
            raise UsageError(
                "say what the model is to come down to: --latency SHARE, --size SHARE or both, "
                "e.g. --latency 0.5"
            )
        for name, value in targets.items():
            if value is not None and not 0 < value <= 1:
                raise UsageError(f"{name} is {value:g}; it must be above 0 and at most 1")
        for name, value in (("max_drop", self.max_drop), ("max_limit", self.max_limit)):
            if value is not None and not 0 <= value <= 100:
                raise UsageError(f"{name} is {value:g}; it must be from 0 to 100 points")

    def missed(self, made: Candidate) -> list[Crossed]:
        """Targets that a candidate does not come down to."""
        found = []
        latency = max(made.latency, made.again or 0.0)
        if self.latency is not None and latency > self.latency:
            words = f"{latency:.3f} of the time, not {self.latency:g}"
            found.append(Crossed("--latency", latency, self.latency, words))
        if self.size is not None and made.size > self.size:
            words = f"{made.size:.3f} of the bytes, not {self.size:g}"
            found.append(Crossed("--size", made.size, self.size, words))
        return found

    def lost(self, made: Candidate) -> list[Crossed]:
        """Gates on accuracy that a candidate crosses."""
        found = []
        drop, limit = -100 * made.difference, 100 * made.loss_limit95
        if self.max_drop is not None and drop > self.max_drop + _ROUNDING:
            words = f"lost {drop:.2f} points, more than {self.max_drop:g}"
            found.append(Crossed("--max-drop", drop, self.max_drop, words))
        if self.max_limit is not None and limit > self.max_limit + _ROUNDING:
            words = f"95% limit of the loss {limit:.2f} points, more than {self.max_limit:g}"
            found.append(Crossed("--max-limit", limit, self.max_limit, words))
        return found

    def crossed(self, made: Candidate) -> list[Crossed]:
        """All bounds that a candidate does not keep; none if it is within."""
        return [*self.missed(made), *self.lost(made)]


def pairs(trials: Sequence[Trial]) -> Iterator[tuple[Trial, Candidate]]:
    """Every candidate with its trial."""
    for trial in trials:
        for made in trial.candidates:
            yield trial, made


def best(trials: Sequence[Trial], goals: Goals) -> tuple[Trial, Candidate] | None:
    """The least pruned of those within all goals whose cross-entropy is next to the least.

    Among a handful of candidates the highest accuracy on some hundred images is often luck; the
    cross-entropy of the same images also tells how sure each answer was, and varies less. What is
    within one standard error of the least cannot be told from it (the rule of Breiman et al.,
    Classification and Regression Trees, 1984); then the one that keeps more is the safer guess: in
    folds (``benchmarks/finetuning.py``) a net loses more, the more of it goes. Of equally pruned
    ones the faster, the smaller.
    """
    within = [pair for pair in pairs(trials) if not goals.crossed(pair[1])]
    least = min((made for _, made in within), key=lambda made: made.loss, default=None)
    if least is None:
        return None
    near = [pair for pair in within if pair[1].loss <= least.loss + least.loss_se]
    return min(near, key=lambda pair: (-pair[1].macs, pair[1].latency, pair[1].size))


def nearest(trials: Sequence[Trial], goals: Goals) -> tuple[Trial, Candidate]:
    """The candidate that crosses the fewest bounds, and those by least."""

    def far(pair: tuple[Trial, Candidate]) -> tuple[int, float]:
        crossed = goals.crossed(pair[1])
        return len(crossed), sum(each.excess for each in crossed)

    return min(pairs(trials), key=far)


def loosened(crossed: Sequence[Crossed]) -> str:
    """The options that would let a candidate through, rounded up."""
    return " ".join(
        f"{each.option} {math.ceil(each.value * 100 - _ROUNDING) / 100:.2f}" for each in crossed
    )
