"""Search of a compression: which strength to try next, from what is known of those before.

The share of the multiply-accumulates that is left is one number, and time and bytes rise with it:
the largest share that comes down to the targets is bracketed and halved towards, for int8 and for
float, as long as it may be larger than that of a candidate within all bounds. What budget is left
goes to the widest gaps below it, since accuracy need not fall with every channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from oraclezoo.search.goals import Goals, best
from oraclezoo.search.journal import Candidate, Trial

FLOOR = 0.05
"""No smaller share of the multiply-accumulates is asked for."""
RESOLUTION = 0.04
"""Shares nearer to each other than this are not told apart."""
SLACK = 0.9
"""Time falls by less than arithmetic does: so much further goes the first guess."""
FAILURES = 2
"""After so many failures without a pruned model, pruning is given up."""


def next_share(trials: Sequence[Trial], goals: Goals) -> float | None:
    """The share to try next, at most 1; None if nothing is left to be learned.

    The first is 1: int8 may be enough without any pruning.
    """
    if not trials:
        return 1.0
    failed = [trial.asked for trial in trials if not trial.candidates]
    done = [trial for trial in trials if trial.candidates]
    done.sort(key=lambda trial: (trial.reached, trial.asked), reverse=True)
    if not done or (len(failed) >= FAILURES and len(done) == 1):
        return None
    floor = max([FLOOR, *failed])
    wanted = [*_brackets(done, goals, floor, bool(failed))] or [*_gaps(done, goals, floor)]
    return round(max(wanted)[1], 3) if wanted else None


def _brackets(
    done: Sequence[Trial], goals: Goals, floor: float, impossible: bool
) -> Iterator[tuple[tuple[bool, float], float]]:
    """For each precision whose threshold is not found: how promising it is, and the next share.

    ``impossible``: the floor is a share that could not be reached, not just the smallest allowed.
    """
    found = best(done, goals)
    enough = 0.0 if found is None else found[0].reached
    for precision in sorted({made.precision for trial in done for made in trial.candidates}):
        rows = [(trial, made) for trial in done if (made := _of(trial, precision)) is not None]
        meets = [not goals.missed(made) for _, made in rows]
        lowest = meets.index(True) if any(meets) else len(rows)
        if lowest == 0:
            continue  # even the largest share meets the targets
        above, made = rows[lowest - 1]
        top, hopeless = above.reached, bool(goals.lost(made))
        if lowest < len(rows):
            bottom = max(floor, rows[lowest][0].asked)
            share = (bottom + top) / 2
        else:
            bottom = floor
            less = max(each.value / each.bound for each in goals.missed(made))
            share = max(SLACK * top / less, (floor + top) / 2 if impossible else floor)
            share = min(share, top - RESOLUTION / 2)
        promising = share > enough and not (hopeless and found)
        if promising and top - bottom > RESOLUTION and share > bottom - RESOLUTION / 2:
            yield (not hopeless, share), share


def _gaps(
    done: Sequence[Trial], goals: Goals, floor: float
) -> Iterator[tuple[tuple[bool, float], float]]:
    """Gaps below the largest share that meets the targets: their widths, and their middles."""
    useful = [trial for trial in done if any(not goals.missed(made) for made in trial.candidates)]
    for trial, below in zip_longest(useful, useful[1:]):
        bottom = floor if below is None else max(floor, below.asked)
        width = trial.reached - bottom
        if all(goals.lost(made) for made in trial.candidates):
            break  # fewer channels will not bring back what is lost
        if width > RESOLUTION:
            yield (True, width), bottom + width / 2


def _of(trial: Trial, precision: str) -> Candidate | None:
    return next((made for made in trial.candidates if made.precision == precision), None)
