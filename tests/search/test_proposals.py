"""Search strategy: proposals of the next ratio and selection of the best candidate."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oraclezoo.card import Backbone
from oraclezoo.errors import ResultError, UsageError
from oraclezoo.search.goals import Goals, best, loosened, nearest
from oraclezoo.search.journal import Candidate, Journal, Trial
from oraclezoo.search.proposals import FLOOR, RESOLUTION, next_share

Cost = Callable[[float], float]


def candidate(precision: str = "int8", **changes: Any) -> Candidate:
    """Return a candidate with half the latency and size, as accurate as the original."""
    facts: dict[str, Any] = {
        "accuracy": 0.9,
        "loss": 0.3,
        "difference": 0.0,
        "ci95": (-0.01, 0.01),
        "loss_limit95": 0.01,
        "lost": 1,
        "gained": 1,
        "macs": 0.5,
        "size_bytes": 500,
        "size": 0.5,
        "p50_ms": 0.1,
        "latency": 0.5,
        "latency_rounds": (0.4, 0.6),
    }
    return Candidate(precision, **{**facts, **changes})


def trial(number: int, asked: float, *made: Candidate, reason: str = "") -> Trial:
    return Trial(number, asked, made, reason)


def searched(
    goals: Goals,
    int8: Cost,
    *,
    float_: Cost = lambda s: s,
    drop: Cost = lambda s: 0.0,
    grid: int = 64,
) -> list[Trial]:
    """Return all trials of a search whose costs are functions of the fraction left.

    ``grid`` is the number of reachable fractions; requests are rounded down to one of them.
    """
    trials: list[Trial] = []
    while (share := next_share(trials, goals)) is not None:
        assert len(trials) < 60
        left = 1.0 if share == 1 else int(share * grid) / grid
        if not left:
            trials.append(trial(len(trials) + 1, share, reason="cannot be reached"))
            continue
        result = [
            candidate(name, macs=left, latency=cost(left), difference=-drop(left))
            for name, cost in (("fp32", float_), ("int8", int8))
        ]
        trials.append(Trial(len(trials) + 1, share, tuple(result)))
    return trials


def test_the_first_trial_prunes_nothing() -> None:
    """int8 alone may be sufficient."""
    assert next_share([], Goals(latency=0.5)) == 1


@given(
    target=st.floats(0.1, 1.0),
    fixed=st.floats(0.0, 0.3),
    gain=st.floats(0.3, 1.5),
    grid=st.integers(8, 200),
)
@example(target=0.125, fixed=0.25, gain=0.5, grid=8)  # the least share allowed cannot be reached
def test_whatever_the_costs_the_largest_share_within_is_found(
    target: float, fixed: float, gain: float, grid: int
) -> None:
    """Bisection ends for each precision, within the resolution and without repeats."""

    def int8(share: float) -> float:
        return fixed + gain * share

    def float_(share: float) -> float:
        return fixed + (1 - fixed) * share

    trials = searched(Goals(latency=target), int8, float_=float_, grid=grid)
    arguments = [t.asked for t in trials]
    assert len(set(arguments)) == len(arguments)
    assert all(0 < share <= 1 for share in arguments)
    strengths = [1.0, *(k / grid for k in range(1, grid))]
    possible = [s for s in strengths if min(int8(s), float_(s)) <= target]
    if max(possible, default=0.0) > FLOOR + RESOLUTION:
        actual = best(trials, Goals(latency=target))
        assert actual is not None
        done = [t for t in trials if t.candidates]
        meets = [t.reached for t in done if min(m.latency for m in t.candidates) <= target]
        assert max(meets) >= max(possible) - RESOLUTION - 1 / grid


def test_int8_that_is_enough_leaves_the_budget_to_weaker_strengths() -> None:
    """The remaining trials go to the widest gap first."""
    trials = searched(Goals(latency=0.5, max_drop=1.0), lambda s: 0.5 * s)
    assert [t.asked for t in trials][:3] == [1.0, 0.525, 0.762]
    assert min(t.asked for t in trials) < 0.15


def test_below_a_strength_that_lost_too_much_nothing_is_tried() -> None:
    """Removing more channels does not recover the accuracy."""
    goals = Goals(latency=0.9, max_drop=1.0)
    trials = searched(goals, lambda s: 0.5 * s, drop=lambda s: 0.05 * (s < 0.5))
    below = [t.reached for t in trials if t.reached < 0.5]
    assert len(below) <= 4
    assert min(below) > 0.2


def test_float_is_searched_where_int8_alone_loses_too_much() -> None:
    """The fraction is the one that makes float fast enough."""
    trials = [
        trial(
            1,
            1.0,
            candidate("fp32", macs=1.0, latency=1.0),
            candidate(macs=1.0, latency=0.6, difference=-0.05),
        )
    ]
    share = next_share(trials, Goals(latency=0.5, max_drop=0.5))
    assert share == pytest.approx(0.45)


def test_a_strength_that_cannot_be_reached_bounds_the_search() -> None:
    """Only larger fractions follow; if no pruning works, none does."""
    whole = trial(
        1, 1.0, candidate("fp32", macs=1.0, latency=1.0), candidate(macs=1.0, latency=0.9)
    )
    failed = trial(2, 0.3, reason="UsageError: 0.3 cannot be reached")
    share = next_share([whole, failed], Goals(latency=0.1))
    assert share is not None
    assert 0.3 < share < 1
    assert next_share([whole, failed, trial(3, share, reason="no")], Goals(latency=0.1)) is None


def test_the_best_has_the_least_cross_entropy_within_all_bounds_then_the_least_time() -> None:
    """Candidates beyond a bound are excluded, however low their cross-entropy."""
    goals = Goals(latency=0.5, size=0.5, max_drop=1.0, max_limit=3.0)
    good, faster = candidate(loss=0.3), candidate(loss=0.3, latency=0.4)
    others = [
        candidate(loss=0.2, latency=0.51),
        candidate(loss=0.2, size=0.51),
        candidate(loss=0.2, difference=-0.011),
        candidate(loss=0.2, loss_limit95=0.031),
        candidate(loss=0.2, again=0.51),
        candidate(loss=0.31, accuracy=0.95, latency=0.1),
    ]
    trials = [trial(k, 0.5, result) for k, result in enumerate([good, *others, faster], 1)]
    actual = best(trials, goals)
    assert actual is not None
    assert actual[1] is faster
    assert best(trials[1:6], goals) is None


def test_of_those_that_images_cannot_tell_apart_the_least_pruned_is_best() -> None:
    """The one-standard-error rule applies; beyond it, lower cross-entropy wins."""
    goals = Goals(latency=0.5)
    small, large = candidate(macs=0.3, loss=0.3, loss_se=0.02), candidate(macs=0.7, loss=0.32)
    for other, wins in ((large, large), (dataclasses.replace(large, loss=0.321), small)):
        actual = best([trial(1, 0.3, small), trial(2, 0.7, other)], goals)
        assert actual is not None
        assert actual[1] is wins


def test_the_nearest_says_what_to_loosen() -> None:
    """It crosses the fewest bounds, and the suggested options accept it."""
    goals = Goals(latency=0.5, max_drop=0.5)
    near = candidate(difference=-0.0151)
    trials = [trial(1, 0.5, candidate(latency=0.9, difference=-0.006)), trial(2, 0.4, near)]
    assert nearest(trials, goals)[1] is near
    crossed = goals.crossed(near)
    assert loosened(crossed) == "--max-drop 1.51"
    assert Goals(latency=0.5, max_drop=1.51).crossed(near) == []
    assert "accuracy drop 1.51 points above 0.5" in crossed[0].words


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, "--latency RATIO, --size RATIO"),
        ({"max_drop": 1.0}, "--latency RATIO"),
        ({"latency": 1.1}, "latency is 1.1; it must be above 0 and at most 1"),
        ({"size": 0.0}, "size is 0"),
        ({"size": float("nan")}, "size is nan"),
        ({"latency": 0.5, "max_drop": -1}, "max_drop is -1"),
        ({"latency": 0.5, "max_limit": 101}, "max_limit is 101"),
    ],
)
def test_goals_that_mean_nothing(wrong: dict[str, Any], why: str) -> None:
    """Goals require a target within its range."""
    with pytest.raises(UsageError, match=why):
        Goals(**wrong)


def test_a_journal_tells_again_what_it_was_told(tmp_path: Path) -> None:
    """Trials are read back, also after a torn last line; other corruption is an error."""
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.begin(Backbone("x", {}), (1, 1))
    first = trial(1, 1.0, candidate("fp32"), candidate())
    journal.end(first)
    journal.end(trial(2, 0.2, reason="DivergedError: x"))
    journal.again(first, first.candidates[1], 0.7)
    with path.open("a") as file:
        file.write('{"event": "trial", "tri')
    again = Journal(path)
    assert again.trials == journal.trials
    assert again.trials[0].candidates == (
        first.candidates[0],
        dataclasses.replace(first.candidates[1], again=0.7),
    )
    again.end(trial(3, 0.4, candidate()))
    assert [t.number for t in Journal(path).trials] == [1, 2, 3]
    path.write_text('{"event": "trial", "trial": 1}\n')
    with pytest.raises(ResultError, match="corrupt"):
        Journal(path)


JOURNALED = (
    {"event": "compression", "schema": "oraclezoo/compression-journal/1"},
    {
        "event": "trial",
        "trial": 1,
        "asked": 1.0,
        "candidates": [dataclasses.asdict(candidate(name)) for name in ("fp32", "int8")],
        "reason": "",
    },
    {"event": "failed", "trial": 2, "asked": 0.2, "candidates": [], "reason": "x"},
    {"event": "again", "trial": 1, "precision": "int8", "latency": 0.7},
)


def written(path: Path, rows: Sequence[object]) -> Path:
    """Write rows of a journal, with numbers that are not finite as Python writes them."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def changed(place: tuple[str | int, ...], value: object) -> list[Any]:
    """Return the rows of a journal with another value at a place."""
    rows: list[Any] = json.loads(json.dumps(JOURNALED))
    holder: Any = rows
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return rows


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((3, "latency"), float("inf")),
        ((3, "latency"), float("nan")),
        ((3, "trial"), 0),
        ((3, "trial"), 1.5),
        ((3, "trial"), float("inf")),
        ((3, "precision"), "fp16"),
        ((2, "trial"), 1),
        ((1, "trial"), "1"),
        ((1, "trial"), 7),
        ((1, "asked"), None),
        ((1, "asked"), [1]),
        ((1, "asked"), float("nan")),
        ((1, "asked"), 0),
        ((1, "reason"), 3),
        ((1, "candidates"), []),
        ((1, "candidates", 1, "precision"), "../../elsewhere"),
        ((1, "candidates", 1, "precision"), "fp32"),
        ((1, "candidates", 1, "latency"), float("nan")),
        ((1, "candidates", 1, "size"), float("inf")),
        ((1, "candidates", 1, "loss"), float("nan")),
        ((1, "candidates", 1, "size"), 1e308),
        ((1, "candidates", 1, "macs"), 0),
        ((1, "candidates", 1, "accuracy"), 2.5),
        ((1, "candidates", 1, "ci95"), [0.0, float("inf")]),
        ((1, "candidates", 1, "ci95"), [0.0]),
    ],
)
def test_an_impossible_value_in_a_journal_is_named(
    tmp_path: Path, place: tuple[str | int, ...], value: object
) -> None:
    """Values that no search writes are one line that names the journal and the trial."""
    path = written(tmp_path / "journal.jsonl", changed(place, value))
    with pytest.raises(ResultError) as caught:
        Journal(path)
    assert str(caught.value).startswith(f"{path} is corrupt (trial ")
    assert str(caught.value).endswith("--overwrite")


VALUES = (
    *(None, True, 0, -1, 1, 2.5, 1e308, -1e308, 1e-308, 2**63 - 1, float("nan"), float("inf")),
    *("", "x", "int8", [], {}, [1], [[]], "\u2028"),
)


def mutate(holder: Any, generator: Random) -> None:
    """Replace or remove one value, at any depth."""
    key = generator.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    if isinstance(holder[key], (dict, list)) and holder[key] and generator.random() < 0.8:
        mutate(holder[key], generator)
    elif generator.random() < 0.2:
        del holder[key]
    else:
        holder[key] = generator.choice(VALUES)


def test_a_mutated_journal_is_refused_or_searched_on(tmp_path: Path) -> None:
    """A mutated journal is an error of one kind, or the search proposes, chooses and reports."""
    goals = Goals(latency=0.6, size=0.1, max_drop=0.1, max_limit=0.2)
    outcomes = []
    for seed in range(1500):
        generator, rows = Random(seed), json.loads(json.dumps(JOURNALED))
        for _ in range(generator.choice((1, 1, 2))):
            mutate(rows, generator)
        try:
            trials = Journal(written(tmp_path / "journal.jsonl", rows)).trials
        except ResultError:
            outcomes.append("refused")
            continue
        share = next_share(trials, goals)
        assert share is None or 0 < share <= 1
        best(trials, goals)
        for one in trials:
            assert f"{one.number:d} {one.asked:g}"
        if any(one.candidates for one in trials):
            assert loosened(goals.crossed(nearest(trials, goals)[1])) is not None
        outcomes.append("searched")
    assert outcomes.count("refused") > 300
    assert outcomes.count("searched") > 100
