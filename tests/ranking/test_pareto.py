"""Pareto fronts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oraclezoo.ranking.load import Entry
from oraclezoo.ranking.pareto import front, group_of, points
from oraclezoo.ranking.rows import Row
from oraclezoo.ranking.table import leaderboard

MakeEntry = Callable[..., Entry]
LEVELS = st.integers(0, 6).map(float)  # few values, so that equal ones occur


@given(st.lists(st.tuples(LEVELS, LEVELS), max_size=12))
def test_the_front_is_what_no_other_point_dominates(drawn: list[tuple[float, float]]) -> None:
    """The front equals the pairwise definition, with duplicates among the points."""
    accuracy, cost = [a for a, _ in drawn], [c for _, c in drawn]
    expected = [
        not any(a >= mine and c <= own and (a > mine or c < own) for a, c in drawn)
        for mine, own in drawn
    ]
    assert front(accuracy, cost) == expected


@pytest.fixture
def rows(make_entry: MakeEntry) -> list[Row]:
    """Three rows of 90%, 89.5% and 80% on the same machine."""
    ease = (np.arange(400) + 0.5) / 400
    rng = np.random.default_rng(3)
    entries = [
        make_entry(name, (ease + rng.normal(0, 0.02, (5, 400))) < share)
        for name, share in (("first", 0.9), ("near", 0.893), ("far", 0.8))
    ]
    return list(leaderboard(entries).rows)


def with_size(rows: list[Row], *sizes: int | None) -> list[Row]:
    """The rows with these sizes in bytes."""
    return [replace(row, size_bytes=size) for row, size in zip(rows, sizes, strict=True)]


def test_off_the_front_is_not_the_same_as_beaten(rows: list[Row]) -> None:
    """A row is not beaten by a cheaper, better one without a significant difference."""
    plotted = points(with_size(rows, 100, 200, 300), "size_bytes")
    assert [point.on_front for point in plotted] == [True, False, False]
    assert [point.beaten for point in plotted] == [False, False, True]


def test_a_cheap_row_is_on_the_front(rows: list[Row]) -> None:
    """However low its accuracy; what is significantly better costs more."""
    plotted = points(with_size(rows, 300, 200, 100), "size_bytes")
    assert [point.on_front for point in plotted] == [True, True, True]
    assert not any(point.beaten for point in plotted)


def test_rows_without_the_cost_are_left_out(rows: list[Row]) -> None:
    """A cost that was not measured is not one of nothing."""
    plotted = points(with_size(rows, None, 200, 100), "size_bytes")
    assert [point.row.recipe for point in plotted] == ["near", "far"]
    assert points([replace(row, latency=None) for row in rows], "latency_ms") == []


def test_times_are_held_against_the_same_machine_only(rows: list[Row]) -> None:
    """A slow row alone on another class of hardware is on the front of its group."""
    slow = replace(rows[2], train_s=1e6, hardware_class="other-cpu-4t")
    plotted = points([*rows[:2], slow], "train_s")
    assert [point.group for point in plotted] == ["test-cpu-2t", "test-cpu-2t", "other-cpu-4t"]
    assert plotted[2].on_front
    assert not plotted[2].beaten


def test_latency_is_held_against_the_same_runtime(rows: list[Row]) -> None:
    """Eager and ONNX Runtime are two groups; float and int8 of one runtime are one."""
    latency = rows[0].latency
    assert latency is not None
    eager, ort, int8 = (
        replace(rows[0], latency=replace(latency, runtime=runtime, precision=precision))
        for runtime, precision in (
            ("eager", "fp32"),
            ("onnxruntime", "fp32"),
            ("onnxruntime", "int8"),
        )
    )
    assert group_of(eager, "latency_ms") != group_of(ort, "latency_ms")
    assert group_of(ort, "latency_ms") == group_of(int8, "latency_ms")
