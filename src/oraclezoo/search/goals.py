"""Limits of a compression search (latency, size, accuracy), and selection of the best candidate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from oraclezoo.errors import UsageError
from oraclezoo.search.journal import Candidate, Trial

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Crossed:
    """A limit that a candidate violates: option, the candidate's value, bound, and text."""

    option: str
    value: float
    bound: float
    words: str

    @property
    def excess(self) -> float:
        """Amount by which the limit is exceeded: relative for a target, in points for accuracy."""
        gate = self.option.startswith("--max")
        return self.value - self.bound if gate else self.value / self.bound - 1


@dataclass(frozen=True)
class Goals:
    """Targets (fractions of the original's latency and size) and accuracy limits (in points).

    Raises:
        UsageError: There is no target, or a value is out of range.
    """

    latency: float | None = None
    size: float | None = None
    max_drop: float | None = None
    max_limit: float | None = None

    def __post_init__(self) -> None:
        targets = {"latency": self.latency, "size": self.size}
        if all(value is None for value in targets.values()):
            raise UsageError(
                "pass a target: --latency RATIO, --size RATIO or both, e.g. --latency 0.5"
            )
        for name, value in targets.items():
            if value is not None and not 0 < value <= 1:
                raise UsageError(f"{name} is {value:g}; it must be above 0 and at most 1")
        for name, value in (("max_drop", self.max_drop), ("max_limit", self.max_limit)):
            if value is not None and not 0 <= value <= 100:
                raise UsageError(f"{name} is {value:g}; it must be from 0 to 100 points")

    def missed(self, candidate: Candidate) -> list[Crossed]:
        """Return the latency and size targets that a candidate misses."""
        missed = []
        latency = max(candidate.latency, candidate.again or 0.0)
        if self.latency is not None and latency > self.latency:
            words = f"latency ratio {latency:.3f} above {self.latency:g}"
            missed.append(Crossed("--latency", latency, self.latency, words))
        if self.size is not None and candidate.size > self.size:
            words = f"size ratio {candidate.size:.3f} above {self.size:g}"
            missed.append(Crossed("--size", candidate.size, self.size, words))
        return missed

    def lost(self, candidate: Candidate) -> list[Crossed]:
        """Return the accuracy limits that a candidate violates."""
        missed = []
        drop, limit = -100 * candidate.difference, 100 * candidate.loss_limit95
        if self.max_drop is not None and drop > self.max_drop + _ROUNDING:
            words = f"accuracy drop {drop:.2f} points above {self.max_drop:g}"
            missed.append(Crossed("--max-drop", drop, self.max_drop, words))
        if self.max_limit is not None and limit > self.max_limit + _ROUNDING:
            words = f"95% limit of the drop {limit:.2f} points above {self.max_limit:g}"
            missed.append(Crossed("--max-limit", limit, self.max_limit, words))
        return missed

    def crossed(self, candidate: Candidate) -> list[Crossed]:
        """Return all targets and accuracy limits that a candidate violates."""
        return [*self.missed(candidate), *self.lost(candidate)]


def pairs(trials: Sequence[Trial]) -> Iterator[tuple[Trial, Candidate]]:
    """Yield every candidate together with its trial."""
    for trial in trials:
        for candidate in trial.candidates:
            yield trial, candidate


def best(trials: Sequence[Trial], goals: Goals) -> tuple[Trial, Candidate] | None:
    """Return the best candidate within all limits, or None if there is none.

    Candidates are compared by cross-entropy, which on a few hundred images has a lower
    variance than accuracy. Candidates within one standard error of the lowest cross-entropy
    are considered equivalent (the one-standard-error rule; Breiman et al., Classification and
    Regression Trees, 1984). Of these, the least pruned candidate is selected, then the fastest,
    then the smallest: in cross-validation (``benchmarks/studies/finetuning.py``), the loss grows
    with the amount of pruning.
    """
    acceptable = [pair for pair in pairs(trials) if not goals.crossed(pair[1])]
    lowest = min((candidate for _, candidate in acceptable), key=lambda c: c.loss, default=None)
    if lowest is None:
        return None
    equivalent = [pair for pair in acceptable if pair[1].loss <= lowest.loss + lowest.loss_se]
    return min(equivalent, key=lambda pair: (-pair[1].macs, pair[1].latency, pair[1].size))


def nearest(trials: Sequence[Trial], goals: Goals) -> tuple[Trial, Candidate]:
    """Return the candidate that violates the fewest limits, and exceeds them by the least."""

    def distance(pair: tuple[Trial, Candidate]) -> tuple[int, float]:
        crossed = goals.crossed(pair[1])
        return len(crossed), sum(bound.excess for bound in crossed)

    return min(pairs(trials), key=distance)


def loosened(crossed: Sequence[Crossed]) -> str:
    """Return limits, rounded up, that would accept a candidate."""
    return " ".join(
        f"{bound.option} {math.ceil(bound.value * 100 - _ROUNDING) / 100:.2f}" for bound in crossed
    )
