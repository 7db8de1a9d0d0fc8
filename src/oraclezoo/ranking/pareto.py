"""Pareto: which rows of a table nothing beats, at once in accuracy and in what it costs.

A cost is bytes, training time or latency, and less is better. A row is *on the front* when no other
one of its group is at least as accurate and at most as costly, and better in one of the two. A row
off the front may still be *not beaten*: each row that costs at most as much is not significantly
more accurate by the protocol's comparison (:mod:`oraclezoo.ranking.stats`).
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
    """A row with its cost, and how it stands among the rows it may be held against.

    ``group`` says what these have in common; a cost is compared within one group only.
    """

    row: Row
    cost: float
    group: str
    on_front: bool
    beaten: bool


def points(rows: Sequence[Row], cost: Cost) -> list[Point]:
    """Rows that have an accuracy and this cost, in their order; the others are left out."""
    groups: dict[str, list[tuple[Row, float]]] = defaultdict(list)
    for row in rows:
        value = cost_of(row, cost)
        if row.accuracy_percent is not None and value is not None:
            groups[group_of(row, cost)].append((row, value))
    made = []
    for group, members in groups.items():
        accuracy = [row.accuracy_percent or 0.0 for row, _ in members]
        on_front = front(accuracy, [value for _, value in members])
        for (row, value), first in zip(members, on_front, strict=True):
            cheaper = {other.number for other, theirs in members if theirs <= value}
            beaten = bool(cheaper & set(row.beaten_by))
            made.append(Point(row, value, group, first, beaten))
    return sorted(made, key=lambda point: point.row.number)


def front(accuracy: Sequence[float], cost: Sequence[float]) -> list[bool]:
    """Whether each of some points is non-dominated: no other is as good in both, better in one.

    Points that are equal in both do not dominate each other. Takes the time of sorting.
    """
    order = sorted(range(len(accuracy)), key=lambda i: (cost[i], -accuracy[i]))
    kept = [False] * len(accuracy)
    best, best_cost = float("-inf"), float("nan")
    for index in order:
        if accuracy[index] > best:
            best, best_cost = accuracy[index], cost[index]
            kept[index] = True
        else:
            kept[index] = accuracy[index] == best and cost[index] == best_cost
    return kept


def cost_of(row: Row, cost: Cost) -> float | None:
    """The cost of a row: latency is the p50 of one image; None if it was not measured."""
    if cost == "latency_ms":
        return None if row.latency is None else row.latency.p50_ms
    return row.size_bytes if cost == "size_bytes" else row.train_s


def group_of(row: Row, cost: Cost) -> str:
    """What rows must have in common for this cost to be compared; bytes are bytes anywhere."""
    if cost == "size_bytes":
        return "all rows"
    if cost == "train_s" or row.latency is None:
        return row.hardware_class
    found = row.latency
    threads = f"{found.threads} thread{'s' * (found.threads > 1)}"
    return f"{row.hardware_class}: {found.runtime}, {found.device}, {threads}"
