"""Choose the next trial, i.e. the fraction of the multiply-accumulates to keep.

Latency and size grow with that fraction. For each precision, bisection looks for the largest
fraction that meets the targets, as long as it may be larger than in a candidate within all limits.
The remaining trials bisect the widest gaps below it, since accuracy need not be monotonic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from oraclezoo.search.goals import Goals, best
from oraclezoo.search.journal import Candidate, Trial

FLOOR = 0.05
"""Smallest fraction of the multiply-accumulates to try."""
RESOLUTION = 0.04
"""Minimum spacing between fractions worth trying."""
SLACK = 0.9
"""Factor on the first guess, since latency decreases by less than the number of operations."""
FAILURES = 2
"""Number of failed trials, with no successfully pruned model, after which pruning is given up."""

Proposal = tuple[tuple[bool, float], float]
"""A priority, and the fraction to try."""


def next_share(trials: Sequence[Trial], goals: Goals) -> float | None:
    """Return the fraction to try next, in (0, 1], or None if no trial would be informative.

    The first fraction is 1, since quantization to int8 may suffice without pruning.
    """
    if not trials:
        return 1.0
    failed = [trial.asked for trial in trials if not trial.candidates]
    completed = [trial for trial in trials if trial.candidates]
    completed.sort(key=lambda trial: (trial.reached, trial.asked), reverse=True)
    if not completed or (len(failed) >= FAILURES and len(completed) == 1):
        return None
    floor = max([FLOOR, *failed])
    proposals = [*_brackets(completed, goals, floor, bool(failed))] or [
        *_gaps(completed, goals, floor)
    ]
    return round(max(proposals)[1], 3) if proposals else None


def _brackets(
    completed: Sequence[Trial], goals: Goals, floor: float, impossible: bool
) -> Iterator[Proposal]:
    """Yield the next bisection step for each precision whose threshold is not known yet.

    ``impossible`` is true if a trial could not reach the fraction ``floor``, and false if ``floor``
    is the smallest fraction allowed.
    """
    choice = best(completed, goals)
    enough = 0.0 if choice is None else choice[0].reached
    precisions = {candidate.precision for trial in completed for candidate in trial.candidates}
    for precision in sorted(precisions):
        rows = [
            (trial, candidate)
            for trial in completed
            if (candidate := _of_precision(trial, precision)) is not None
        ]
        meets = [not goals.missed(candidate) for _, candidate in rows]
        lowest = meets.index(True) if any(meets) else len(rows)
        if lowest == 0:
            continue  # even the largest fraction meets the targets
        above, candidate = rows[lowest - 1]
        top, hopeless = above.reached, bool(goals.lost(candidate))
        if lowest < len(rows):
            bottom = max(floor, rows[lowest][0].asked)
            share = (bottom + top) / 2
        else:
            bottom = floor
            excess = max(target.value / target.bound for target in goals.missed(candidate))
            share = max(SLACK * top / excess, (floor + top) / 2 if impossible else floor)
            share = min(share, top - RESOLUTION / 2)
        promising = share > enough and not (hopeless and choice)
        if promising and top - bottom > RESOLUTION and share > bottom - RESOLUTION / 2:
            yield (not hopeless, share), share


def _gaps(completed: Sequence[Trial], goals: Goals, floor: float) -> Iterator[Proposal]:
    """Yield the midpoints of the gaps below the largest fraction that meets the targets."""
    useful = [trial for trial in completed if any(not goals.missed(c) for c in trial.candidates)]
    for trial, below in zip_longest(useful, useful[1:]):
        bottom = floor if below is None else max(floor, below.asked)
        width = trial.reached - bottom
        if all(goals.lost(candidate) for candidate in trial.candidates):
            break  # removing more channels will not recover the accuracy
        if width > RESOLUTION:
            yield (True, width), bottom + width / 2


def _of_precision(trial: Trial, precision: str) -> Candidate | None:
    return next((c for c in trial.candidates if c.precision == precision), None)
