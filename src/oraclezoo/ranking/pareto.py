"""Pareto fronts of accuracy against a cost (latency, size or training time) in a table.

A row is *on the front* if no other row of its group dominates it, i.e. is at least as good in both
accuracy and cost and better in one of them. A row off the front may still be *not beaten*: no row
with the same or a lower cost is significantly more accurate according to the protocol's comparison
(:mod:`oraclezoo.ranking.comparison`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from oraclezoo.ranking.rows import Row

Cost = Literal["latency_ms", "size_bytes", "train_s"]
COSTS: tuple[Cost, ...] = ("latency_ms", "size_bytes", "train_s")


@dataclass(frozen=True, slots=True)
class Point:
    """A row with its cost, and its position relative to comparable rows.

    Costs are compared only within a ``group``, e.g. on the same hardware.
    """

    row: Row
    cost: float
    group: str
    on_front: bool
    beaten: bool


def points(rows: Sequence[Row], cost: Cost) -> list[Point]:
    """Return a point for each row with an accuracy and this cost, in the order of the rows."""
    groups: dict[str, list[tuple[Row, float]]] = defaultdict(list)
    for row in rows:
        value = cost_of(row, cost)
        if row.accuracy_percent is not None and value is not None:
            groups[group_of(row, cost)].append((row, value))
    placed = []
    for group, members in groups.items():
        accuracy = [row.accuracy_percent or 0.0 for row, _ in members]
        on_front = front(accuracy, [value for _, value in members])
        for (row, value), first in zip(members, on_front, strict=True):
            cheaper = {other.number for other, price in members if price <= value}
            beaten = bool(cheaper & set(row.beaten_by))
            placed.append(Point(row, value, group, first, beaten))
    return sorted(placed, key=lambda point: point.row.number)


def front(accuracy: Sequence[float], cost: Sequence[float]) -> list[bool]:
    """Return whether each point is non-dominated, in O(n log n).

    Points with equal accuracy and cost do not dominate each other.

    >>> front([90.0, 95.0, 94.0], [1.0, 2.0, 3.0])
    [True, True, False]
    """
    order = sorted(range(len(accuracy)), key=lambda i: (cost[i], -accuracy[i]))
    on_front = [False] * len(accuracy)
    best, best_cost = float("-inf"), float("nan")
    for index in order:
        if accuracy[index] > best:
            best, best_cost = accuracy[index], cost[index]
            on_front[index] = True
        else:
            on_front[index] = accuracy[index] == best and cost[index] == best_cost
    return on_front


def cost_of(row: Row, cost: Cost) -> float | None:
    """Return the cost of a row, None if not measured; latency is the p50 at batch size 1."""
    if cost == "latency_ms":
        return None if row.latency is None else row.latency.p50_ms
    return row.size_bytes if cost == "size_bytes" else row.train_s


def group_of(row: Row, cost: Cost) -> str:
    """Return the group within which the cost of a row is comparable; sizes always are."""
    if cost == "size_bytes":
        return "all rows"
    if cost == "train_s" or row.latency is None:
        return row.hardware_class
    latency = row.latency
    threads = f"{latency.threads} thread{'s' * (latency.threads > 1)}"
    return f"{row.hardware_class}: {latency.runtime}, {latency.device}, {threads}"
